"""One event carried out: over all apps and clusters at once, each pair on its own (rsync 8).

Nothing is remembered between two runs but what the bus and the clusters hold, so that a run which was cut off is simply
run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import structlog

from emco_common.appcontext.model import Dependency
from emco_common.appcontext.states import OperationStatus
from emco_common.appcontext.status import ContextStatus
from emco_common.errors import EmcoError
from emco_rsync.apply import apply_waves, install_crds
from emco_rsync.concurrent import concurrently
from emco_rsync.deployment import Deployment, Leftovers
from emco_rsync.hooks import run_hooks
from emco_rsync.links import Identity, Links
from emco_rsync.observe import expected_of
from emco_rsync.plan import AppPlan, ClusterPlan, Item, Plan, reduced
from emco_rsync.reading import read_item
from emco_rsync.recorder import Recorder
from emco_rsync.removal import remove_item, remove_waves
from emco_rsync.site import ApplySettings, Pace, Site
from emco_rsync.tracker import Tracker

_log = structlog.get_logger()
WATCH_AFTER_SECONDS = 0.5
"""An installation that takes longer is watched while it goes on."""


class Executor:
    """Carries out plans. Each method answers the reasons of what has failed for good; none is all is well."""

    def __init__(self, links: Links, tracker: Tracker, *, settings: ApplySettings, pace: Pace) -> None:
        self._links = links
        self._tracker = tracker
        self._settings = settings
        self._pace = pace

    async def install(self, plan: Plan, recorder: Recorder, status: ContextStatus) -> list[str]:
        """``status`` is the status context as it was before."""

        def finished(cluster: ClusterPlan, item: Item) -> bool:
            before = status.resource(cluster.app, cluster.cluster, item.resource)
            return before.success is True and before.reference == plan.context

        async def work(cluster: ClusterPlan) -> list[str]:
            return await self._bring(
                plan, cluster, recorder, lambda site: _install(site, lambda item: finished(cluster, item))
            )

        return await self._in_order(plan, work)

    async def update(self, deployment: Deployment, recorder: Recorder) -> list[str]:
        """Bring what is new or has changed, or was never acknowledged; the rest is not touched (rsync 10)."""
        plan = deployment.plan

        async def work(cluster: ClusterPlan) -> list[str]:
            def due(item: Item) -> bool:
                return not deployment.settled(cluster, item)

            changed = reduced(cluster, due)
            if changed.empty:
                return await self._leave(plan, cluster, recorder)
            return await self._bring(plan, cluster, recorder, lambda site: _update(site, changed))

        return await self._in_order(plan, work)

    async def prune(self, deployment: Deployment, leftovers: Leftovers, recorder: Recorder) -> list[str]:
        """Remove what the plan lacks, waves backwards; definitions stay (D6)."""
        runs = (self._prune(deployment, plan, plan.clusters, recorder) for plan in leftovers.plans)
        return [*leftovers.problems, *_flat(await concurrently(runs))]

    async def _prune(
        self, deployment: Deployment, source: Plan, clusters: tuple[ClusterPlan, ...], recorder: Recorder
    ) -> list[str]:
        wanted, leaving = deployment.plan, recorder.leaving()

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._links.use(_identity(source, cluster)) as link:
                site = Site(link, cluster, leaving, settings=self._settings, pace=self._pace)
                await remove_waves(site, cluster.removal_waves)
                await concurrently(remove_item(site, item) for item in cluster.hooks)
            if wanted.find(cluster.app, cluster.cluster) is None:
                await self._tracker.unfollow(cluster.label, cluster.cluster)
            return site.problems

        return await self._everywhere(clusters, work)

    async def remove(self, deployment: Deployment, leftovers: Leftovers, recorder: Recorder) -> list[str]:
        """On each cluster what other revisions have left, then hooks of deletion, everything backwards, and the hooks
        themselves (lifecycle defect 29)."""
        plan = deployment.plan

        async def on(name: str) -> list[str]:
            def here(clusters: Iterable[ClusterPlan]) -> tuple[ClusterPlan, ...]:
                return tuple(one for one in clusters if one.cluster == name)

            runs = (self._prune(deployment, left, here(left.clusters), recorder) for left in leftovers.plans)
            problems = _flat(await concurrently(runs))
            return problems + await self._everywhere(
                here(plan.clusters), lambda cluster: self._remove(plan, cluster, recorder)
            )

        names = {one.cluster for each in (plan, *leftovers.plans) for one in each.clusters}
        return [*leftovers.problems, *_flat(await concurrently(on(name) for name in sorted(names)))]

    async def read(self, plan: Plan, recorder: Recorder) -> list[str]:
        """Store the live objects that the context names (rsync 8.2 Read, D7)."""

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._links.use(_identity(plan, cluster)) as link:
                site = Site(link, cluster, recorder, settings=self._settings, pace=self._pace)
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

    async def unfollow(self, plan: Plan) -> None:
        """Returns when what the removed objects leave behind is gone as well, or has had its time."""
        await concurrently(self._tracker.unfollow(cluster.label, cluster.cluster) for cluster in plan.clusters)

    async def _everywhere(
        self, clusters: tuple[ClusterPlan, ...], work: Callable[[ClusterPlan], Coroutine[Any, Any, list[str]]]
    ) -> list[str]:
        async def alone(cluster: ClusterPlan) -> list[str]:
            if cluster.empty:
                return []
            try:
                return await work(cluster)
            except EmcoError as error:
                return [f"{cluster.app} on {cluster.cluster}: {error}"]
            except Exception:
                _log.exception("cluster_work_failed", app=cluster.app, cluster=cluster.cluster)
                return [f"{cluster.app} on {cluster.cluster}: internal error; the log of rsync tells more"]

        return _flat(await concurrently(alone(cluster) for cluster in clusters))

    async def _in_order(self, plan: Plan, work: Callable[[ClusterPlan], Coroutine[Any, Any, list[str]]]) -> list[str]:
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
                site = Site(link, cluster, recorder, settings=self._settings, pace=self._pace)
                recorder.touched(cluster.app, cluster.cluster)
                await work(site)
        finally:
            watch.cancel()
            self._tracker.watch(cluster.label, cluster.cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=not site.problems)
        return site.problems

    async def _leave(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder) -> list[str]:
        """Nothing changes on the cluster, which need not even be there; from now on this context speaks of it."""
        recorder.touched(cluster.app, cluster.cluster)
        await self._follow(plan, cluster, recorder)
        self._tracker.watch(cluster.label, cluster.cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=True)
        return []

    async def _remove(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder) -> list[str]:
        await self._follow(plan, cluster, recorder)
        self._tracker.watch(cluster.label, cluster.cluster)
        async with self._links.use(_identity(plan, cluster)) as link:
            site = Site(link, cluster, recorder, settings=self._settings, pace=self._pace)
            recorder.touched(cluster.app, cluster.cluster)
            if await run_hooks(site, cluster.pre_delete, finished=lambda _: False):
                await remove_waves(site, cluster.removal_waves)
                await run_hooks(site, cluster.post_delete, finished=lambda _: False)
                await concurrently(remove_item(site, item) for item in cluster.hooks)
            return site.problems

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


async def _install(site: Site, finished: Callable[[Item], bool]) -> None:
    """Definitions, hooks before, everything, hooks after; a failure of one keeps what would follow (rsync 8.2)."""
    if not await install_crds(site, site.plan.crds):
        return
    if not await run_hooks(site, site.plan.pre_install, finished=finished):
        return
    await apply_waves(site, site.plan.waves)
    if not site.problems:
        await run_hooks(site, site.plan.post_install, finished=finished)


async def _update(site: Site, changed: ClusterPlan) -> None:
    """Definitions first, then what has changed, in the same waves.

    That an object is under way is on the bus before it is sent: what comes instead of an update that was cut off must
    not take the object for what it was.
    """
    for item in (*changed.crds, *changed.regular):
        site.starts(item)
    await site.recorder.flush()
    if await install_crds(site, changed.crds):
        await apply_waves(site, changed.waves)


def _identity(plan: Plan, cluster: ClusterPlan) -> Identity:
    return Identity(cluster.cluster, plan.level, plan.namespace)


def _flat(lists: list[list[str]]) -> list[str]:
    return [entry for entries in lists for entry in entries]
