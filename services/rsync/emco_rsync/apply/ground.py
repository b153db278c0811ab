"""What work on any cluster stands on: the way to it, somebody who watches over it, and that trouble stays there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog

from emco_common.appcontext.states import Connectivity
from emco_common.errors import EmcoError
from emco_common.tracing.spans import Facts, traced
from emco_rsync.apply.site import ApplySettings, Pace, Site
from emco_rsync.concurrent import Turns
from emco_rsync.delivery.layout import Consignment
from emco_rsync.events.givenup import GRACE_SECONDS, GivenUp
from emco_rsync.fence import NotOwner
from emco_rsync.plan.plan import ClusterPlan, Item, Plan
from emco_rsync.reach.links import Link, Links
from emco_rsync.reach.slots import Busy
from emco_rsync.reach.ways import Identity, admin_of
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.observe import Expected, expected_of
from emco_rsync.watch.tracker import Tracker

_log = structlog.get_logger()

WORKED_ON_AT_ONCE = 64
"""Clusters: one is brought to its end before so many others are begun, however many a deployment has."""
PATIENCE_SECONDS = 1.0
"""A cluster that takes longer, while the process has time, is slow or away itself and keeps no other waiting."""

READ_AT_ONCE = 16_384
"""Characters of manifests that are read in between; that is some milliseconds."""

Work = Callable[[ClusterPlan], Coroutine[Any, Any, list[str]]]
"""On one cluster; answers the reasons of what has failed for good."""


class Ground:
    """One per process."""

    def __init__(self, links: Links, tracker: Tracker, *, settings: ApplySettings, pace: Pace) -> None:
        self._links = links
        self._tracker = tracker
        self._settings = settings
        self._pace = pace
        self._busy = Busy(WORKED_ON_AT_ONCE, patience=PATIENCE_SECONDS)
        self._reading = Turns()
        self._under_way: dict[tuple[str, str], Callable[[], None]] = {}
        """By deployment label and cluster: how to say that it only waits and others may be begun."""

    def link(self, plan: Plan, cluster: ClusterPlan, *, anew: bool = True) -> AbstractAsyncContextManager[Link]:
        """The way to the cluster as the user of the plan."""
        return self._links.use(_identity(plan, cluster), anew=anew)

    @asynccontextmanager
    async def site(
        self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, *, anew: bool = True
    ) -> AsyncIterator[Site]:
        """Where work is done; not ``anew`` within ``unless_given_up``."""
        async with self.link(plan, cluster, anew=anew) as link:
            unheard = link.listen(lambda state, _: self._heard(cluster, link, state))
            site = Site(
                link,
                cluster,
                recorder,
                consignment=consignment_of(plan, cluster),
                settings=self._settings,
                pace=self._pace,
                saw=self._tracker.saw,
                admin=lambda: self._links.use(admin_of(cluster.cluster)),
                options=plan.options,
            )
            try:
                yield site
            finally:
                site.outstanding.end()
                unheard()

    def _heard(self, cluster: ClusterPlan, link: Link, state: Connectivity) -> None:
        """Who is away keeps no other waiting, and what is gathered is to come together."""
        if state is Connectivity.RETRYING or link.gathers:
            self._under_way.get((cluster.label, cluster.cluster), lambda: None)()

    async def follow(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder) -> None:
        """From now on it is told whether the cluster is there."""
        await self._tracker.follow(
            await self._expected(cluster),
            status_context=plan.status_context,
            identity=_identity(plan, cluster),
            recorder=recorder,
            heal=plan.options.heal,
        )

    async def _expected(self, cluster: ClusterPlan) -> Expected:
        """What is known of the app already is not read again, for another cluster or another revision."""
        async with self._reading.of([cluster.label]):
            brought = self._tracker.brought(cluster.label, cluster.digest)
            if brought is not None:
                return Expected(cluster.cluster, brought)
            await read_ahead((*cluster.hooks, *cluster.regular))
            return expected_of(cluster)

    def watch(self, cluster: ClusterPlan) -> None:
        """From now on it is told what is on the cluster."""
        self._tracker.watch(cluster.label, cluster.cluster)

    async def unless_given_up(
        self, plan: Plan, cluster: ClusterPlan, work: Work, *, given_up: GivenUp
    ) -> list[str] | None:
        """The problems of the work; ``None`` if the cluster was given up before that was done. It then gets no more
        time once it is known to be away, and little otherwise."""
        away = asyncio.Event()

        async def lost() -> None:
            await given_up.named(cluster.cluster)
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await away.wait()

        async with self.link(plan, cluster) as link:
            unheard = link.listen(lambda state, _: (away.set if state is Connectivity.RETRYING else away.clear)())
            run, waiting = asyncio.create_task(work(cluster)), asyncio.create_task(lost())
            try:
                await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
                return run.result() if run.done() else None
            finally:
                unheard()
                for task in (run, waiting):
                    task.cancel()
                await asyncio.gather(run, waiting, return_exceptions=True)

    async def alone(self, cluster: ClusterPlan, work: Work) -> list[str]:
        """What happens here is no affair of other clusters."""
        if cluster.empty:
            return []
        try:
            facts: Facts = {
                "emco.app": cluster.app,
                "emco.cluster": cluster.cluster,
                "emco.objects": len(cluster.named),
            }
            async with self._busy.one(cluster.label) as only_waits:
                with traced(f"{cluster.app} on {cluster.cluster}", facts) as span:
                    problems = await self._worked_on(cluster, work, only_waits)
                    if problems:
                        span.fail("failed")
                    return problems
        except NotOwner:
            raise  # nothing is to be said of it either
        except EmcoError as error:
            return [f"{cluster.app} on {cluster.cluster}: {error}"]
        except Exception:
            _log.exception("cluster_work_failed", app=cluster.app, cluster=cluster.cluster)
            return [f"{cluster.app} on {cluster.cluster}: internal error; the log of rsync tells more"]

    async def _worked_on(self, cluster: ClusterPlan, work: Work, only_waits: Callable[[], None]) -> list[str]:
        place = (cluster.label, cluster.cluster)
        self._under_way[place] = only_waits
        try:
            return await work(cluster)
        finally:
            if self._under_way.get(place) is only_waits:
                del self._under_way[place]


def consignment_of(plan: Plan, cluster: ClusterPlan) -> Consignment:
    """What the app brings to the cluster, for those who write it down instead of sending it."""
    meta = plan.meta
    return Consignment(
        context=plan.status_context,
        app=cluster.app,
        label=cluster.label,
        level=plan.level,
        namespace=plan.namespace,
        cloud=meta.logical_cloud,
        cloud_namespace=meta.logical_cloud_namespace,
        cloud_level=meta.logical_cloud_level,
    )


async def read_ahead(items: Iterable[Item]) -> None:
    """Make the objects of what is about to be worked on where that takes its time, so that nobody waits for it."""
    unread = [item for item in items if not item.is_read]
    if sum(len(item.text) for item in unread) > READ_AT_ONCE:
        await asyncio.to_thread(lambda: [item.pieces for item in unread])


def flat(lists: list[list[str]]) -> list[str]:
    return [entry for entries in lists for entry in entries]


def _identity(plan: Plan, cluster: ClusterPlan) -> Identity:
    return Identity(cluster.cluster, plan.level, plan.namespace)
