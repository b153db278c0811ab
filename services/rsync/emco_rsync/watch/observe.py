"""What the watch saw of one app on one cluster, as it is written to the bus: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from emco_common.appcontext.states import HookPhase
from emco_common.appcontext.status import ClusterStatus, ClusterUpdate, ResourceStatus, ResourceUpdate, StatusUpdate
from emco_common.kube import Kind, Ref
from emco_rsync.plan.plan import ClusterPlan, Item
from emco_rsync.watch.alike import Alike, ObjectKey
from emco_rsync.watch.drift import differs, pieces
from emco_rsync.watch.health import counts
from emco_rsync.watch.seen import Health, Seen
from emco_rsync.watch.statusdata import assemble

_MAKES_PODS = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"}
)
_POD = Kind("v1", "Pod")
_JOB = Kind("batch/v1", "Job")
_READY = {verdict: ResourceStatus(ready=verdict) for verdict in (True, False)}
_SUCCESS = {verdict: ResourceStatus(success=verdict) for verdict in (True, False)}


class Part(NamedTuple):
    """Which object of which resource; hooks come and go."""

    resource: str
    piece: int = 0
    hook: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Brought:
    """What an app brings to each of its clusters, as far as it can be seen there: one for all that get the same."""

    app: str
    label: str
    digest: bytes
    """Of the plan (``ClusterPlan.digest``): equal ones bring the same."""
    parts: Mapping[ObjectKey, Part] = field(hash=False, compare=False, repr=False)
    """By object; once without namespace too, as not every kind has one."""
    required: frozenset[str]
    """Resources without which the app is not ready: of the counted kinds, hooks apart."""
    kinds: frozenset[Kind]
    begins_with_hooks: bool
    """Hooks run before it is installed."""
    alike: Alike = field(hash=False, compare=False, repr=False)
    """What is known of the objects on all of its clusters."""


@dataclass(frozen=True, slots=True)
class Expected:
    cluster: str
    brought: Brought

    @property
    def app(self) -> str:
        return self.brought.app

    @property
    def label(self) -> str:
        return self.brought.label


@dataclass(frozen=True, slots=True)
class Observation:
    """``updates`` are what readers find in the status context."""

    ready: bool
    updates: tuple[StatusUpdate, ...]


@dataclass(frozen=True, slots=True)
class Suspect:
    """An object that is not as it was applied, by what the watch knows; ``live`` is what is ours of it, ``""`` if it
    cannot be seen."""

    resource: str
    piece: int
    ref: Ref
    live: str


def expected_of(plan: ClusterPlan) -> Expected:
    parts: dict[ObjectKey, Part] = {}
    for item, hook in (*((item, True) for item in plan.hooks), *((item, False) for item in plan.regular)):
        parts |= _parts(item, hook=hook)
    required = {item.resource for item in plan.regular if any(counts(piece.obj) for piece in item.pieces)}
    kinds = {key[0] for key in parts}
    if any(kind.kind in _MAKES_PODS for kind in kinds):
        kinds.add(_POD)
    if any(kind.kind == "CronJob" for kind in kinds):
        kinds.add(_JOB)
    hooks = bool(plan.due(HookPhase.INSTALL.before))
    brought = Brought(
        plan.app, plan.label, plan.digest, parts, frozenset(required), frozenset(kinds), hooks, Alike(parts)
    )
    return Expected(plan.cluster, brought)


def observe(expected: Expected, objects: Mapping[ObjectKey, Seen], *, complete: bool) -> Observation:
    """``complete``: everything was applied, so that what is not among ``objects`` is missing."""
    brought = expected.brought
    flags: dict[str, ResourceStatus] = {}
    seen: set[str] = set()
    all_ready = complete
    for key, found in objects.items():
        part = brought.parts.get(key)
        resource = part.resource if part else ""
        seen.add(resource)
        ready = Health.READY in found.health
        if Health.ASIDE in found.health:
            if resource:
                flags[resource] = _SUCCESS[ready and flags.get(resource) != _SUCCESS[False]]
        elif Health.COUNTS in found.health:
            all_ready = all_ready and (ready or (Health.LEAVING in found.health and not resource))
            if resource:
                flags[resource] = _READY[ready and flags.get(resource) != _READY[False]]
    missing = brought.required - seen
    flags |= dict.fromkeys(missing, _READY[False])
    ready = all_ready and not missing
    text = assemble(((key[0].kind, key[0].api_version, *key[1:]), found.entry) for key, found in objects.items())
    cluster = ClusterUpdate(expected.app, expected.cluster, ClusterStatus(status=text, ready=ready))
    updates = (ResourceUpdate(expected.app, expected.cluster, name, flag) for name, flag in sorted(flags.items()))
    return Observation(ready, (cluster, *updates))


def suspects(
    brought: Brought, objects: Mapping[ObjectKey, Seen], acknowledged: Mapping[str, str], *, complete: bool
) -> Iterator[Suspect]:
    """Which objects are not as the cluster ``acknowledged`` them, by resource. ``complete`` as in ``observe``."""
    for key, part in brought.parts.items():
        recorded = acknowledged.get(part.resource)
        if recorded is None or part.hook:
            continue
        found = objects.get(key)
        if found is not None:
            digests = pieces(recorded)
            if part.piece < len(digests) and differs(digests[part.piece], found.digest):
                yield Suspect(part.resource, part.piece, _ref(key), found.digest)
        elif complete and key[1] and (key[0], "", key[2]) not in objects:
            yield Suspect(part.resource, part.piece, _ref(key), "")


def _parts(item: Item, *, hook: bool) -> dict[ObjectKey, Part]:
    return {
        (piece.ref.kind, namespace, piece.ref.name): Part(item.resource, number, hook)
        for number, piece in enumerate(item.pieces)
        for namespace in (piece.ref.namespace, "")
    }


def _ref(key: ObjectKey) -> Ref:
    return Ref(key[0], key[2], key[1])
