"""Apps wait for one another: until when, what is said meanwhile, and why it was in vain (rsync 8.1)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping

from emco_common.appcontext.model import Dependency
from emco_common.appcontext.states import OperationStatus
from emco_rsync.apply.site import Pace
from emco_rsync.plan.plan import AppPlan, ClusterPlan, Plan
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.tracker import Tracker

TELL_SECONDS = 5.0
"""How often it is looked what readiness waits for."""
FIRST_LOOK_SECONDS = 0.2
_NAMED = 5


def circle(apps: Iterable[AppPlan]) -> str:
    """Apps that wait for each other, as ``a -> b -> a``; ``""`` if none do."""
    needs = {app.app: [dependency.app for dependency in app.dependencies] for app in apps}
    done: set[str] = set()

    def visit(app: str, path: tuple[str, ...]) -> str:
        if app in path:
            return " -> ".join((*path[path.index(app) :], app))
        if app in done or app not in needs:
            return ""
        found = next((found for need in needs[app] if (found := visit(need, (*path, app)))), "")
        done.add(app)
        return found

    return next((found for app in needs if (found := visit(app, ()))), "")


class Waiting:
    """Of the apps of one plan. ``timeout`` is how long readiness is waited for, in seconds, while the clusters are
    there; what is waited for is told with each resource of the app that waits."""

    def __init__(self, plan: Plan, recorder: Recorder, tracker: Tracker, *, pace: Pace, timeout: float) -> None:
        self._plan = plan
        self._recorder = recorder
        self._tracker = tracker
        self._pace = pace
        asked = plan.options.ready_timeout
        self._timeout = timeout if asked is None else asked or math.inf

    async def until(self, app: AppPlan, dependency: Dependency, deployed: Mapping[str, asyncio.Future[bool]]) -> str:
        """Why waiting was in vain, or ``""``. An app that is not there is not waited for."""
        other = next((other for other in self._plan.apps if other.app == dependency.app), None)
        if other is None:
            return ""
        if not deployed[other.app].done():
            self._tell(app, f"waits until app {other.app} is deployed")
        if not await asyncio.shield(deployed[other.app]):
            return self._in_vain(app, f"because {other.app}, which it depends on, has failed")
        if dependency.op_status == OperationStatus.READY:
            places = [cluster for cluster in other.clusters if not cluster.empty]
            why = await self.until_ready(places, tell=lambda text: self._tell(app, f"waits until {text}"))
            if why:
                return self._in_vain(app, f"because {why}")
        if dependency.wait:
            self._tell(app, f"waits {dependency.wait} s after app {other.app}")
            await self._pace.sleep(dependency.wait)
        self._tell(app, "")
        return ""

    async def until_ready(self, places: Iterable[ClusterPlan], *, tell: Callable[[str], None]) -> str:
        """Wait until all of an app is ready; why it is not in time, or ``""``."""
        waits = {
            asyncio.create_task(self._tracker.until_ready(one.label, one.cluster), name=f"ready {one.app}"): one
            for one in places
        }
        spent, pause = 0.0, FIRST_LOOK_SECONDS
        try:
            while waits:
                began = self._pace.clock()
                left = max(self._timeout - spent, 0.01)
                done, _ = await asyncio.wait(waits, timeout=min(pause, left), return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
                    del waits[one]
                if not any(self._tracker.is_away(one.label, one.cluster) for one in waits.values()):
                    spent += self._pace.clock() - began
                if waits and spent >= self._timeout:
                    return f"{self._named(waits.values(), 'was not')} within {self._timeout:g} s"
                if waits and not done:
                    limit = "" if math.isinf(self._timeout) else f", at most {self._timeout:g} s"
                    tell(f"{self._named(waits.values(), 'is')}{limit}")
                    pause = TELL_SECONDS
            return ""
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _named(self, places: Iterable[ClusterPlan], verb: str) -> str:
        """What is not ready, in few words."""
        first, *others = places
        missing = self._tracker.unready(first.label, first.cluster)
        listed = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
        clusters = f" and {len(others)} other clusters" if others else ""
        return f"app {first.app} {verb} ready on {first.cluster}{clusters}" + (
            f" (not yet: {listed})" if listed else ""
        )

    def _in_vain(self, app: AppPlan, why: str) -> str:
        self._tell(app, f"not started, {why}")
        return f"{app.app}: not started, {why}"

    def _tell(self, app: AppPlan, text: str) -> None:
        for cluster in app.clusters:
            for resource in cluster.named:
                self._recorder.reason(app.app, cluster.cluster, resource, text)
