"""The AppContext: ``model`` and ``status`` say what it is, ``codec`` how it is stored, ``io`` reads and writes it."""

from emco_common.appcontext.io import (
    AppContextStore,
    ContextExists,
    ContextNotFound,
    Ids,
    Snapshot,
    WriteRefused,
    new_id,
)
from emco_common.appcontext.model import (
    App,
    AppContext,
    AppDependencyForm,
    Approval,
    Cluster,
    DeliveryOptions,
    Dependency,
    Meta,
    Resource,
)
from emco_common.appcontext.states import (
    Connectivity,
    ContextState,
    OperationStatus,
    QueueEvent,
    QueueState,
    ResourceState,
)
from emco_common.appcontext.status import (
    ClusterStatus,
    ClusterUpdate,
    ContextStatus,
    QueueElement,
    ResourceStatus,
    ResourceUpdate,
    StatusUpdate,
)
from emco_common.appcontext.values import MalformedContext

__all__ = [
    "App",
    "AppContext",
    "AppContextStore",
    "AppDependencyForm",
    "Approval",
    "Cluster",
    "ClusterStatus",
    "ClusterUpdate",
    "Connectivity",
    "ContextExists",
    "ContextNotFound",
    "ContextState",
    "ContextStatus",
    "DeliveryOptions",
    "Dependency",
    "Ids",
    "MalformedContext",
    "Meta",
    "OperationStatus",
    "QueueElement",
    "QueueEvent",
    "QueueState",
    "Resource",
    "ResourceState",
    "ResourceStatus",
    "ResourceUpdate",
    "Snapshot",
    "StatusUpdate",
    "WriteRefused",
    "new_id",
]
