"""The state machine of a context (appcontext 10.1): which event is accepted in which state, and what follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emco_common.appcontext.states import ContextState as S
from emco_common.appcontext.states import QueueEvent


@dataclass(frozen=True, slots=True)
class Transition:
    """``running``, then ``done`` or ``failed``."""

    accepted: frozenset[S]
    running: S
    done: S
    failed: S


TRANSITIONS: Mapping[QueueEvent, Transition] = {
    QueueEvent.INSTANTIATE: Transition(
        frozenset({S.CREATED, S.INSTANTIATED, S.INSTANTIATE_FAILED, S.INSTANTIATING}),
        S.INSTANTIATING,
        S.INSTANTIATED,
        S.INSTANTIATE_FAILED,
    ),
    QueueEvent.TERMINATE: Transition(
        frozenset(
            {
                S.CREATED,  # an install that was skipped because the terminate came first: there is nothing to lose
                S.INSTANTIATE_FAILED,
                S.INSTANTIATING,
                S.INSTANTIATED,
                S.TERMINATE_FAILED,
                S.TERMINATING,
                S.UPDATED,
                S.UPDATE_FAILED,
                S.UPDATING,
            }
        ),
        S.TERMINATING,
        S.TERMINATED,
        S.TERMINATE_FAILED,
    ),
    QueueEvent.READ: Transition(
        frozenset({S.CREATED, S.INSTANTIATED, S.INSTANTIATE_FAILED, S.INSTANTIATING}),
        S.INSTANTIATING,
        S.INSTANTIATED,
        S.INSTANTIATE_FAILED,
    ),
}
"""Update and UpdateDelete join this table together with the plan that compares two contexts."""


def transition(event: str, state: S) -> Transition | None:
    """``None``: the event is skipped and the state stays as it is (D1)."""
    try:
        found = TRANSITIONS.get(QueueEvent(event))
    except ValueError:
        return None
    return found if found is not None and state in found.accepted else None
