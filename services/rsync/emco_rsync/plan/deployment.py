"""A deployment over its revisions: what of a plan is there already, and what is there that the plan lacks. Pure.

What is recorded in the status context is the inventory: a resource with any state but ``Deleted`` may be on its
cluster, and the context it refers to has its manifest. Only what is recorded as applied, from the same bytes, counts as
there (D25); everything else is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from emco_common.appcontext.states import HookPhase, ResourceState
from emco_common.appcontext.status import ContextStatus, ResourceStatus
from emco_common.kube import Ref
from emco_rsync.plan.plan import CRD_KIND, AppPlan, ClusterPlan, Item, Plan, Wave

Address = tuple[str, str, str, str]
"""Group, kind, namespace, name: the same object in whatever version it is spoken of."""
Place = tuple[str, str]
"""App and cluster."""
DELETE_EVENTS = (HookPhase.DELETE.before, HookPhase.DELETE.after)


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to an app on a cluster. Without a ``phase`` it does nothing there."""

    phase: HookPhase | None
    crds: tuple[Item, ...] = ()
    waves: tuple[Wave, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        return (*self.crds, *(item for wave in self.waves for item in wave))


@dataclass(frozen=True, slots=True)
class Leftovers:
    """``plans`` hold what is to be removed, each with the identity and the order of the revision it came from. Where
    nothing of an app is wanted on a cluster any more its hooks of deletion are among it.

    ``problems`` are what cannot be removed because nobody knows any more what it is. The objects in ``doubtful`` stay
    if they turn out to have no namespace: then the plan has them, under another default namespace.
    """

    plans: tuple[Plan, ...] = ()
    problems: tuple[str, ...] = ()
    doubtful: frozenset[Ref] = frozenset()


@dataclass(frozen=True)
class Deployment:
    """``plan`` is what is wanted, ``status`` the status context. ``revisions`` are the plans of the contexts that the
    status refers to, by id (where nothing leaves, only of those that have the manifests), and ``formers`` the ids of
    those that were replaced and perhaps not cleaned up."""

    plan: Plan
    status: ContextStatus
    revisions: Mapping[str, Plan]
    formers: tuple[str, ...] = ()

    def change(self, cluster: ClusterPlan, *, rollback: bool) -> Change:
        """What is new or has changed, or was never acknowledged. An app that was never complete on the cluster is
        installed there (its hooks are those of an installation), another is upgraded or rolled back."""
        missing = self.missing(cluster)
        crds, due = missing.crds, missing.waves
        installed = self.status.cluster(cluster.app, cluster.cluster).installed
        if not installed:
            return Change(HookPhase.INSTALL, crds, due)
        if installed == self.plan.context and not crds and not due:
            return Change(None)
        return Change(HookPhase.ROLLBACK if rollback else HookPhase.UPGRADE, crds, due)

    def missing(self, cluster: ClusterPlan) -> Change:
        """What is not on the cluster as it is wanted, as that of an installation."""
        if (cluster.app, cluster.cluster) in self._unchanged and cluster.cluster not in self._changed:
            return Change(HookPhase.INSTALL)
        crds = tuple(item for item in cluster.crds if not self.settled(cluster, item))
        waves = (tuple(item for item in wave if not self.settled(cluster, item)) for wave in cluster.waves)
        return Change(HookPhase.INSTALL, crds, tuple(wave for wave in waves if wave))

    def settled(self, cluster: ClusterPlan, item: Item) -> bool:
        """Is it on the cluster as it is wanted, as far as is recorded, and has nobody been seen to change it?"""
        place = (cluster.app, cluster.cluster)
        kept = self.status.resource(*place, item.resource)
        former = self._item(kept.reference, place, item.resource)
        if kept.status != ResourceState.APPLIED or kept.drift or former is None or not former.alike(item):
            return False
        if cluster.cluster not in self._changed:
            return True
        claimed = {name for each in addresses(item) for name in self._claims.get((cluster.cluster, each), ())}
        # With another claim it has another owner at present, or had one that was not seen off.
        return not claimed - {(cluster.app, item.resource)}

    def leftovers(self) -> Leftovers:
        """What may be on the clusters and is not wanted there."""
        found: dict[Place, dict[str, tuple[str, Item]]] = {}
        problems = []
        for source, place, name in self._candidates():
            if source not in self.revisions:
                problems.append(f"{place[0]} on {place[1]}: {name}: context {source}, which knows it, does not exist")
                continue
            former = self._item(source, place, name)
            if former is not None and former.kind != CRD_KIND:  # definitions stay (D6)
                others = found.setdefault(place, {})
                others[name] = _joined(others.get(name), source, self._without_wanted(place[1], former))
        by_owner: dict[str, dict[Place, ClusterPlan]] = {}
        for place, items in found.items():
            owner, cluster_plan = self._leaving(place, items)
            by_owner.setdefault(owner, {})[place] = cluster_plan
        plans = tuple(_only(self.revisions[owner], clusters) for owner, clusters in sorted(by_owner.items()))
        return Leftovers(plans, tuple(problems), frozenset(self._doubtful(plans)))

    def stays(self) -> bool:
        """Is everything that may be there known to be what is wanted? Then nothing leaves, and who handled the clusters
        does not matter."""
        return not self._replaced and self._unchanged == self._records.keys()

    def names(self, resource: tuple[str, str, str]) -> bool:
        """Does the plan have a resource of this name (app, cluster, resource)?"""
        wanted = self.plan.find(*resource[:2])
        return wanted is not None and resource[2] in wanted.named

    def gone(self, place: Place) -> bool:
        """Is nothing of the app wanted on the cluster any more?"""
        wanted = self.plan.find(*place)
        return wanted is None or wanted.empty

    def untouched(self, place: Place) -> bool:
        """Was nothing ever sent there?"""
        return self.status.cluster(*place).reference is None and place not in self._recorded

    def _candidates(self) -> Iterator[tuple[str, Place, str]]:
        """Context, place and name of each resource that may be there under a name that the plan does not have, or at
        an address that it does not have (the same name in another namespace)."""
        for place, records in self._records.items():
            for resource, kept in records.items() if place not in self._unchanged else ():
                known = self._item(kept.reference, place, resource)
                if self._wants(place, known):
                    continue
                if not self.names((*place, resource)) or not self._has(place[1], known):
                    yield kept.reference or "", place, resource
        for former, one in self._replaced:
            place = (one.app, one.cluster)
            for name in self._dropped(one):
                item = one.named[name]
                if not self._wants(place, item) and not self._has(one.cluster, item):
                    yield former, place, name

    def _dropped(self, former: ClusterPlan) -> Iterator[str]:
        """Resources of a replaced plan that may have been sent and for which no record speaks, as their cluster was
        being worked on when the plan was replaced."""
        place = (former.app, former.cluster)
        if self.untouched(place):
            return
        for item in former.named.values():
            kept = self.status.resource(*place, item.resource)
            known = self._item(kept.reference, place, item.resource) if kept.status is not None else None
            if known is None or not known_as(known, item):
                yield item.resource

    def _wants(self, place: Place, item: Item | None) -> bool:
        """Is it, under its name and as it is, in the plan? (As may be answered without reading it.)"""
        wanted = self.plan.find(*place) if item is not None else None
        found = wanted.named.get(item.resource) if wanted is not None and item is not None else None
        return found is not None and item is not None and item.alike(found)

    def _item(self, context: str | None, place: Place, name: str) -> Item | None:
        plan = self.revisions.get(context or "")
        cluster = plan.find(*place) if plan else None
        return cluster.named.get(name) if cluster else None

    def _has(self, cluster: str, item: Item | None) -> bool:
        """Does the plan have all objects of this resource, under whatever name? (Of one that is not known: yes.)"""
        return item is None or self._addresses(cluster).issuperset(addresses(item))

    def _leaving(self, place: Place, items: Mapping[str, tuple[str, Item]]) -> tuple[str, ClusterPlan]:
        """Everything that leaves a place, in the waves it came in, and the context whose identity and hooks count."""
        sources = dict.fromkeys(source for source, _ in items.values())
        handled = self.status.cluster(*place).reference or ""
        owner = handled if handled in self.revisions and self.revisions[handled].find(*place) else next(iter(sources))
        waves: list[Wave] = []
        regular: set[str] = set()
        for source in sources:
            cluster = self.revisions[source].find(*place)
            for wave in cluster.waves if cluster else ():
                kept = tuple(items[one.resource][1] for one in wave if items.get(one.resource, ("",))[0] == source)
                regular.update(item.resource for item in kept)
                waves += [kept] if kept else []
        own = self.revisions[owner].find(*place)
        assert own is not None  # an owner has the place: it was handled last, or one of its items is there
        events = {"": tuple(item for name, (_, item) in items.items() if name not in regular)}
        if self.gone(place):
            events |= {event: own.due(event) for event in DELETE_EVENTS}
        return owner, ClusterPlan(*place, own.label, waves=tuple(waves), events=events)

    def _without_wanted(self, cluster: str, item: Item) -> Item:
        """An object that the plan has under another name stays."""
        wanted = self._addresses(cluster)
        return item.of(piece for piece in item.pieces if address(piece.ref) not in wanted)

    def _doubtful(self, plans: Iterable[Plan]) -> Iterator[Ref]:
        for plan in plans:
            for one in plan.clusters if plan.namespace != self.plan.namespace else ():
                wanted = {(group, kind, name) for group, kind, _, name in self._addresses(one.cluster)}
                refs = (piece.ref for item in one.named.values() for piece in item.pieces)
                yield from (ref for ref in refs if (ref.kind.group, ref.kind.kind, ref.name) in wanted)

    def _addresses(self, cluster: str) -> frozenset[Address]:
        return self._wanted.get(cluster, frozenset())

    @cached_property
    def _wanted(self) -> Mapping[str, frozenset[Address]]:
        by_cluster: dict[str, set[Address]] = {}
        for one in self.plan.clusters:
            for item in one.named.values():
                by_cluster.setdefault(one.cluster, set()).update(addresses(item))
        return {cluster: frozenset(found) for cluster, found in by_cluster.items()}

    @cached_property
    def _changed(self) -> frozenset[str]:
        """The clusters on which something may be that the plan does not have just so. On the others every object has
        the name, and so the owner, that it had."""
        found = {one.cluster for _, one in self._replaced if any(self._dropped(one))}
        for place, records in self._records.items():
            if place[1] not in found and place not in self._unchanged:
                known = (self._item(kept.reference, place, resource) for resource, kept in records.items())
                if not all(self._wants(place, one) for one in known):
                    found.add(place[1])
        return frozenset(found)

    @cached_property
    def _unchanged(self) -> frozenset[Place]:
        """Where all that is wanted is recorded as applied, from the same bytes, and nothing else may be there: as most
        places are in most updates, so that they are compared as wholes."""
        return frozenset(place for place, records in self._records.items() if self._is_unchanged(place, records))

    def _is_unchanged(self, place: Place, records: Mapping[str, ResourceStatus]) -> bool:
        wanted = self.plan.find(*place)
        if wanted is None or records.keys() != wanted.named.keys():
            return False
        states = {id(kept): kept for kept in records.values()}.values()  # few: equal ones are mostly the same
        return all(
            kept.status == ResourceState.APPLIED and not kept.drift and self._same(kept.reference or "", wanted)
            for kept in states
        )

    def _same(self, context: str, wanted: ClusterPlan) -> bool:
        """Had a revision there just what is wanted?"""
        plan = self.revisions.get(context)
        former = plan.find(wanted.app, wanted.cluster) if plan else None
        return former is not None and (former is wanted or former.named == wanted.named)

    @cached_property
    def _records(self) -> Mapping[Place, Mapping[str, ResourceStatus]]:
        """Of what may be there, by resource."""
        found: dict[Place, dict[str, ResourceStatus]] = {}
        for (app, cluster, resource), kept in self.status.resources.items():
            if may_be_there(kept):
                found.setdefault((app, cluster), {})[resource] = kept
        return found

    @cached_property
    def _replaced(self) -> tuple[tuple[str, ClusterPlan], ...]:
        """What the replaced revisions had that may be there without a record that speaks for it, with their ids."""
        found = []
        for former in self.formers:
            plan = self.revisions.get(former)
            for one in plan.clusters if plan else ():
                place = (one.app, one.cluster)
                wanted = self.plan.find(*place)
                if place not in self._unchanged or wanted is None or not self._same(former, wanted):
                    found.append((former, one))
        return tuple(found)

    @cached_property
    def _claims(self) -> Mapping[tuple[str, Address], set[tuple[str, str]]]:
        """By cluster and address, the names (app, resource) under which an object may have been sent."""
        found: dict[tuple[str, Address], set[tuple[str, str]]] = {}
        for (app, cluster), records in self._records.items():
            for resource, kept in records.items():
                item = self._item(kept.reference, (app, cluster), resource)
                for each in addresses(item) if item else ():
                    found.setdefault((cluster, each), set()).add((app, resource))
        for _, one in self._replaced:
            for name in self._dropped(one):
                for each in addresses(one.named[name]):
                    found.setdefault((one.cluster, each), set()).add((one.app, name))
        return found

    @cached_property
    def _recorded(self) -> frozenset[Place]:
        return frozenset(place[:2] for place, kept in self.status.resources.items() if kept.status is not None)


def may_be_there(kept: ResourceStatus) -> bool:
    return kept.status not in (None, ResourceState.DELETED)


def sources(status: ContextStatus) -> set[str]:
    """The contexts that have the manifests of what may be there."""
    return {kept.reference for kept in status.resources.values() if may_be_there(kept) and kept.reference}


def referred(status: ContextStatus) -> set[str]:
    """The contexts that the records of what may be there refer to; with those that handled the clusters last, in whose
    name something leaves."""
    places = {place[:2] for place, kept in status.resources.items() if may_be_there(kept)}
    return sources(status) | {context for place in places if (context := status.cluster(*place).reference)}


def known_as(known: Item, item: Item) -> bool:
    """Does what is said of the one hold for all objects of the other?"""
    return known.alike(item) or set(addresses(known)).issuperset(addresses(item))


def _joined(former: tuple[str, Item] | None, source: str, item: Item) -> tuple[str, Item]:
    """One name may have stood for several objects."""
    if former is None:
        return source, item
    return former[0], former[1].of((*former[1].pieces, *item.pieces))


def address(ref: Ref) -> Address:
    return ref.kind.group, ref.kind.kind, ref.namespace, ref.name


def addresses(item: Item) -> Iterable[Address]:
    return (address(piece.ref) for piece in item.pieces)


def _only(plan: Plan, clusters: Mapping[Place, ClusterPlan]) -> Plan:
    """The plan with nothing but these."""
    apps: dict[str, list[ClusterPlan]] = {}
    for (app, _), cluster in clusters.items():
        apps.setdefault(app, []).append(cluster)
    return replace(plan, apps=tuple(AppPlan(app, (), tuple(found)) for app, found in apps.items()))
