"""What an instantiation or an update of a group would do on the clusters, found out without doing any of it.

The context is built as it would be, but never written; rsync is handed it and asks the clusters.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import aclosing

from emco_common.appcontext import AppContext, codec
from emco_common.errors import Conflict
from emco_common.lifecycle import Action, State
from emco_common.operations import Begun, Subject, Subjects
from emco_common.rpc import planapp_pb2
from emco_common.rsyncclient import RsyncLacksMethod
from emco_common.store.api import Key
from emco_orchestrator.building import Draft
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.planschemas import (
    Counts,
    DeploymentPlan,
    PlannedApp,
    PlannedCluster,
    PlannedField,
    PlannedObject,
    PlannedVerb,
)
from emco_orchestrator.procedures import Instantiate
from emco_orchestrator.removalguard import LeavesTooMany
from emco_orchestrator.revising import Update
from emco_orchestrator.tools import Tools

_RUNNING = (State.INSTANTIATED, State.INSTANTIATE_STOPPED)
_TO_APPROVE = (State.CREATED, State.UPDATED)
_LACKING = (
    "The resource synchronizer that is registered (controller rsync) knows no plans; register that of this version"
)


class Planner:
    """``timeout`` is how long all clusters together may take, in seconds."""

    def __init__(self, groups: Subjects, tools: Tools, *, timeout: float) -> None:
        self._groups = groups
        self._tools = tools
        self._timeout = timeout

    async def plan(self, key: Key, verb: PlannedVerb | None = None) -> DeploymentPlan:
        """``verb``: by default what the state of the group allows. Raises ``NotFound`` for an unknown group, and
        whatever the verb would be refused with."""
        group = await self._groups.read(key)
        self._groups.refuse_if_busy(group)
        wanted = verb or (PlannedVerb.UPDATE if group.state.state in _RUNNING else PlannedVerb.INSTANTIATE)
        notes: list[str] = []
        begun = await self._begin(group, wanted, notes)
        kept = group.state.status_context if begun.source else ""
        draft = await self._tools.builder.draft(group, begun.instance, status_context=kept)
        notes += _unheard(draft)
        if wanted is PlannedVerb.UPDATE:
            notes += await self._guarded(group, begun, draft.context)
        places = await self._asked(begun, draft.context)
        return _plan(wanted, draft.context, places, notes)

    async def _begin(self, group: Subject, verb: PlannedVerb, notes: list[str]) -> Begun:
        """The contexts that the verb would be about. A plan may be looked at before it is approved."""
        if verb is PlannedVerb.UPDATE:
            return await Update(self._tools).begin(group, {})
        if group.state.state in _TO_APPROVE:
            notes.append(f"{group.name} is not approved yet")
            approved = LIFECYCLE.next(Verb.APPROVE, group.state.state, name=group.name)
            assert approved is not None  # of both states
            group = group.with_state(group.state.then(Action(approved, time=self._groups.clock())))
        return await Instantiate(self._tools).begin(group, {})

    async def _guarded(self, group: Subject, begun: Begun, context: AppContext) -> list[str]:
        before = await self._tools.contexts.placement(begun.source)
        after = {app.name: frozenset(cluster.name for cluster in app.clusters) for app in context.apps}
        try:
            self._tools.guard.check(before, after, agreed=None, verb=Verb.UPDATE, name=group.name)
        except LeavesTooMany as error:
            return [str(error)]
        return []

    async def _asked(self, begun: Begun, context: AppContext) -> list[planapp_pb2.PlanAppPlace]:
        entries = await asyncio.to_thread(codec.encode, context)  # of thousands of clusters it takes a while
        asked = self._tools.rsync.plan(context.id, entries, replaces=begun.source, timeout=self._timeout)
        try:
            async with aclosing(asked) as places:
                return [place async for place in places]
        except RsyncLacksMethod as error:
            raise Conflict(_LACKING, detail=str(error)) from error


def _unheard(draft: Draft) -> list[str]:
    names = ", ".join(controller.name for controller in draft.unheard)
    return [f"controllers that would have their say were not asked, as nothing is written: {names}"] if names else []


def _plan(
    verb: PlannedVerb, context: AppContext, places: Iterable[planapp_pb2.PlanAppPlace], notes: list[str]
) -> DeploymentPlan:
    """Apps in their order, then those that are there no more; clusters by name; what comes before what goes."""
    found: dict[str, dict[str, PlannedCluster]] = {app.name: {} for app in context.apps}
    for place in sorted(places, key=lambda place: (place.app, place.cluster, place.leaves)):
        if not place.cluster:
            notes.append(place.reason)
            continue
        clusters = found.setdefault(place.app, {})
        clusters[place.cluster] = _joined(clusters.get(place.cluster), _cluster(place))
    apps = [PlannedApp(name=name, clusters=list(clusters.values())) for name, clusters in found.items() if clusters]
    counted = Counter(one.action for app in apps for cluster in app.clusters for one in cluster.resources)
    known: Mapping[str, int] = {name: count for name, count in counted.items() if name in Counts.model_fields}
    return DeploymentPlan(verb=verb, counts=Counts(**known), notes=notes, apps=apps)


def _joined(known: PlannedCluster | None, more: PlannedCluster) -> PlannedCluster:
    """What comes to a place and what leaves it."""
    if known is None:
        return more
    reason = "; ".join(dict.fromkeys(filter(None, (known.reason, more.reason))))
    return known.model_copy(update={"reason": reason, "resources": [*known.resources, *more.resources]})


def _cluster(place: planapp_pb2.PlanAppPlace) -> PlannedCluster:
    provider, _, name = place.cluster.partition("+")
    resources = [_object(one) for one in place.objects]
    return PlannedCluster(cluster_provider=provider, cluster=name, reason=place.reason, resources=resources)


def _object(one: planapp_pb2.PlanAppObject) -> PlannedObject:
    return PlannedObject(
        api_version=one.api_version,
        kind=one.kind,
        name=one.name,
        namespace=one.namespace,
        action=one.action,
        reason=one.reason,
        fields=[PlannedField(path=f.path, before=f.before, after=f.after, hidden=f.hidden) for f in one.fields],
    )
