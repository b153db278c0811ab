"""One event carried out: over all apps and clusters at once, each pair on its own (rsync 8). What leaves: ``leaving``.

Nothing is remembered between two runs but what the bus and the clusters hold, so that a run which was cut off is simply
run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from emco_common.appcontext.states import HookPhase, ResourceState
from emco_common.appcontext.status import ContextStatus
from emco_rsync.apply.ground import Ground, Work, flat, read_ahead
from emco_rsync.apply.healing import Fights, mend
from emco_rsync.apply.leaving import Removal
from emco_rsync.apply.order import Waiting, circle
from emco_rsync.apply.reading import read_item
from emco_rsync.apply.site import ApplySettings, Pace, Site
from emco_rsync.apply.steps import install, update
from emco_rsync.concurrent import concurrently
from emco_rsync.events.givenup import NOT_BROUGHT, GivenUp
from emco_rsync.plan.deployment import Deployment, Leftovers
from emco_rsync.plan.plan import AppPlan, ClusterPlan, Plan
from emco_rsync.reach.links import Links
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.tracker import Tracker

WATCH_AFTER_SECONDS = 0.5
"""An installation that takes longer is watched while it goes on."""


class Executor:
    """Carries out plans. Each method answers the reasons of what has failed for good; none is all is well."""

    def __init__(self, links: Links, tracker: Tracker, *, settings: ApplySettings, pace: Pace) -> None:
        self._ground = Ground(links, tracker, settings=settings, pace=pace)
        self._fights = Fights(pace.clock)
        self._tracker = tracker
        self._pace = pace
        self._ready_timeout = settings.ready_timeout

    async def install(self, deployment: Deployment, recorder: Recorder, *, given_up: GivenUp, again: bool) -> list[str]:
        """``again``: the event was begun before a restart. What was acknowledged as it is wanted, of whichever
        revision, and nobody changed since, is not sent again."""
        plan, status = deployment.plan, deployment.status

        async def work(cluster: ClusterPlan) -> list[str]:
            if status.cluster(cluster.app, cluster.cluster).reference:
                recorder.touched(cluster.app, cluster.cluster)
            finished = _finished(plan, cluster, status)
            missing = deployment.missing(cluster)
            await read_ahead((*missing.items, *cluster.hooks))
            return await self._bring(
                plan, cluster, recorder, lambda site: install(site, missing, finished=finished, again=again)
            )

        return await self._in_order(plan, recorder, self._or_left_out(plan, recorder, work, given_up))

    async def update(
        self, deployment: Deployment, recorder: Recorder, *, given_up: GivenUp, rollback: bool, again: bool
    ) -> list[str]:
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
            await read_ahead((*change.items, *cluster.hooks))
            return await self._bring(
                plan,
                cluster,
                recorder,
                lambda site: update(site, change, phase, finished=finished, again=again),
            )

        return await self._in_order(plan, recorder, self._or_left_out(plan, recorder, work, given_up))

    def removal(
        self, deployment: Deployment, recorder: Recorder, *, given_up: GivenUp, leftovers: Leftovers
    ) -> Removal:
        """What is to go, ready to be carried out."""
        waiting = self._waiting(deployment.plan, recorder)
        return Removal(self._ground, deployment, recorder, given_up=given_up, leftovers=leftovers, waiting=waiting)

    async def heal(self, plan: Plan) -> list[str]:
        """Put right what others have changed, if the deployment asks for that: exactly the resources of the plan, and
        of them those that a fresh look still finds changed. Where the context is not the one that is watched over any
        more, nothing is known of its objects, and nothing is done."""

        async def work(cluster: ClusterPlan) -> list[str]:
            recorder = self._tracker.recorder(cluster.label, cluster.cluster)
            if recorder is None or recorder.context != plan.context:
                return []
            await read_ahead(cluster.regular)
            async with self._ground.site(plan, cluster, recorder) as site:
                await mend(site, fights=self._fights)
            return site.problems

        return await self._everywhere(plan.clusters, work) if plan.options.heal else []

    async def read(self, plan: Plan, recorder: Recorder) -> list[str]:
        """Store the live objects that the context names (rsync 8.2 Read, D7)."""

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._ground.site(plan, cluster, recorder) as site:
                await concurrently(read_item(site, item, namespace=plan.namespace) for item in cluster.regular)
                return site.problems

        return await self._everywhere(plan.clusters, work)

    async def follow(self, plan: Plan, recorder: Recorder, *, complete: bool = True) -> None:
        """Watch over a context without working on it: after a restart, and ``complete`` ``False`` at its end."""
        for cluster in plan.clusters:
            if not cluster.empty:
                await self._ground.follow(plan, cluster, recorder)
                self._ground.watch(cluster)
                self._tracker.set_complete(cluster.label, cluster.cluster, complete=complete)

    async def unfollow(self, places: Iterable[tuple[str, str]]) -> None:
        """By deployment label and cluster. Returns when what the removed objects leave behind is gone as well, or has
        had its time."""
        await concurrently(self._tracker.unfollow(*place) for place in places)

    async def let_go(self, status_context: str) -> None:
        """Watch over it no longer and tell nothing more of it: from here on another process does."""
        await self._tracker.let_go(status_context)

    def _or_left_out(self, plan: Plan, recorder: Recorder, work: Work, given_up: GivenUp) -> Work:
        """The work; of a cluster that was given up, what was not brought is said to be so and is no problem."""

        async def done(cluster: ClusterPlan) -> list[str]:
            problems = await self._ground.unless_given_up(plan, cluster, work, given_up=given_up)
            if problems is not None:
                return problems
            given_up.left_out.append((cluster.app, cluster.cluster))
            for resource in cluster.named:
                if not recorder.is_applied(cluster.app, cluster.cluster, resource):
                    recorder.reason(cluster.app, cluster.cluster, resource, NOT_BROUGHT)
            return []

        return done

    def _waiting(self, plan: Plan, recorder: Recorder) -> Waiting:
        return Waiting(plan, recorder, self._tracker, pace=self._pace, timeout=self._ready_timeout)

    async def _everywhere(self, clusters: Iterable[ClusterPlan], work: Work) -> list[str]:
        return flat(await concurrently(self._ground.alone(cluster, work) for cluster in clusters))

    async def _in_order(self, plan: Plan, recorder: Recorder, work: Work) -> list[str]:
        """Every app on all its clusters at once, as soon as those that it depends on are there."""
        if found := circle(plan.apps):
            return [f"apps depend on each other in a circle: {found}"]
        loop = asyncio.get_running_loop()
        waiting = self._waiting(plan, recorder)
        deployed: dict[str, asyncio.Future[bool]] = {app.app: loop.create_future() for app in plan.apps}

        async def bring(app: AppPlan) -> list[str]:
            waits = (waiting.until(app, dependency, deployed) for dependency in app.dependencies)
            problems = [problem for problem in await concurrently(waits) if problem]
            if not problems:
                problems = await self._everywhere(app.clusters, work)
            deployed[app.app].set_result(not problems)
            return problems

        return flat(await concurrently(bring(app) for app in plan.apps))

    async def _bring(
        self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, work: Callable[[Site], Awaitable[None]]
    ) -> list[str]:
        await self._ground.follow(plan, cluster, recorder)
        watch = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._ground.watch, cluster)
        try:
            async with self._ground.site(plan, cluster, recorder, anew=False) as site:
                await work(site)
        finally:
            watch.cancel()
            self._ground.watch(cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=not site.problems)
        return site.problems

    async def _leave(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, phase: HookPhase | None) -> list[str]:
        """Nothing changes on the cluster, which need not even be there; from now on this context speaks of it."""
        recorder.touched(cluster.app, cluster.cluster)
        recorder.installed(cluster.app, cluster.cluster)
        if phase is not None:
            recorder.phase(cluster.app, cluster.cluster, phase)
        await self._ground.follow(plan, cluster, recorder)
        self._ground.watch(cluster)
        self._tracker.set_complete(cluster.label, cluster.cluster, complete=True)
        return []


def _finished(plan: Plan, cluster: ClusterPlan, status: ContextStatus) -> Callable[[str], bool]:
    """Which hooks had succeeded for this context, as of before."""

    def finished(resource: str) -> bool:
        kept = status.resource(cluster.app, cluster.cluster, resource)
        return kept.status == ResourceState.APPLIED and kept.success is True and kept.reference == plan.context

    return finished
