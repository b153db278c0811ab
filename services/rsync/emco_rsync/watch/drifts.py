"""Tells what others have changed of what was applied, and asks to have it brought back where that is wanted.

Per app and cluster one inspection at a time. What keeps coming back is healed ever less often, and keeps nothing else
waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from emco_common.errors import EmcoError
from emco_rsync.apply.site import Pace
from emco_rsync.measures import Measures
from emco_rsync.watch.followed import Followed, Place
from emco_rsync.watch.inspection import Inspector
from emco_rsync.watch.observe import Suspect, suspects

_log = structlog.get_logger()

Heal = Callable[[str, str, str, Iterable[str]], None]
"""Status context, app, cluster and resources that somebody has changed: to be brought back."""
LONGEST_SECONDS = 300.0
QUIET_SECONDS = 600.0
"""After which a healing is not held to be a repetition."""


@dataclass(slots=True)
class Healings:
    """Of one resource."""

    count: int = 0
    last: float = float("-inf")

    def delay(self, now: float) -> float:
        """Seconds until the next one: the first is not kept waiting."""
        if now - self.last > QUIET_SECONDS:
            self.count = 0
        return min(LONGEST_SECONDS, 2.0 ** min(self.count - 1, 20)) if self.count else 0.0

    def happened(self, now: float) -> None:
        self.count, self.last = self.count + 1, now


class Drifts:
    """``look_again`` is asked to have a place looked at once more, at once."""

    def __init__(
        self,
        *,
        inspector: Inspector,
        heal: Heal,
        pace: Pace,
        look_again: Callable[[Place], None],
        measures: Measures,
    ) -> None:
        self._measures = measures
        self._inspector = inspector
        self._heal = heal
        self._pace = pace
        self._look_again = look_again
        self._inspected: set[Place] = set()
        self._healed: dict[Place, dict[str, Healings]] = {}
        self._healing: set[tuple[Place, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self, followed: Followed) -> None:
        """Is what was applied still as it was applied? Returns at once; the answer is told when it is known."""
        app, cluster, watch = followed.expected.app, followed.expected.cluster, followed.watch
        acknowledged = followed.recorder.acknowledged(app, cluster)
        objects = watch.objects(followed.place[0])
        found = list(suspects(followed.expected.brought, objects, acknowledged, complete=followed.complete))
        settled = [one for one in found if not watch.behind((one.ref.kind, one.ref.namespace, one.ref.name))]
        unseen = followed.docket.open(settled, acknowledged)
        open_ones = {one.resource for one in (*unseen, *(one for one in found if one not in settled))}
        self._tell(followed, undecided=open_ones)
        if unseen and followed.place not in self._inspected:
            self._inspected.add(followed.place)
            self._start(self._inspect(followed, unseen), name=f"inspect {app} on {cluster}")

    def forget(self, followed: Followed) -> None:
        """It is not followed any more."""
        followed.docket.looked.clear()
        self._healed.pop(followed.place, None)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _inspect(self, followed: Followed, found: list[Suspect]) -> None:
        app, cluster = followed.expected.app, followed.expected.cluster
        try:
            await self._inspector.look(
                followed.docket,
                found,
                client=followed.watch.link.available,
                recorder=followed.recorder,
                expected=followed.expected,
            )
        except EmcoError as error:
            _log.info("drift_not_looked_at", app=app, cluster=cluster, why=str(error))
            await self._pace.sleep(self._pace.backoff.delay(2))
        except Exception:
            _log.exception("drift_not_looked_at", app=app, cluster=cluster)
            await self._pace.sleep(self._pace.backoff.delay(8))
        finally:
            self._inspected.discard(followed.place)
        self._look_again(followed.place)

    def _tell(self, followed: Followed, *, undecided: set[str]) -> None:
        app, cluster, recorder = followed.expected.app, followed.expected.cluster, followed.recorder
        texts = followed.docket.texts()
        for resource in recorder.drifted(app, cluster) if followed.complete else ():
            if resource not in texts and resource not in undecided:
                recorder.drift(app, cluster, resource, "")
                self._measures.drift("gone")
                _log.info("drift_gone", app=app, cluster=cluster, resource=resource)
        for resource, text in texts.items():
            if recorder.drift(app, cluster, resource, text):
                self._measures.drift("seen")
                _log.info("drift_seen", app=app, cluster=cluster, resource=resource, what=text)
        for resource in texts if followed.heal else ():
            if (followed.place, resource) not in self._healing:
                self._healing.add((followed.place, resource))
                self._start(self._have_healed(followed, resource), name=f"heal {resource} on {cluster}")

    async def _have_healed(self, followed: Followed, resource: str) -> None:
        """Until nothing is left to heal. What is undone is told of before it is."""
        app, cluster, docket = followed.expected.app, followed.expected.cluster, followed.docket
        healings = self._healed.setdefault(followed.place, {}).setdefault(resource, Healings())
        try:
            while docket.is_told(resource):
                await followed.recorder.flush()
                await self._pace.sleep(healings.delay(self._pace.clock()))
                if docket.is_told(resource):
                    healings.happened(self._pace.clock())
                    self._heal(followed.status_context, app, cluster, [resource])
        finally:
            self._healing.discard((followed.place, resource))

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
