"""Deployment intent groups: what may be done with one in which state (spec orchestrator-lifecycle 1.1). Pure."""

from __future__ import annotations

from enum import StrEnum

from emco_common.lifecycle import Lifecycle, Refusal, Rule, State
from emco_common.operations import Subjects
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import DocumentStore, Key
from emco_orchestrator.resources import COMPOSITE_APP, GROUP


class Verb(StrEnum):
    """``RECEIVE`` is the part of a migration that its target takes, ``LEAVE`` a terminate that waits for less."""

    APPROVE = "approve"
    INSTANTIATE = "instantiate"
    TERMINATE = "terminate"
    STOP = "stop"
    UPDATE = "update"
    ROLLBACK = "rollback"
    MIGRATE = "migrate"
    RECEIVE = "receive"
    GIVE_UP = "give-up"
    LEAVE = "terminate with giveUp"


STATES = (
    State.CREATED,
    State.APPROVED,
    State.INSTANTIATED,
    State.INSTANTIATE_STOPPED,
    State.TERMINATED,
    State.TERMINATE_STOPPED,
    State.UPDATED,
)
_UNKNOWN = Refusal("DeploymentIntentGroup is in an unknown state{state}")
_NOT_RUNNING = Refusal("DeploymentIntentGroup is not instantiated :{name}")
_RUNNING = Refusal("DeploymentIntentGroup has already been instantiated{name}")
_NOT_APPROVED = Refusal("DeploymentIntentGroup is not approved :{name}")


NOTHING_UNDER_WAY = "DeploymentIntentGroup is not instantiating or terminating:{name}"


def _while_running(then: State) -> dict[State, Rule]:
    """What takes a deployment that is there."""
    rules: dict[State, Rule] = dict.fromkeys(STATES, _NOT_RUNNING)
    return rules | {State.INSTANTIATED: then, State.INSTANTIATE_STOPPED: then}


LIFECYCLE = Lifecycle(
    {
        Verb.APPROVE: {
            State.CREATED: State.APPROVED,
            State.APPROVED: None,
            State.INSTANTIATED: _RUNNING,
            State.INSTANTIATE_STOPPED: _UNKNOWN,
            State.TERMINATED: State.APPROVED,
            State.TERMINATE_STOPPED: _UNKNOWN,
            State.UPDATED: State.APPROVED,
        },
        Verb.INSTANTIATE: {
            State.CREATED: Refusal("DeploymentIntentGroup must be Approved before instantiating{name}"),
            State.APPROVED: State.INSTANTIATED,
            State.INSTANTIATED: _RUNNING,
            State.INSTANTIATE_STOPPED: Refusal("DeploymentIntentGroup has already been instantiated and stopped{name}"),
            State.TERMINATED: State.INSTANTIATED,
            State.TERMINATE_STOPPED: State.INSTANTIATED,
            State.UPDATED: _UNKNOWN,
        },
        Verb.STOP: {
            State.CREATED: Refusal("DeploymentIntentGroup have not been approved: {name}"),
            State.APPROVED: Refusal("DeploymentIntentGroup has not been instantiated:{name}"),
            State.INSTANTIATED: State.INSTANTIATE_STOPPED,
            State.INSTANTIATE_STOPPED: Refusal("DeploymentIntentGroup instantiation already stopped: {name}"),
            State.TERMINATED: State.TERMINATE_STOPPED,
            State.TERMINATE_STOPPED: Refusal("DeploymentIntentGroup termination already stopped: {name}"),
            State.UPDATED: Refusal("DeploymentIntentGroup is in an invalid state: {name} {state}"),
        },
        Verb.TERMINATE: _while_running(State.TERMINATED),
        Verb.LEAVE: _while_running(State.TERMINATED)
        | dict.fromkeys((State.TERMINATED, State.TERMINATE_STOPPED), State.TERMINATED),
        Verb.UPDATE: _while_running(State.INSTANTIATED),
        Verb.ROLLBACK: _while_running(State.INSTANTIATED),
        Verb.MIGRATE: _while_running(State.UPDATED),
        Verb.GIVE_UP: {
            state: None if state in (State.INSTANTIATED, State.TERMINATED) else Refusal(NOTHING_UNDER_WAY)
            for state in STATES
        },
        Verb.RECEIVE: {state: State.INSTANTIATED if state is State.APPROVED else _NOT_APPROVED for state in STATES},
    }
)

_NO_STATE = "DeploymentIntentGroup StateInfo not found"
_NO_STATE_OF = "DeploymentIntentGroup has no state info: {name}: " + _NO_STATE
_MISSING = {
    Verb.APPROVE: _NO_STATE_OF,
    Verb.TERMINATE: _NO_STATE_OF,
    Verb.STOP: _NO_STATE_OF,
    Verb.GIVE_UP: _NO_STATE_OF,
    Verb.UPDATE: _NO_STATE,
    Verb.ROLLBACK: _NO_STATE,
    Verb.MIGRATE: _NO_STATE,
}


def missing_text(verb: Verb, name: str) -> str:
    """What a verb says of a group that is not there (2.2)."""
    return _MISSING.get(verb, GROUP.not_found).format(name=name)


def groups_in(store: DocumentStore, clock: Clock, presence: Presence) -> Subjects:
    """The groups of a store, as this process sees and changes them."""
    return Subjects(store, GROUP.key_names, "DeploymentIntentGroup", GROUP.not_found, clock, presence)


def composite_of(key: Key) -> Key:
    """The key of the composite app that a group stands below."""
    return {name: key[name] for name in COMPOSITE_APP.key_names}
