"""What may be done with a logical cloud in which situation: the tables of spec dcm 5.1, 5.5 and 4.1. Pure.

A situation joins what was asked for (the state) with what rsync says of it (the status of the context), so that an
operation that rsync has not taken up yet, and one that was stopped, count as what they are (defects 13, 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from emco_common.appcontext import ContextState
from emco_common.errors import BadRequest, Conflict, EmcoError
from emco_common.lifecycle import State, StateInfo


class Situation(StrEnum):
    NEVER = "never instantiated"
    INSTANTIATING = "instantiating"
    INSTANTIATED = "instantiated"
    INSTANTIATE_FAILED = "instantiate failed or stopped"
    UPDATE_FAILED = "update failed"
    TERMINATING = "terminating"
    TERMINATE_STOPPED = "terminate stopped"
    TERMINATED = "terminated"
    TERMINATE_FAILED = "terminate failed"


class Verb(StrEnum):
    INSTANTIATE = "instantiate"
    TERMINATE = "terminate"
    UPDATE = "update"
    DELETE = "delete"
    STOP = "stop"
    RENEW = "renew"
    """dcm's own: new certificates for those that are about to end."""
    GIVE_UP = "give-up"
    """Ours: what is under way goes on without clusters that are lost."""


_TAKEN_UP: Mapping[str | None, Situation] = {
    ContextState.INSTANTIATING: Situation.INSTANTIATING,
    ContextState.UPDATING: Situation.INSTANTIATING,
    ContextState.INSTANTIATED: Situation.INSTANTIATED,
    ContextState.UPDATED: Situation.INSTANTIATED,
    ContextState.INSTANTIATE_FAILED: Situation.INSTANTIATE_FAILED,
    ContextState.UPDATE_FAILED: Situation.INSTANTIATE_FAILED,
    ContextState.TERMINATING: Situation.TERMINATING,
    ContextState.TERMINATED: Situation.TERMINATED,
    ContextState.TERMINATE_FAILED: Situation.TERMINATE_FAILED,
}
_LEAVING = frozenset({Situation.TERMINATING, Situation.TERMINATED, Situation.TERMINATE_FAILED})
_UNDER_WAY = frozenset({Situation.INSTANTIATING, Situation.TERMINATING})


_BRINGING = frozenset({Verb.INSTANTIATE, Verb.UPDATE, Verb.RENEW})


def situation_of(info: StateInfo, status: str | None, *, exists: bool = True, under_way: str = "") -> Situation:
    """``status`` is that of the present context, ``None`` before rsync has seen it; ``exists`` whether it is there.

    ``under_way`` is the verb of the operation that is recorded on the cloud, if any.
    """
    if under_way in _BRINGING:
        return Situation.INSTANTIATING
    if under_way == Verb.TERMINATE:
        return Situation.TERMINATING
    if not info.instance:
        return Situation.NEVER
    if not exists:
        return Situation.TERMINATED
    said = _TAKEN_UP.get(status, Situation.INSTANTIATING)
    match info.state:
        case State.UPDATED if said is Situation.INSTANTIATE_FAILED:
            return Situation.UPDATE_FAILED
        case State.TERMINATED:
            return said if said in _LEAVING else Situation.TERMINATING
        case State.INSTANTIATE_STOPPED if said is Situation.INSTANTIATING:
            return Situation.INSTANTIATE_FAILED
        case State.TERMINATE_STOPPED if said is not Situation.TERMINATED:
            return Situation.TERMINATE_STOPPED
    return said


def check(verb: Verb, situation: Situation) -> None:
    """Raises ``Conflict`` with the known text unless ``verb`` is possible."""
    text = _REFUSALS[verb].get(situation)
    if text is not None:
        raise Conflict(text)


_NOT_INSTANTIATED = "The Logical Cloud is not instantiated"
_BEING_TERMINATED = "The Logical Cloud can't be re-instantiated yet, it is being terminated"
_FAILED_INSTANTIATING = "The Logical Cloud has failed instantiating before, please terminate and try again"
_TERMINATE_FOR_SAFETY = "The Logical Cloud has failed instantiating, for safety please terminate and try again"
_FAILED_TERMINATING = "The Logical Cloud has failed terminating, please delete the Logical Cloud"
_CANNOT_DELETE_YET = "The Logical Cloud can't be deleted yet, it is being terminated"

NOTHING_UNDER_WAY = "LogicalCloud is not instantiating or terminating: {name}"

_UPDATABLE = frozenset({Situation.INSTANTIATED, Situation.UPDATE_FAILED})
"""Deployments may be on a cloud of which an update has failed, so what was wrong with it can be put right in place."""
_NOT_RUNNING: Mapping[Situation, str] = {
    situation: _NOT_INSTANTIATED for situation in Situation if situation not in _UPDATABLE
}

_REFUSALS: Mapping[Verb, Mapping[Situation, str]] = {
    Verb.INSTANTIATE: {
        Situation.INSTANTIATING: "The Logical Cloud is already instantiating",
        Situation.INSTANTIATED: "The Logical Cloud is already instantiated",
        Situation.INSTANTIATE_FAILED: _FAILED_INSTANTIATING,
        Situation.UPDATE_FAILED: _FAILED_INSTANTIATING,
        Situation.TERMINATING: _BEING_TERMINATED,
        Situation.TERMINATE_STOPPED: _BEING_TERMINATED,
        Situation.TERMINATE_FAILED: _FAILED_TERMINATING,
    },
    Verb.TERMINATE: {
        Situation.NEVER: _NOT_INSTANTIATED,
        Situation.INSTANTIATING: "The Logical Cloud is still instantiating",
        Situation.TERMINATING: "The Logical Cloud is already being terminated",
        Situation.TERMINATED: "The Logical Cloud has already been terminated",
        Situation.TERMINATE_FAILED: _FAILED_TERMINATING,
    },
    Verb.UPDATE: _NOT_RUNNING,
    Verb.RENEW: _NOT_RUNNING,
    Verb.DELETE: {
        Situation.INSTANTIATING: "The Logical Cloud is instantiating, please wait and then terminate",
        Situation.INSTANTIATED: "The Logical Cloud is instantiated, please terminate first",
        Situation.INSTANTIATE_FAILED: _TERMINATE_FOR_SAFETY,
        Situation.UPDATE_FAILED: _TERMINATE_FOR_SAFETY,
        Situation.TERMINATING: _CANNOT_DELETE_YET,
        Situation.TERMINATE_STOPPED: _CANNOT_DELETE_YET,
    },
}


def stopped(state: State, situation: Situation) -> State:
    """The state that stopping leads to (5.5). Raises with the known text, which ends in a colon and a blank."""
    error = _UNSTOPPABLE.get(state)
    if error is not None:
        raise error[0](error[1])
    if situation not in _UNDER_WAY:
        raise Conflict("LogicalCloud is not instantiating or terminating: ")
    return stopped_state(state)


def stopped_state(state: State) -> State:
    return State.TERMINATE_STOPPED if state is State.TERMINATED else State.INSTANTIATE_STOPPED


def check_under_way(info: StateInfo, *, name: str) -> None:
    """Raises ``Conflict`` where nothing can be waited for. What is known to rsync is not looked at."""
    if not info.instance or info.state in (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED):
        raise Conflict(NOTHING_UNDER_WAY.format(name=name), detail=f"it is {info.state}")


_INVALID = (BadRequest, "LogicalCloud is in an invalid state: ")
_UNSTOPPABLE: Mapping[State, tuple[type[EmcoError], str]] = {
    State.CREATED: (Conflict, "LogicalCloud has not been asked to instantiate: "),
    State.INSTANTIATE_STOPPED: (Conflict, "LogicalCloud instantiation already stopped: "),
    State.TERMINATE_STOPPED: (Conflict, "LogicalCloud termination already stopped: "),
    State.APPROVED: _INVALID,
    State.APPLIED: _INVALID,
}


def check_reference_added(situation: Situation) -> None:
    """Spec dcm 4.1 rule 2."""
    if situation not in (Situation.NEVER, Situation.TERMINATED, *_UPDATABLE):
        raise Conflict(
            "Cluster References cannot be added/removed unless the Logical Cloud is fully Instantiated or Terminated"
        )


def check_reference_removed(situation: Situation) -> None:
    """Spec dcm 4.1 rule 4."""
    text = _REFERENCE_KEPT.get(situation)
    if text is not None:
        raise Conflict(f"Can't remove Cluster Reference: the Logical Cloud {text}")


_REFERENCE_KEPT: Mapping[Situation, str] = {
    Situation.TERMINATING: "is being terminated",
    Situation.TERMINATE_STOPPED: "is being terminated",
    Situation.INSTANTIATING: "is instantiating, please wait and then terminate.",
    Situation.INSTANTIATE_FAILED: "has failed instantiating, for safety please terminate and try again",
}


def is_at_rest(situation: Situation) -> bool:
    """Nothing of the cloud is on any cluster, so that what it is may still change (defect 15)."""
    return situation in (Situation.NEVER, Situation.TERMINATED)
