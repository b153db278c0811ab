"""A service with objects to watch, reduced to what status streams need of it: histories, contexts on a bus, a bell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from emco_common.appcontext import AppContext, AppContextStore, ClusterStatus, ClusterUpdate, keys, values
from emco_common.appcontext.status import encode_status
from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.limits import batches
from emco_common.errors import EmcoError, NotFound
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.status import DEPLOYMENT_INTENT_GROUP, Dialect, Standing, StatusReader
from emco_common.status.notify import Bell, Notifier
from emco_common.status.notify.watcher import Watcher
from emco_common.status.reader import Judge
from emco_common.store.api import Key
from tests.support.statuses import write_statuses
from tests.unit.status.builders import HQ, applied, context, reported

DEADLINE = 20.0
KEY = {"project": "p", "compositeApp": "shop", "compositeAppVersion": "v1", "deploymentIntentGroup": "g"}
_NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass
class Rig:
    """``looks`` counts how often the history was read, ``reads`` how often contexts were; ``away`` fails both."""

    bus: ContextBus
    dialect: Dialect = DEPLOYMENT_INTENT_GROUP
    window: float = 0.0
    look_around: float = 30.0
    judge: Judge | None = None
    base: int = 0
    looks: int = 0
    away: EmcoError | None = None
    histories: dict[frozenset[tuple[str, str]], StateInfo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contexts = AppContextStore(self.bus)
        self.metrics = CollectorRegistry()
        self.bell = Bell(self.bus, f"rig-{self.base}")
        self.reader = StatusReader(self._look, self.contexts, self.dialect, judge=self.judge)
        self.notifier = Notifier(
            self.reader, self.bus, self.bell, window=self.window, look_around=self.look_around, metrics=self.metrics
        )

    async def then(self, state: State, instance: str = "", *, key: Key = KEY, first: bool = False) -> None:
        """The history goes on."""
        known = self.histories.get(frozenset(key.items()), StateInfo())
        action = Action(state, instance, _NOW, len(known.actions))
        info = known.then(action, status_context=instance if first else None)
        self.histories[frozenset(key.items())] = info
        await self.bell.ring(key)

    async def delete(self, key: Key = KEY) -> None:
        del self.histories[frozenset(key.items())]
        await self.bell.ring(key)

    async def deployed(self, of: AppContext, state: str = "Instantiated") -> None:
        """Write a context with everything applied, and a history that says so."""
        await self.contexts.write_new(of)
        for batch in batches(encode_status(applied(of, state)), weight=1 << 20):
            await self.bus.transact(batch)
        await self.then(State.INSTANTIATED, of.id, first=not of.status_context)

    async def status(self, instance: str, state: str) -> None:
        await self.bus.put(keys.status(instance), values.encode_state(state))

    async def report(self, instance: str, *objects: Any, app: str = "web", cluster: str = HQ) -> None:
        """What a cluster tells of its objects."""
        update = ClusterUpdate(app, cluster, ClusterStatus(status=reported(*objects)))
        await write_statuses(self.bus, instance, [update])

    def measured(self, name: str) -> float:
        """What the service's metrics say."""
        found = self.metrics.get_sample_value(name)
        assert found is not None, name
        return found

    async def _look(self, key: Key) -> Standing:
        self.looks += 1
        if self.away is not None:
            raise self.away
        info = self.histories.get(frozenset(key.items()))
        if info is None:
            raise NotFound("DeploymentIntentGroup not found")
        return Standing({"name": key.get("deploymentIntentGroup", "x")}, info)


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    """With its notifier listening."""
    task = asyncio.create_task(rig.notifier.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(read: Callable[[], Awaitable[bytes]], reached: Callable[[bytes], bool]) -> list[bytes]:
    """Everything read until one is as wanted."""
    seen: list[bytes] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                seen.append(await read())
                if reached(seen[-1]):
                    return seen
    except TimeoutError:
        raise AssertionError(f"never came; seen: {seen}") from None


async def until(reached: Callable[[], bool]) -> None:
    """Waits for what nothing tells of."""
    async with asyncio.timeout(DEADLINE):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def reading(watcher: Watcher) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return (await watcher.next()).body

    return read


__all__ = ["DEADLINE", "KEY", "Rig", "context", "eventually", "reading", "running", "until"]
