"""What leaves the clusters at the end of an event: what a deployment lacks now, or all of it (rsync 8.2, 10)."""

from __future__ import annotations

from emco_rsync.apply.following import withdraw
from emco_rsync.apply.ground import Ground, Work, flat, read_ahead
from emco_rsync.apply.order import Waiting
from emco_rsync.apply.removal import cluster_scoped, without
from emco_rsync.apply.steps import take_away
from emco_rsync.concurrent import concurrently
from emco_rsync.events.givenup import UNKNOWN, GivenUp
from emco_rsync.plan.deployment import Deployment, Leftovers
from emco_rsync.plan.plan import ClusterPlan, Plan
from emco_rsync.record.recorder import Recorder


class Removal:
    """Of one event. ``remarks`` are filled with what is not known to be gone, ``left`` with the places (deployment
    label, cluster) where nothing of an app is wanted any more."""

    def __init__(
        self,
        ground: Ground,
        deployment: Deployment,
        recorder: Recorder,
        *,
        given_up: GivenUp,
        leftovers: Leftovers,
        waiting: Waiting,
    ) -> None:
        self.deployment = deployment
        self.remarks: list[str] = []
        self.left: list[tuple[str, str]] = []
        self._ground = ground
        self._recorder = recorder
        self._given_up = given_up
        self._leftovers = leftovers
        self._waiting = waiting

    async def prune(self) -> list[str]:
        """Remove what the plan lacks: hooks of deletion where nothing of an app stays, then waves backwards.

        An app that moves leaves its old clusters when the new ones have acknowledged it; where the deployment says how
        long readiness may take, when it is ready there (robustness 50).
        """
        late = await self._not_ready_where_they_go()
        runs = (
            self._prune(source, one)
            for source in self._leftovers.plans
            for one in source.clusters
            if (one.app, one.cluster) not in late
        )
        return [*self._leftovers.problems, *late.values(), *flat(await concurrently(runs))]

    async def _not_ready_where_they_go(self) -> dict[tuple[str, str], str]:
        """Why an app may not leave a cluster yet, by both."""
        plan, left_out = self.deployment.plan, dict(self._given_up.left_out)
        new = {app.app: [one for one in app.clusters if not one.empty] for app in plan.apps}
        leaves = [
            one
            for source in self._leftovers.plans
            for one in source.clusters
            if new.get(one.app) and self.deployment.gone((one.app, one.cluster))
        ]

        def tell(old: ClusterPlan, text: str) -> None:
            for resource in old.named:
                self._recorder.reason(old.app, old.cluster, resource, text)

        async def wait(old: ClusterPlan) -> str:
            if plan.options.ready_timeout is None and old.app not in left_out:
                return ""
            if old.app in left_out:
                why = f"{left_out[old.app]}, where it was to go, was given up"
            else:
                why = await self._waiting.until_ready(new[old.app], tell=lambda text: tell(old, f"stays until {text}"))
            tell(old, f"stays, because {why}" if why else "")
            return f"{old.app} on {old.cluster}: stays, because {why}" if why else ""

        found = await concurrently(wait(one) for one in leaves)
        return {(one.app, one.cluster): why for one, why in zip(leaves, found, strict=True) if why}

    async def remove(self) -> list[str]:
        """On each cluster what other revisions have left, then what the plan brought (lifecycle defect 29)."""
        left: dict[str, list[tuple[Plan, ClusterPlan]]] = {}
        for source in self._leftovers.plans:
            for one in source.clusters:
                left.setdefault(one.cluster, []).append((source, one))
        own: dict[str, list[ClusterPlan]] = {}
        for one in self.deployment.plan.clusters:
            own.setdefault(one.cluster, []).append(one)

        async def on(cluster: str) -> list[str]:
            problems = await concurrently(self._prune(*one) for one in left.get(cluster, ()))
            problems += await concurrently(self._remove(one) for one in own.get(cluster, ()))
            return flat(problems)

        found = await concurrently(on(cluster) for cluster in sorted({*left, *own}))
        return [*self._leftovers.problems, *flat(found)]

    async def _remove(self, cluster: ClusterPlan) -> list[str]:
        plan, recorder = self.deployment.plan, self._recorder
        if self.deployment.untouched((cluster.app, cluster.cluster)):
            return []

        async def work(cluster: ClusterPlan) -> list[str]:
            await self._ground.follow(plan, cluster, recorder)
            self._ground.watch(cluster)
            recorder.touched(cluster.app, cluster.cluster)
            return await self._take_away(plan, cluster, recorder)

        return await self._ground.alone(cluster, lambda one: self._unless_given_up(plan, one, recorder, work))

    async def _prune(self, source: Plan, cluster: ClusterPlan) -> list[str]:
        recorder = self._recorder.leaving(source.context, silent=self.deployment.names)
        gone = self.deployment.gone((cluster.app, cluster.cluster))

        async def work(cluster: ClusterPlan) -> list[str]:
            async with self._ground.site(source, cluster, recorder, anew=False) as site:
                doubtful = await cluster_scoped(site, self._leftovers.doubtful)
            return await self._take_away(source, without(cluster, doubtful), recorder, gone=gone)

        problems = await self._ground.alone(cluster, lambda one: self._unless_given_up(source, one, recorder, work))
        if gone:
            self.left.append((cluster.label, cluster.cluster))
        return problems

    async def _take_away(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, *, gone: bool = True) -> list[str]:
        await read_ahead(cluster.named.values())
        async with self._ground.site(plan, cluster, recorder, anew=False) as site:
            await take_away(site)
            if gone and not site.problems:
                await withdraw(site)
                recorder.installed(cluster.app, cluster.cluster, context="")
            return site.problems

    async def _unless_given_up(self, plan: Plan, cluster: ClusterPlan, recorder: Recorder, work: Work) -> list[str]:
        """The problems of the work. Of a cluster that was given up, what is not known to be gone is said to be so."""
        problems = await self._ground.unless_given_up(plan, cluster, work, given_up=self._given_up)
        if problems is not None:
            return problems
        for item in cluster.named.values():
            if recorder.may_be_there(cluster.app, cluster.cluster, item.resource):
                recorder.reason(cluster.app, cluster.cluster, item.resource, UNKNOWN)
        self.remarks.append(f"{cluster.app} on {cluster.cluster}: {UNKNOWN}")
        return []
