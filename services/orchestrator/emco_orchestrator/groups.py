"""Deployment intent groups: what may be done with one in which state (spec orchestrator-lifecycle 1.1). Pure."""

from __future__ import annotations

from enum import StrEnum

from emco_common.lifecycle import Lifecycle, Refusal, State
from emco_common.operations import Subjects
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import DocumentStore, Key
from emco_orchestrator.resources import COMPOSITE_APP, GROUP


class Verb(StrEnum):
    APPROVE = "approve"
    INSTANTIATE = "instantiate"
    TERMINATE = "terminate"


_UNKNOWN = Refusal("DeploymentIntentGroup is in an unknown state: {state}")
_NOT_RUNNING = Refusal("DeploymentIntentGroup is not instantiated :{name}")
_RUNNING = Refusal("DeploymentIntentGroup has already been instantiated{name}")

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
        Verb.TERMINATE: {
            State.CREATED: _NOT_RUNNING,
            State.APPROVED: _NOT_RUNNING,
            State.INSTANTIATED: State.TERMINATED,
            State.INSTANTIATE_STOPPED: State.TERMINATED,
            State.TERMINATED: _NOT_RUNNING,
            State.TERMINATE_STOPPED: _NOT_RUNNING,
            State.UPDATED: _NOT_RUNNING,
        },
    }
)


def groups_in(store: DocumentStore, clock: Clock, presence: Presence) -> Subjects:
    """The groups of a store, as this process sees and changes them."""
    return Subjects(store, GROUP.key_names, "DeploymentIntentGroup", GROUP.not_found, clock, presence)


def composite_of(key: Key) -> Key:
    """The key of the composite app that a group stands below."""
    return {name: key[name] for name in COMPOSITE_APP.key_names}
