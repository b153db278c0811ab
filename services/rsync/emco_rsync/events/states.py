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


_UPDATE = Transition(
    # Beyond the original's Created and Updated: back to what an update that failed or was cut short has left, and the
    # present revision once more, which does no harm.
    frozenset(
        {
            S.CREATED,
            S.UPDATED,
            S.UPDATE_FAILED,
            S.UPDATING,
            S.INSTANTIATED,
            S.INSTANTIATE_FAILED,
            S.INSTANTIATING,
        }
    ),
    S.INSTANTIATING,
    S.INSTANTIATED,
    S.INSTANTIATE_FAILED,
)

GONE = frozenset({S.TERMINATING, S.TERMINATED, S.TERMINATE_FAILED})
"""A context in one of these is not brought back."""

FIRST = frozenset({S.CREATED})
"""Of a context that was never on the clusters."""

REPLACED = frozenset({S.UPDATING, S.UPDATED, S.UPDATE_FAILED})
"""Of a context whose place another has taken, and with it the watch."""

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
    QueueEvent.UPDATE: _UPDATE,
    QueueEvent.ROLLBACK: _UPDATE,
}
"""Of the context that an event is queued on. The context that an update replaces goes from ``Updating`` to ``Updated``
or ``UpdatedFailed`` within the same event, so that nothing is removed before all is there (D11, D24)."""


def transition(event: str, state: S) -> Transition | None:
    """``None``: the event is skipped and the state stays as it is (D1)."""
    try:
        found = TRANSITIONS.get(QueueEvent(event))
    except ValueError:
        return None
    return found if found is not None and state in found.accepted else None
