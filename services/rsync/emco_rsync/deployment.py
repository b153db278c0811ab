"""A deployment over its revisions: what of a plan is there already, and what is there that the plan lacks. Pure.

What is recorded in the status context is the inventory: a resource with any state but ``Deleted`` may be on its
cluster, and the context it refers to has its manifest. Only what is recorded as applied, from the same bytes, counts as
there (D25); everything else is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from emco_common.appcontext.states import ResourceState
from emco_common.appcontext.status import ContextStatus, ResourceStatus
from emco_common.kube import Ref
from emco_rsync.plan import CRD_KIND, AppPlan, ClusterPlan, Item, Plan

Address = tuple[str, str, str, str]
"""Group, kind, namespace, name: the same object in whatever version it is spoken of."""
Place = tuple[str, str]
"""App and cluster."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """``plans`` hold what is to be removed, each with the identity and the order of the revision it came from;
    ``problems`` are what cannot be removed because nobody knows any more what it is."""

    plans: tuple[Plan, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """``plan`` is what is wanted, ``status`` the status context. ``revisions`` are the plans of the contexts that the
    status refers to, by id, and ``formers`` the ids of those that were replaced and perhaps not cleaned up."""

    plan: Plan
    status: ContextStatus
    revisions: Mapping[str, Plan]
    formers: tuple[str, ...] = ()

    def settled(self, cluster: ClusterPlan, item: Item) -> bool:
        """Is it on the cluster as it is wanted, as far as is recorded?"""
        kept = self.status.resource(cluster.app, cluster.cluster, item.resource)
        source = self.revisions.get(kept.reference or "")
        if kept.status != ResourceState.APPLIED or source is None:
            return False
        found = source.find(cluster.app, cluster.cluster)
        former = found.named.get(item.resource) if found else None
        alike = (source.namespace, source.status_context) == (self.plan.namespace, self.plan.status_context)
        return alike and former is not None and former.text == item.text

    def leftovers(self) -> Leftovers:
        """What may be on the clusters and is not wanted there."""
        unwanted: dict[str, dict[Place, dict[str, Item]]] = {}
        problems = []
        for source, place, item in self._candidates():
            if source not in self.revisions:
                problems.append(f"{place[0]} on {place[1]}: {item}: context {source}, which knows it, does not exist")
                continue
            found = self.revisions[source].find(*place)
            former = found.named.get(item) if found else None
            if former is not None and former.kind != CRD_KIND:  # definitions stay (D6)
                unwanted.setdefault(source, {}).setdefault(place, {})[item] = self._without_wanted(place[1], former)
        plans = tuple(_only(self.revisions[source], places) for source, places in unwanted.items())
        return Leftovers(plans, tuple(problems))

    def _candidates(self) -> Iterator[tuple[str, Place, str]]:
        """Context, place and name of each resource that may be there under a name that the plan does not have, or at
        an address that it does not have."""
        for (app, cluster, resource), kept in self.status.resources.items():
            wanted = self.plan.find(app, cluster)
            if may_be_there(kept) and (wanted is None or resource not in wanted.named):
                yield kept.reference or "", (app, cluster), resource
        for former in self.formers:
            plan = self.revisions.get(former)
            for one in plan.clusters if plan else ():
                yield from ((former, (one.app, one.cluster), name) for name in self._dropped(one))

    def _dropped(self, former: ClusterPlan) -> Iterator[str]:
        """Resources of a replaced plan that have no record, as their cluster was being worked on when it was replaced,
        and those that now stand for another object (the same name in another namespace)."""
        if self.status.cluster(former.app, former.cluster).reference is None:
            return  # nothing was ever sent there
        wanted = self.plan.find(former.app, former.cluster)
        named = wanted.named if wanted else {}
        for item in former.installed:
            kept = self.status.resource(former.app, former.cluster, item.resource)
            if item.resource in named:
                if not self._addresses(former.cluster).issuperset(addresses(item)):
                    yield item.resource
            elif kept.status is None:
                yield item.resource

    def _without_wanted(self, cluster: str, item: Item) -> Item:
        """An object that the plan has under another name stays."""
        wanted = self._addresses(cluster)
        return replace(item, pieces=tuple(piece for piece in item.pieces if address(piece.ref) not in wanted))

    def _addresses(self, cluster: str) -> frozenset[Address]:
        return self._wanted.get(cluster, frozenset())

    @cached_property
    def _wanted(self) -> Mapping[str, frozenset[Address]]:
        by_cluster: dict[str, set[Address]] = {}
        for one in self.plan.clusters:
            for item in one.named.values():
                by_cluster.setdefault(one.cluster, set()).update(addresses(item))
        return {cluster: frozenset(found) for cluster, found in by_cluster.items()}


def may_be_there(kept: ResourceStatus) -> bool:
    return kept.status not in (None, ResourceState.DELETED)


def referred(status: ContextStatus) -> set[str]:
    """The contexts that the records of what may be there refer to."""
    of_resources = {kept.reference for kept in status.resources.values() if may_be_there(kept)}
    return {context for context in of_resources if context}


def address(ref: Ref) -> Address:
    return ref.kind.group, ref.kind.kind, ref.namespace, ref.name


def addresses(item: Item) -> Iterable[Address]:
    return (address(piece.ref) for piece in item.pieces)


def _only(plan: Plan, places: Mapping[Place, Mapping[str, Item]]) -> Plan:
    """The plan with nothing but these resources."""
    apps = []
    for app in plan.apps:
        kept = (one for one in app.clusters if (one.app, one.cluster) in places)
        clusters = tuple(_reduced(one, places[one.app, one.cluster]) for one in kept)
        if clusters:
            apps.append(AppPlan(app.app, (), clusters))
    return replace(plan, apps=tuple(apps))


def _reduced(cluster: ClusterPlan, items: Mapping[str, Item]) -> ClusterPlan:
    waves = (tuple(items[item.resource] for item in wave if item.resource in items) for wave in cluster.waves)
    regular = {item.resource for item in cluster.regular}
    hooks = tuple(item for name, item in items.items() if name not in regular)
    return ClusterPlan(
        cluster.app, cluster.cluster, cluster.label, waves=tuple(wave for wave in waves if wave), other_hooks=hooks
    )
