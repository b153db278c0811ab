"""One event carried out: over all apps and clusters at once, each pair on its own (rsync 8).

Nothing is remembered between two runs but what the bus and the clusters hold, so that a run which was cut off is simply
run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from emco_common.appcontext.model import Dependency
from emco_common.appcontext.states import Connectivity, HookPhase, OperationStatus, ResourceState
from emco_common.appcontext.status import ContextStatus
from emco_common.errors import EmcoError
from emco_rsync.concurrent import concurrently
from emco_rsync.deployment import Deployment, Leftovers
from emco_rsync.givenup import GRACE_SECONDS, UNKNOWN, GivenUp
from emco_rsync.links import Identity, Link, Links, admin_of
from emco_rsync.observe import expected_of
from emco_rsync.plan import AppPlan, ClusterPlan, Plan
from emco_rsync.reading import read_item
from emco_rsync.recorder import Recorder
from emco_rsync.removal import cluster_scoped, without
from emco_rsync.site import ApplySettings, Pace, Site
from emco_rsync.steps import install, take_away, update
from emco_rsync.tracker import Tracker

_log = structlog.get_logger()
WATCH_AFTER_SECONDS = 0.5
"""An installation that takes longer is watched while it goes on."""


Work = Callable[[ClusterPlan], Coroutine[Any, Any, list[str]]]
"""On one cluster; answers the reasons of what has failed for good."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to go. ``remarks`` are filled with what is not known to be gone, ``left`` with the places (deployment
    label, cluster) where nothing of an app is wanted any more."""

    deployment: Deployment
    recorder: Recorder
    given_up: GivenUp
    leftovers: Leftovers
    remarks: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


class Executor:
    """Carries out plans. Each method answers the reasons of what has failed for good; none is all is well."""

    def __init__(self, links: Links, tracker: Tracker, *, settings: ApplySettings, pace: Pace) -> None:
        self._links = links
        self._tracker = tracker
        self._settings = settings
        self._pace = pace

    async def install(self, plan: Plan, recorder: Recorder, status: ContextStatus, *, again: bool) -> list[str]:
        """``status`` is the status context as it was before. ``again``: the event was begun before a restart."""

        async def work(cluster: ClusterPlan) -> list[str]:
            if status.cluster(cluster.app, cluster.cluster).reference:
                recorder.touched(cluster.app, cluster.cluster)
            finished = _finished(plan, cluster, status)
            return await self._bring(
                plan, cluster, recorder, lambda site: install(site, finished=finished, again=again)
            )

        return await self._in_order(plan, work)

    async def update(self, deployment: Deployment, recorder: Recorder, *, rollback: bool, again: bool) -> list[str]:
        """Bring what is new or has changed, or was never acknowledged; the rest is not touched (rsync 10)."""
        plan = deployment.plan

        async def work(cluster: ClusterPlan) -> list[str]:
            change = deployment.change(cluster, rollback=rollback)
            phase = change.phase
            if phase is None or not (change.items or cluster.due(phase.before) or cluster.due(phase.after)):
                return await self._leave(plan, cluster, recorder, phase)
            if not deployment.untouched((cluster.app, cluster.cluster)):
                recorder.touched(cluster.app, cluster.cluster)
            finished = _finished(plan, cluster, deployment.status)
            return await self._bring(
                plan,
                cluster,
                recorder,
                lambda site: update(site, change, phase, finished=finished, again=again),
            )

        return await self._in_order(plan, work)

    async def prune(self, removal: Removal) -> list[str]:
        """Remove what the plan lacks: hooks of deletion where nothing of an app stays, then waves backwards."""
        runs = (self._prune(removal, source, one) for source in removal.leftovers.plans for one in source.clusters)
        return [*removal.leftovers.problems, *_flat(await concurrently(runs))]

    async def remove(self, removal: Removal) -> list[str]:
        """On each cluster what other revisions have left, then what the plan brought (lifecycle defect 29)."""
        plan = removal.deployment.plan
        left: dict[str, list[tuple[Plan, ClusterPlan]]] = {}
        for source in removal.leftovers.plans:
            for one in source.clusters:
                left.setdefault(one.cluster, []).append((source, one))
        own: dict[str, list[ClusterPlan]] = {}
        for one in plan.clusters:
            own.setdefault(one.cluster, []).append(one)

        async def on(cluster: str) -> list[str]:
            problems = await concurrently(self._prune(removal, *one) for one in left.get(cluster, ()))
            problems += await concurrently(self._remove(removal, one) for one in own.get(cluster, ()))
            return _flat(problems)

        found = await concurrently(on(cluster) for cluster in sorted({*left, *own}))
        return [*removal.leftovers.problems, *_flat(found)]

    async def read(self, plan: Plan, recorder: Recorder) -> list[str]:
        """Store the live objects that the context names (rsync 8.2 Read, D7)."""

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._links.use(_identity(plan, cluster)) as link:
                site = self._site(link, cluster, recorder)
                await concurrently(read_item(site, item, namespace=plan.namespace) for item in cluster.regular)
                return site.problems

        return await self._everywhere(plan.clusters, work)

    async def follow(self, plan: Plan, recorder: Recorder, *, complete: bool = True) -> None:
        """Watch over a context without working on it: after a restart, and ``complete`` ``False`` at its end."""
        for cluster in plan.clusters:
            if not cluster.empty:
                await self._follow(plan, cluster, recorder)
                self._tracker.watch(cluster.label, cluster.cluster)
                self._tracker.set_complete(cluster.label, cluster.cluster, complete=complete)

    async def unfollow(self, places: Iterable[tuple[str, str]]) -> None:
        """By deployment label and cluster. Returns when what the removed objects leave behind is gone as well, or has
        had its time."""
        await concurrently(self._tracker.unfollow(*place) for place in places)

    def _site(self, link: Link, cluster: ClusterPlan, recorder: Recorder) -> Site:
        return Site(
            link,
            cluster,
            recorder,
            settings=self._settings,
            pace=self._pace,
            saw=self._tracker.saw,
            admin=lambda: self._links.use(admin_of(cluster.cluster)),
        )

    async def _everywhere(self, clusters: Iterable[ClusterPlan], work: Work) -> list[str]:
        return _flat(await concurrently(self._alone(cluster, work) for cluster in clusters))

    async def _alone(self, cluster: ClusterPlan, work: Work) -> list[str]:
        """What happens here is no affair of other clusters."""
        if cluster.empty:
            return []
        try:
            return await work(cluster)
        except EmcoError as error:
            return [f"{cluster.app} on {cluster.cluster}: {error}"]
        except Exception:
            _log.exception("cluster_work_failed", app=cluster.app, cluster=cluster.cluster)
            return [f"{cluster.app} on {cluster.cluster}: internal error; the log of rsync tells more"]

    async def _in_order(self, plan: Plan, work: Work) -> list[str]:
        """Every app on all its clusters at once, as soon as those that it depends on are there."""
        loop = asyncio.get_running_loop()
        deployed: dict[str, asyncio.Future[bool]] = {app.app: loop.create_future() for app in plan.apps}

        async def bring(app: AppPlan) -> list[str]:
            waits = (self._await(app, dependency, plan, deployed) for dependency in app.dependencies)
            problems = [problem for problem in await concurrently(waits) if problem]
            if not problems:
                problems = await self._everywhere(app.clusters, work)
            deployed[app.app].set_result(not problems)
            return problems

        return _flat(await concurrently(bring(app) for app in plan.apps))

    async def _bring(
        self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, work: Callable[[Site], Awaitable[None]]
    ) -> list[str]:
        await self._follow(plan, cluster, recorder)
        watch = asyncio.get_running_loop().call_later(
            WATCH_AFTER_SECONDS, self._tracker.watch, cluster.label, cluster.cluster
        )
        try:
            async with self._links.use(_identity(plan, cluster)) as link:
                site = self._site(link, cluster, recorder)
                await work(site)
        finally:
            watch.cancel()
            self._tracker.watch(cluster.label, cluster.cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=not site.problems)
        return site.problems

    async def _leave(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, phase: HookPhase | None) -> list[str]:
        """Nothing changes on the cluster, which need not even be there; from now on this context speaks of it."""
        recorder.touched(cluster.app, cluster.cluster)
        recorder.installed(cluster.app, cluster.cluster)
        if phase is not None:
            recorder.phase(cluster.app, cluster.cluster, phase)
        await self._follow(plan, cluster, recorder)
        self._tracker.watch(cluster.label, cluster.cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=True)
        return []

    async def _remove(self, removal: Removal, cluster: ClusterPlan) -> list[str]:
        plan, recorder = removal.deployment.plan, removal.recorder
        if removal.deployment.untouched((cluster.app, cluster.cluster)):
            return []

        async def work(cluster: ClusterPlan) -> list[str]:
            await self._follow(plan, cluster, recorder)
            self._tracker.watch(cluster.label, cluster.cluster)
            recorder.touched(cluster.app, cluster.cluster)
            return await self._take_away(plan, cluster, recorder)

        return await self._alone(cluster, lambda one: self._unless_given_up(removal, plan, one, recorder, work))

    async def _prune(self, removal: Removal, source: Plan, cluster: ClusterPlan) -> list[str]:
        deployment = removal.deployment
        recorder = removal.recorder.leaving(source.context, silent=deployment.names)
        gone = deployment.gone((cluster.app, cluster.cluster))

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._links.use(_identity(source, cluster)) as link:
                site = self._site(link, cluster, recorder)
                doubtful = await cluster_scoped(site, removal.leftovers.doubtful)
            return await self._take_away(source, without(cluster, doubtful), recorder, gone=gone)

        problems = await self._alone(cluster, lambda one: self._unless_given_up(removal, source, one, recorder, work))
        if gone:
            removal.left.append((cluster.label, cluster.cluster))
        return problems

    async def _take_away(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, *, gone: bool = True) -> list[str]:
        async with self._links.use(_identity(plan, cluster)) as link:
            site = self._site(link, cluster, recorder)
            await take_away(site)
            if gone and not site.problems:
                recorder.installed(cluster.app, cluster.cluster, context="")
            return site.problems

    async def _unless_given_up(
        self, removal: Removal, plan: Plan, cluster: ClusterPlan, recorder: Recorder, work: Work
    ) -> list[str]:
        """The problems of the work. A cluster that was given up gets no more time once it is known to be away, and
        little otherwise; what is then not known to be gone is said to be so."""
        away = asyncio.Event()

        async def lost() -> None:
            await removal.given_up.named(cluster.cluster)
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await away.wait()

        async with self._links.use(_identity(plan, cluster)) as link:
            unheard = link.listen(lambda state, _: (away.set if state is Connectivity.RETRYING else away.clear)())
            run, waiting = asyncio.create_task(work(cluster)), asyncio.create_task(lost())
            try:
                await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if run.done():
                    return run.result()
            finally:
                unheard()
                for task in (run, waiting):
                    task.cancel()
                await asyncio.gather(run, waiting, return_exceptions=True)
        for item in cluster.named.values():
            if recorder.may_be_there(cluster.app, cluster.cluster, item.resource):
                recorder.reason(cluster.app, cluster.cluster, item.resource, UNKNOWN)
        removal.remarks.append(f"{cluster.app} on {cluster.cluster}: {UNKNOWN}")
        return []

    async def _follow(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder) -> None:
        await self._tracker.follow(
            expected_of(cluster),
            status_context=plan.status_context,
            identity=_identity(plan, cluster),
            recorder=recorder,
        )

    async def _await(
        self, app: AppPlan, dependency: Dependency, plan: Plan, deployed: Mapping[str, asyncio.Future[bool]]
    ) -> str:
        """Wait for another app (rsync 8.1); why that is in vain, or ``""``. One that is not there is not waited for."""
        other = next((other for other in plan.apps if other.app == dependency.app), None)
        if other is None:
            return ""
        if not await asyncio.shield(deployed[other.app]):
            return f"{app.app}: not started, because {other.app}, which it depends on, has failed"
        if dependency.op_status == OperationStatus.READY:
            clusters = [cluster for cluster in other.clusters if not cluster.empty]
            await concurrently(self._tracker.until_ready(one.label, one.cluster) for one in clusters)
        await self._pace.sleep(dependency.wait)
        return ""


def _finished(plan: Plan, cluster: ClusterPlan, status: ContextStatus) -> Callable[[str], bool]:
    """Which hooks had succeeded for this context, as of before."""

    def finished(resource: str) -> bool:
        kept = status.resource(cluster.app, cluster.cluster, resource)
        return kept.status == ResourceState.APPLIED and kept.success is True and kept.reference == plan.context

    return finished


def _identity(plan: Plan, cluster: ClusterPlan) -> Identity:
    return Identity(cluster.cluster, plan.level, plan.namespace)


def _flat(lists: list[list[str]]) -> list[str]:
    return [entry for entries in lists for entry in entries]
