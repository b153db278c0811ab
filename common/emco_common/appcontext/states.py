"""The words that stand for states on the bus, exactly as stored (appcontext.md 10.1, 10.2)."""

from __future__ import annotations

from enum import StrEnum


class ContextState(StrEnum):
    CREATED = "Created"
    INSTANTIATING = "Instantiating"
    INSTANTIATED = "Instantiated"
    INSTANTIATE_FAILED = "InstantiateFailed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    TERMINATE_FAILED = "TerminateFailed"
    UPDATING = "Updating"
    UPDATED = "Updated"
    UPDATE_FAILED = "UpdatedFailed"  # the extra "d" is stored; Go readers compare with it


class ResourceState(StrEnum):
    PENDING = "Pending"
    APPLIED = "Applied"
    FAILED = "Failed"
    DELETED = "Deleted"
    RETRYING = "Retrying"


class Connectivity(StrEnum):
    """``UNKNOWN`` is reported where nothing is stored; it is never written."""

    AVAILABLE = "Available"
    RETRYING = "Retrying"
    UNKNOWN = "Unknown"


class QueueEvent(StrEnum):
    INSTANTIATE = "Instantiate"
    TERMINATE = "Terminate"
    READ = "Read"
    ADD_CHILD_CONTEXT = "AddChildContext"
    UPDATE = "Update"
    UPDATE_DELETE = "UpdateDelete"
    ROLLBACK = "Rollback"  # ours: an update back to what was there before, so that other hooks run


class QueueState(StrEnum):
    PENDING = "Pending"
    DONE = "Done"
    ERROR = "Error"
    SKIP = "Skip"


class OperationStatus(StrEnum):
    """What an app may wait for of another app (section 6.2)."""

    DEPLOYED = "Deployed"
    READY = "Ready"


class HookPhase(StrEnum):
    """As what an app comes to a cluster or leaves it; its hooks are those of ``pre-`` and ``post-`` this."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    ROLLBACK = "rollback"
    DELETE = "delete"

    @property
    def before(self) -> str:
        return f"pre-{self}"

    @property
    def after(self) -> str:
        return f"post-{self}"


CRD_INSTALL = "crd-install"
"""The list of custom resource definitions beside the hook lists (section 6.3)."""
