"""What the watch saw of one app on one cluster, as it is written to the bus: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emco_common.appcontext.status import ClusterStatus, ClusterUpdate, ResourceStatus, ResourceUpdate, StatusUpdate
from emco_common.kube import Kind
from emco_common.status.readiness import readiness
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import ClusterPlan
from emco_rsync.watch.health import counts, runs_to_completion_aside
from emco_rsync.watch.known import ObjectKey
from emco_rsync.watch.statusdata import encode

_MAKES_PODS = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"}
)
_POD = Kind("v1", "Pod")
_JOB = Kind("batch/v1", "Job")


@dataclass(frozen=True, slots=True)
class Expected:
    """What an app brings to a cluster, as far as it can be seen there."""

    app: str
    cluster: str
    label: str
    resources: Mapping[ObjectKey, str] = field(hash=False)
    """The resource's name by its object; once without namespace too, as not every kind has one."""
    required: frozenset[str]
    """Resources without which the app is not ready: of the counted kinds, hooks apart."""
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Observation:
    """``updates`` are what readers find in the status context."""

    ready: bool
    updates: tuple[StatusUpdate, ...]


def expected_of(plan: ClusterPlan) -> Expected:
    resources: dict[ObjectKey, str] = {}
    for item in (*plan.regular, *plan.hooks):
        for piece in item.pieces:
            for namespace in (piece.ref.namespace, ""):
                resources[(piece.ref.kind, namespace, piece.ref.name)] = item.resource
    required = {item.resource for item in plan.regular if any(counts(piece.obj) for piece in item.pieces)}
    kinds = {key[0] for key in resources}
    if any(kind.kind in _MAKES_PODS for kind in kinds):
        kinds.add(_POD)
    if any(kind.kind == "CronJob" for kind in kinds):
        kinds.add(_JOB)
    return Expected(plan.app, plan.cluster, plan.label, resources, frozenset(required), frozenset(kinds))


def observe(expected: Expected, objects: Mapping[ObjectKey, Json], *, complete: bool) -> Observation:
    """``complete``: everything was applied, so that what is not among ``objects`` is missing."""
    updates: list[StatusUpdate] = []
    seen: set[str] = set()
    all_ready = complete
    for key, obj in objects.items():
        resource = expected.resources.get(key, "")
        if resource:
            seen.add(resource)
        if runs_to_completion_aside(obj):
            if resource:
                updates.append(_flag(expected, resource, ResourceStatus(success=readiness(obj).ok)))
        elif counts(obj):
            ready = readiness(obj).ok
            leaving = bool(obj["metadata"].get("deletionTimestamp"))
            all_ready = all_ready and (ready or (leaving and not resource))
            if resource:
                updates.append(_flag(expected, resource, ResourceStatus(ready=ready)))
    missing = expected.required - seen
    updates.extend(_flag(expected, resource, ResourceStatus(ready=False)) for resource in sorted(missing))
    ready = all_ready and not missing
    status = ClusterStatus(status=encode(objects.values()), ready=ready)
    return Observation(ready, (ClusterUpdate(expected.app, expected.cluster, status), *updates))


def _flag(expected: Expected, resource: str, status: ResourceStatus) -> ResourceUpdate:
    return ResourceUpdate(expected.app, expected.cluster, resource, status)
