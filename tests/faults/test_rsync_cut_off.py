"""A process that dies at any write, to the bus or to a cluster, leaves what the next one finishes (robustness 58).

Each run dies later than the one before, before the write or before its answer; another process then takes over, until a
run comes through. The fail points are the writes themselves, so that none can be forgotten: each of them with
``EMCO_TEST_SLOW=1``, every fifth otherwise, from another first one in each case.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

import emco_rsync.app
from emco_common.errors import EmcoError
from emco_rsync.apply.fenced import LOOKS
from emco_simcluster import SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, job, running

STRIDE = 1 if "EMCO_TEST_SLOW" in os.environ else 5
BUS_WRITES = frozenset({"transact", "put", "delete"})


class Dead(EmcoError):
    """What a dead process gets from everything it still tries."""


@dataclass
class Fuse:
    """Lets ``steps`` writes through and then no call at all; the last one's answer is ``lost`` on the way back."""

    steps: int | None = None
    lost: bool = False
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, call: Callable[[], Awaitable[Any]], *, writes: bool) -> Any:
        if self.dead.is_set():
            raise Dead("this process is dead")
        if not writes or self.steps is None:
            return await call()
        if not self.steps:
            self.dead.set()
            if self.lost:
                await call()
            raise Dead("this process is dead")
        self.steps -= 1
        return await call()


class Fused:
    """A bus, or the client of a cluster, whose calls go through a fuse."""

    def __init__(self, real: Any, fuse: Fuse, writes: Callable[[str], bool]) -> None:
        self._real = real
        self._fuse = fuse
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name in ("watch", "lease", "close", "server", "lapses", "lines"):
            return method

        async def burning(*args: Any, **more: Any) -> Any:
            return await self._fuse.carry(lambda: method(*args, **more), writes=self._writes(name))

        return burning


@asynccontextmanager
async def process(folder: Path, cluster: SimCluster, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    def opening(*args: Any, **more: Any) -> Any:
        open_way = directly(*args, **more)
        return lambda identity, way: Fused(open_way(identity, way), fuse, lambda name: name not in LOOKS)

    directly = emco_rsync.app.open_directly
    with monkeypatch.context() as patched:
        patched.setattr(emco_rsync.app, "open_directly", opening)
        wrap: Callable[[Any], Any] = lambda bus: Fused(bus, fuse, lambda name: name in BUS_WRITES)  # noqa: E731
        async with running(folder, [cluster], wrap_bus=wrap) as rig:
            yield rig


FIRST = context("71", {"web": {"edge": [config_map("a"), deployment("d"), job("before", hook="pre-install")]}})
SECOND = context(
    "72", {"web": {"edge": [config_map("a", k="new"), deployment("d"), config_map("b")]}}, status_context="71"
)


async def install(rig: Rig) -> None:
    await rig.install("71")
    await rig.until_state("71", "Instantiated")


async def update(rig: Rig) -> None:
    await rig.update("71", "72")
    await rig.until_state("72", "Instantiated")
    await rig.until_state("71", "Updated")


async def terminate(rig: Rig) -> None:
    await rig.uninstall("71")
    await rig.until_state("71", "Terminated")


CASES = {
    "install": ([], install, ["ConfigMap/a", "Deployment/d"]),
    "update": ([install], update, ["ConfigMap/a", "ConfigMap/b", "Deployment/d"]),
    "terminate": ([install], terminate, []),
}


def there(rig: Rig) -> list[str]:
    return [name for name in rig.labelled("edge") if not name.startswith("Job/")]


@pytest.mark.robustness(58)
@pytest.mark.parametrize("lost", [False, True], ids=["before the write", "before its answer"])
@pytest.mark.parametrize("case", CASES)
async def test_whichever_write_a_process_dies_at_the_next_one_ends_in_the_same(
    tmp_path: Path, make_sim_cluster: MakeSimCluster, monkeypatch: pytest.MonkeyPatch, case: str, lost: bool
) -> None:
    before, action, expected = CASES[case]
    steps, came_through = random.Random(f"{case} {lost}").randrange(STRIDE), False
    while not came_through:
        folder = tmp_path / str(steps)
        folder.mkdir()
        cluster = await make_sim_cluster("edge")
        async with process(folder, cluster, Fuse(), monkeypatch) as rig:
            for written in (FIRST, SECOND):
                await rig.contexts.write_new(written)
            for step in before:
                await step(rig)
        fuse = Fuse(steps, lost)
        async with process(folder, cluster, fuse, monkeypatch) as rig:
            acting, dying = asyncio.ensure_future(action(rig)), asyncio.ensure_future(fuse.dead.wait())
            await asyncio.wait({acting, dying}, return_when=asyncio.FIRST_COMPLETED)
            came_through = acting.done() and not fuse.dead.is_set()
            for task in (acting, dying):
                task.cancel()
            with contextlib.suppress(grpc.RpcError):
                await asyncio.gather(acting, dying, return_exceptions=True)
        async with process(folder, cluster, Fuse(), monkeypatch) as rig:
            await action(rig)  # the caller, who got no answer, asks again
            assert there(rig) == expected, f"{case}, dead at write {steps}"
            generations = [o["metadata"]["generation"] for o in cluster.objects("Deployment")]
            assert generations == [1] * len(generations)
        await cluster.stop()
        steps += STRIDE
    assert steps > 6
