"""From a context to what is done on each cluster, in which order: pure.

A wave is a run of resources of one kind in the resource order: members of a wave do not depend on each other, waves
follow one another. Removal goes through the same waves backwards. How the plans of two contexts are compared is in
``deployment``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby

from emco_common.appcontext import keys
from emco_common.appcontext.model import AppContext, Approval, Cluster, DeliveryOptions, Dependency, Meta, Resource
from emco_common.appcontext.states import HookPhase
from emco_common.kube import KubeError, Ref, encode, ref_of
from emco_rsync.plan.limits import excess
from emco_rsync.plan.manifests import BadManifest, Json, parse, prepare

CRD_KIND = "CustomResourceDefinition"
NAMESPACE_KIND = "Namespace"
ADMIN_LEVEL = "0"
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Piece:
    """One object as it is sent: ``encoded`` once, for all clusters. ``ref`` has the namespace it belongs into."""

    ref: Ref
    obj: Json = field(repr=False)
    encoded: bytes = field(repr=False)


@dataclass(frozen=True)
class Item:
    """One resource of the context: usually one object, which is made of the text when somebody asks for it. What is
    there already is told by its text, and never read.

    ``label`` and ``namespace`` (for what names none) decide, together with the text, what it is on a cluster.
    """

    resource: str
    text: str = field(repr=False)
    """The resource as it is stored; of a Read event it is a request and no object."""
    label: str
    namespace: str
    approval: Approval | None = None
    given: tuple[Piece, ...] | None = field(default=None, repr=False)
    """What it stands for instead of what the text says."""

    @property
    def kind(self) -> str:
        return self.resource.rpartition("+")[2]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return self._read[0] if self.given is None else self.given

    @property
    def is_read(self) -> bool:
        return self.given is not None or "_read" in self.__dict__

    @property
    def problem(self) -> str:
        """Why it cannot be sent anywhere."""
        return self._read[1]

    @cached_property
    def digest(self) -> bytes:
        """Of all that decides what it is."""
        words = (self.resource, self.label, self.namespace, self.text)
        return hashlib.blake2b("\0".join(words).encode(errors="surrogatepass"), digest_size=16).digest()

    def alike(self, other: Item) -> bool:
        """Are these the same objects, made of the same bytes?"""
        return self is other or self == other

    def of(self, pieces: Iterable[Piece]) -> Item:
        """The same resource, with other objects."""
        return replace(self, given=tuple(pieces))

    @cached_property
    def _read(self) -> tuple[tuple[Piece, ...], str]:
        try:
            pieces = tuple(_piece(obj, self.label, self.namespace) for obj in parse(self.text))
        except (BadManifest, KubeError) as error:
            return (), str(error)
        # What is too big keeps its pieces: an earlier, smaller one may be there, and is not to be taken for unwanted.
        problem = "; ".join(filter(None, (excess(piece.obj, encoded=piece.encoded) for piece in pieces)))
        return pieces, problem


Wave = tuple[Item, ...]


@dataclass(frozen=True)
class ClusterPlan:
    """What one app does on one cluster. Hooks run one by one, in order."""

    app: str
    cluster: str
    label: str
    crds: tuple[Item, ...] = ()
    waves: tuple[Wave, ...] = ()
    events: Mapping[str, tuple[Item, ...]] = field(default_factory=dict, hash=False)
    """Hooks by event, e.g. ``pre-install``; one may serve several."""

    @property
    def empty(self) -> bool:
        """Nothing to do on the cluster, which is then not contacted (as for a logical cloud of level 0)."""
        return not (self.waves or self.crds or self.hooks)

    @property
    def hooks(self) -> tuple[Item, ...]:
        """Every hook once, whatever events it serves."""
        return tuple({item.resource: item for items in self.events.values() for item in items}.values())

    @property
    def regular(self) -> tuple[Item, ...]:
        return tuple(item for wave in self.waves for item in wave)

    @property
    def installed(self) -> tuple[Item, ...]:
        """What is on the cluster after an installation, apart from CRDs."""
        listed = (*self.due(HookPhase.INSTALL.before), *self.regular, *self.due(HookPhase.INSTALL.after))
        return tuple({item.resource: item for item in listed}.values())

    def due(self, event: str) -> tuple[Item, ...]:
        return self.events.get(event, ())

    @cached_property
    def digest(self) -> bytes:
        """Of what can be seen of it on a cluster, whichever: everything but its definitions."""
        before = self.due(HookPhase.INSTALL.before)
        words = [self.app.encode(), bool(before).to_bytes()]
        for items in (self.hooks, self.regular):
            words += [len(items).to_bytes(8), *(item.digest for item in items)]
        return hashlib.blake2b(b"".join(words), digest_size=16).digest()

    @cached_property
    def named(self) -> Mapping[str, Item]:
        """Every resource by its name, whatever it is there for."""
        return {item.resource: item for item in (*self.crds, *self.hooks, *self.regular)}

    @property
    def removal_waves(self) -> tuple[Wave, ...]:
        """Backwards, children before parents. Definitions stay, as other people's objects would go with them (D6)."""
        waves = (tuple(item for item in wave if item.kind != CRD_KIND) for wave in reversed(self.waves))
        return tuple(wave for wave in waves if wave)


@dataclass(frozen=True, slots=True)
class AppPlan:
    app: str
    dependencies: tuple[Dependency, ...]
    clusters: tuple[ClusterPlan, ...]


@dataclass(frozen=True)
class Plan:
    """``level`` and ``namespace`` select the identity used on the clusters; ``namespace`` is also the default one."""

    context: str
    status_context: str
    level: str
    namespace: str
    apps: tuple[AppPlan, ...]
    options: DeliveryOptions = field(default_factory=DeliveryOptions)
    meta: Meta = field(default_factory=Meta)

    @property
    def clusters(self) -> tuple[ClusterPlan, ...]:
        return tuple(cluster for app in self.apps for cluster in app.clusters)

    def find(self, app: str, cluster: str) -> ClusterPlan | None:
        """What the app does on the cluster; ``None`` if it is not to be there."""
        return self._by_place.get((app, cluster))

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str], ClusterPlan]:
        return {(one.app, one.cluster): one for one in self.clusters}


class Items:
    """Each distinct resource once: the clusters of an app mostly share theirs, and so do its revisions."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Resource], Item] = {}

    def of(self, resources: Iterable[Resource], *, label: str, namespace: str) -> tuple[Item, ...]:
        return tuple(self._one((label, namespace, resource)) for resource in resources)

    def _one(self, key: tuple[str, str, Resource]) -> Item:
        known = self._known.get(key)
        if known is None:
            label, namespace, resource = key
            known = Item(resource.name, resource.manifest, label, namespace, resource.approval)
            self._known[key] = known
        return known


def make_plan(context: AppContext, *, items: Items | None = None) -> Plan:
    """The plan of a context. A resource that is no Kubernetes object becomes an item with a problem, never an error.

    ``items`` are shared by plans that are compared, or read one after the other.
    """
    meta = context.meta
    namespace = (meta.namespace if meta else "") or DEFAULT_NAMESPACE
    status_context = context.status_context or context.id
    shared = Items() if items is None else items
    apps = []
    for app in context.apps:
        label = keys.deployment_label(status_context, app.name)
        read = partial(shared.of, label=label, namespace=namespace)
        clusters = tuple(_cluster(app.name, cluster, label, read) for cluster in app.clusters)
        apps.append(AppPlan(app.name, app.dependencies, clusters))
    level = (meta.level if meta else "") or ADMIN_LEVEL
    return Plan(context.id, status_context, level, namespace, tuple(apps), context.options, meta or Meta())


def _cluster(
    app: str, cluster: Cluster, label: str, items: Callable[[Iterable[Resource]], tuple[Item, ...]]
) -> ClusterPlan:
    return ClusterPlan(
        app=app,
        cluster=cluster.name,
        label=label,
        crds=items(cluster.crds),
        waves=_waves(items(cluster.resources)),
        events={event: items(found) for event, found in cluster.hooks.items()},
    )


def _waves(items: Iterable[Item]) -> tuple[Wave, ...]:
    return tuple(tuple(run) for _, run in groupby(items, key=lambda item: item.kind))


def _piece(obj: Json, label: str, namespace: str) -> Piece:
    prepared = prepare(obj, label=label)
    return Piece(ref_of(prepared, namespace=namespace), prepared, encode(prepared))
