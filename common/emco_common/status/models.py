"""The form of status answers (spec lifecycle 12.2 to 12.5, dcm 9, ncm 7), for OpenAPI and for clients in Python.

``render`` makes the answers; a test holds real ones against these models, which know no other keys. What an answer
leaves out when it is empty has a default here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from emco_common.appcontext.states import Connectivity, ContextState, ResourceState
from emco_common.lifecycle import State
from emco_common.status.model import Readiness
from emco_common.status.query import Dialect, Shape

Counts = dict[str, int]
Ready = Literal["Ready", "NotReady"]


def _without_defaults(schema: dict[str, Any]) -> None:
    """What is left out has no value; the defaults here are only Python's."""
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)


class StatusKind(_Answer):
    """Group (empty for the core group), version and kind of an object."""

    Group: str
    Version: str
    Kind: str


class KubernetesObject(BaseModel):
    """A whole object, as it was applied or as the cluster has it; what it holds beyond this is its kind's."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_without_defaults)

    apiVersion: str = ""
    kind: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict, description="As Kubernetes defines it.")


class StatusName(_Answer):
    name: str
    GVK: StatusKind


class StatusResource(StatusName):
    """One of the four states, by what is asked for; none where a kind has no readiness. ``reason`` explains it."""

    detail: KubernetesObject | None = Field(None, description="With `output=detail`.")
    rsyncStatus: ResourceState = Field(ResourceState.PENDING, description="With `type=rsync`.")
    clusterStatus: Readiness = Field(Readiness.READY, description="With `type=cluster`.")
    deployedStatus: ResourceState = Field(ResourceState.PENDING, description="With `status=deployed`.")
    readyStatus: Readiness = Field(Readiness.READY, description="With `status=ready`.")
    reason: str = ""
    drift: str = Field("", description="What others have changed of it on the cluster since it was applied.")


class StatusHook(StatusResource):
    """A hook that is not due at present; ``events`` says when it is."""

    events: list[str]


class StatusCluster(_Answer):
    clusterProvider: str
    cluster: str
    connectivity: Connectivity = Field(Connectivity.UNKNOWN, description="With `status=`.")
    readyStatus: Connectivity = Field(Connectivity.UNKNOWN, description="The same, with the deprecated `type=`.")
    resources: list[StatusResource]
    hooks: list[StatusHook] = Field(default_factory=list)
    reason: str = Field("", description="Why the cluster is not reached.")


class StatusApp(_Answer):
    name: str
    clusters: list[StatusCluster]


class StatusAction(_Answer):
    """One line of the history."""

    state: State
    instance: str = Field(description="The AppContext it made; empty for none.")
    time: str = Field(description="RFC 3339, UTC, milliseconds.")
    revision: int
    reason: str = ""


class StatusHistory(_Answer):
    statusctxid: str
    actions: list[StatusAction]


class _Status(_Answer):
    """What all status answers have below their head."""

    states: StatusHistory
    status: ContextState = Field(ContextState.CREATED, description="State of the AppContext, with `type=`.")
    deployedStatus: ContextState = Field(ContextState.CREATED, description="The same, with `status=`.")
    reason: str = Field("", description="Why the last operation failed.")
    readyStatus: Ready = Field("Ready", description="With `status=ready` and `type=cluster`.")
    rsyncStatus: Counts = Field(default_factory=dict, description="How many resources are in which state.")
    clusterStatus: Counts = Field(default_factory=dict, description="How many are ready, not ready, not present.")
    deployedCounts: Counts = Field(default_factory=dict, description="As `rsyncStatus`, with `status=deployed`.")
    readyCounts: Counts = Field(default_factory=dict, description="As `clusterStatus`, with `status=ready`.")
    ChildContextIDs: list[str] = Field(default_factory=list)


class StatusClusterName(_Answer):
    clusterProvider: str
    cluster: str


class StatusAppClusters(_Answer):
    app: str
    clusters: list[StatusClusterName]


class StatusAppResources(_Answer):
    """One for each app and cluster."""

    app: str
    clusterProvider: str
    cluster: str
    resources: list[StatusName]


class _GroupHead(_Answer):
    project: str
    compositeApp: str
    compositeAppVersion: str
    compositeProfile: str = ""
    name: str = Field(description="Of the deployment intent group.")


class GroupStatus(_GroupHead, _Status):
    apps: list[StatusApp] = Field(default_factory=list)


class GroupApps(_GroupHead):
    apps: list[str]


class GroupClusters(_GroupHead):
    clustersByApp: list[StatusAppClusters]


class GroupResources(_GroupHead):
    resourcesByApp: list[StatusAppResources]


class _CloudHead(_Answer):
    project: str
    name: str = Field(description="Of the logical cloud.")


class CloudStatus(_CloudHead, _Status):
    clusters: list[StatusCluster] = Field(default_factory=list)


class CloudClusters(_CloudHead):
    clustersByApp: list[StatusAppClusters]


class CloudResources(_CloudHead):
    resourcesByApp: list[StatusAppResources]


class NoCluster(_Answer):
    """Nothing is known of the cluster's networks, or nothing was asked for."""


class NetworksStatus(_Status):
    name: str = Field(description="`<provider>+<cluster>`")
    cluster: StatusCluster | NoCluster


def answers_of(dialect: Dialect) -> Any:
    """The type of a service's status answers, the variants for lists included; for ``response_model``."""
    match dialect.shape:
        case Shape.APPS:
            return GroupStatus | GroupApps | GroupClusters | GroupResources
        case Shape.CLUSTERS:
            return CloudStatus | CloudClusters | CloudResources
        case Shape.ONE_CLUSTER:
            return NetworksStatus
