"""What may be done with a cluster's networks in which state: the table of spec ncm 5 and its defects 11 to 13. Pure.

The state says what was asked for last; where that is not enough, the status of the present AppContext says what became
of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from emco_common.appcontext import ContextState
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import Lifecycle, Refusal, Rule, State, StateInfo
from emco_common.resources.service import Write


class Verb(StrEnum):
    APPLY = "apply"
    RETRY = "retry"
    UPDATE = "update"
    TERMINATE = "terminate"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Progress:
    """``status`` is that of the present context, ``None`` before rsync has seen it; ``exists`` whether it is there."""

    status: str | None = None
    exists: bool = True


_FAILED = frozenset({ContextState.INSTANTIATE_FAILED, ContextState.UPDATE_FAILED})
_SETTLED = _FAILED | {ContextState.INSTANTIATED, ContextState.UPDATED}
_GONE = frozenset({ContextState.TERMINATED, ContextState.TERMINATE_FAILED})

_INVALID = Refusal("Cluster is in an invalid state")
_NOT_APPLIED = Refusal("Cluster network intents have not been applied")
_INSTANTIATION_STOPPED = Refusal("Cluster network intents instantiation already stopped")
_TERMINATION_STOPPED = Refusal("Cluster network intents termination already stopped")
NOT_TERMINATED = "Network intents for cluster have not completed terminating"
NOT_SETTLED = "Cluster network intents are still being applied"
NOT_UNDER_WAY = "Cluster network intents are not instantiating or terminating"


def _row(**rules: Rule) -> Mapping[State, Rule]:
    return {state: rules.get(state.name, _INVALID) for state in State}


LIFECYCLE = Lifecycle(
    {
        Verb.APPLY: _row(
            CREATED=State.APPLIED,
            APPLIED=None,
            INSTANTIATE_STOPPED=None,
            TERMINATED=State.APPLIED,
            TERMINATE_STOPPED=State.APPLIED,
        ),
        Verb.UPDATE: _row(CREATED=_NOT_APPLIED, APPLIED=State.APPLIED, TERMINATED=_NOT_APPLIED),
        Verb.TERMINATE: _row(
            CREATED=_NOT_APPLIED,
            APPLIED=State.TERMINATED,
            INSTANTIATE_STOPPED=State.TERMINATED,
            TERMINATED=None,
            TERMINATE_STOPPED=None,
        ),
        Verb.STOP: _row(
            CREATED=_NOT_APPLIED,
            APPLIED=State.INSTANTIATE_STOPPED,
            INSTANTIATE_STOPPED=_INSTANTIATION_STOPPED,
            TERMINATED=State.TERMINATE_STOPPED,
            TERMINATE_STOPPED=_TERMINATION_STOPPED,
        ),
    }
)


def to_apply(info: StateInfo, progress: Progress) -> Verb | None:
    """How ``apply`` is done: anew, again because it failed (defect 12), or not at all. Raises ``Conflict``."""
    state = LIFECYCLE.next(Verb.APPLY, info.state, name="")
    if info.state in (State.APPLIED, State.INSTANTIATE_STOPPED) and not progress.exists:
        return Verb.APPLY
    if info.state is State.APPLIED:
        return Verb.RETRY if progress.status in _FAILED else None
    if info.state is State.TERMINATED and progress.exists and progress.status not in _GONE:
        raise Conflict(NOT_TERMINATED)
    return Verb.APPLY if state else None


def to_terminate(info: StateInfo, progress: Progress) -> bool:
    """Whether there is anything to terminate; also what failed to be removed. Raises ``Conflict``."""
    if info.state is State.TERMINATED:
        return progress.exists and progress.status == ContextState.TERMINATE_FAILED
    goes = LIFECYCLE.next(Verb.TERMINATE, info.state, name="") is not None
    if goes and not progress.exists:
        raise Conflict(
            f"The AppContext {info.instance} is gone, and what is to be removed with it; apply, then terminate"
        )
    return goes


def check_update(info: StateInfo, progress: Progress) -> None:
    """Raises ``Conflict`` unless the last apply or update has come to its end, good or bad."""
    LIFECYCLE.next(Verb.UPDATE, info.state, name="")
    if not progress.exists:
        raise Conflict(_NOT_APPLIED.text)
    if progress.status not in _SETTLED:
        raise Conflict(NOT_SETTLED)


def stopped(info: StateInfo, progress: Progress) -> State:
    """The state that stopping leads to. Raises ``Conflict`` (defect 15)."""
    state = LIFECYCLE.next(Verb.STOP, info.state, name="")
    over = _SETTLED if info.state is State.APPLIED else _GONE
    if state is None or not progress.exists or progress.status in over:
        raise Conflict(NOT_UNDER_WAY)
    return state


def source_of(info: StateInfo) -> str:
    """The context that the present one was an update of, empty if it was none."""
    earlier = next((action for action in reversed(info.actions) if action.instance != info.instance), None)
    return earlier.instance if earlier is not None and earlier.state is State.APPLIED else ""


def check_edit(write: Write, state: State, *, what: str, pending: bool) -> None:
    """Raises unless an intent of kind ``what`` (``network``, ``provider network``) may be written now.

    ``pending`` is the caller's word that an applied network is to follow at the next update.
    """
    if state is State.APPLIED and pending:
        return
    if write == "delete":
        if state in (State.APPLIED, State.INSTANTIATE_STOPPED):
            raise Conflict(f"Cluster {what} intents must be terminated before deleting", detail=_HOW)
    elif state is State.APPLIED:
        raise BadRequest(f"Existing cluster {what} intents must be terminated before creating", detail=_HOW)
    if state not in _EDITABLE:
        raise Conflict(_INVALID.text)


_EDITABLE = frozenset({State.CREATED, State.TERMINATED, State.TERMINATE_STOPPED})
_HOW = "With ?pending=true the intent changes now and the network at the next update of the cluster"
