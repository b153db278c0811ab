"""What a cluster costs rsync on which nothing happens: ``python -m bench.idle [--clusters 1000] [--seconds 60]``.

Simulated clusters, in processes of their own, with 100 objects each of six kinds and the pods that these make. rsync is
alone in its process and keeps its records on etcd where that is installed, else in itself; contexts are written by
another process, as the orchestrator does, unless it does. Memory is what the process has more with the clusters than
without, once they are installed and quiet, and once more in a fresh process that took them up again; beside it, what
each cluster of the second half has added (the rest is the same for any number). Processor time is what it uses
while nothing happens. rsync gives memory back by itself when it is quiet, which is part of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import programs, workload
from bench.child import Child, child
from bench.table import Figure, show
from emco_common.appcontext.io import AppContextStore
from emco_common.contextbus.factory import open_bus

OBJECTS = {"config_maps": 65, "deployments": 20, "accounts": 5}
"""Besides, 20 pods that carry the label of the deployment, which are watched as well."""
TOGETHER = 100
"""Clusters of one deployment."""
PER_PROCESS = 125
AIM_KILOBYTES, AIM_PERCENT = 200.0, 0.02
SETTLE_SECONDS = 20.0
CALM_SECONDS, CALM_SHARE, CALM_WITHIN = 5.0, 0.1, 900.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one cluster: kilobytes, and percent of a processor."""

    kilobytes: float
    percent: float
    slope: float | None = None
    """Kilobytes that each cluster of the second half has added."""


@asynccontextmanager
async def simulated(count: int, folder: Path) -> AsyncIterator[Mapping[str, str]]:
    async with AsyncExitStack() as stack:
        fleet: dict[str, str] = {}
        for first in range(0, count, PER_PROCESS):
            own = folder / f"clusters{first}"
            number = min(PER_PROCESS, count - first)
            fleet |= await stack.enter_async_context(programs.simulated_clusters(number, own, nice=5, first=first))
        yield fleet


async def settled(side: Child, *, seconds: float) -> tuple[float, float]:
    """Megabytes, and seconds of the processor in so many quiet ones."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = processor(side.pid)
    await asyncio.sleep(seconds)
    return side.memory(), processor(side.pid) - before


async def calm(side: Child) -> float:
    """Returns when it has nothing to catch up with any more; seconds that this took."""
    began = time.perf_counter()
    async with asyncio.timeout(CALM_WITHIN):
        while True:
            before = processor(side.pid)
            await asyncio.sleep(CALM_SECONDS)
            if processor(side.pid) - before < CALM_SECONDS * CALM_SHARE:
                return time.perf_counter() - began - CALM_SECONDS


def processor(pid: int) -> float:
    """Seconds so far, of user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@asynccontextmanager
async def writing(side: Child, etcd: str | None) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Who writes contexts."""

    async def by_rsync(*, id: str, apps: dict[str, Any], clusters: list[str]) -> None:
        await side.ask("write", id=id, apps=apps, clusters=clusters)

    if etcd is None:
        yield by_rsync
        return
    bus = await open_bus(etcd)

    async def directly(*, id: str, apps: dict[str, Any], clusters: list[str]) -> None:
        found = {app: workload.manifests(objects) for app, objects in apps.items()}
        await AppContextStore(bus).write_new(workload.context(id, found, clusters))

    try:
        yield directly
    finally:
        await bus.close()


async def measure(count: int, seconds: float, folder: Path) -> tuple[Cost, Cost, float, str]:
    async with simulated(count, folder) as fleet, programs.etcd(folder) as etcd:
        arguments = (str(folder), etcd or "")
        async with child("bench.rsyncside", *arguments) as side, writing(side, etcd) as write:
            await side.ask("register", fleet=dict(fleet))
            empty, idle = await settled(side, seconds=min(seconds, 10))
            idle *= seconds / min(seconds, 10)
            names = sorted(fleet)
            half, at_half = 0, 0.0
            for number in range(0, count, TOGETHER):
                if not half and number >= count / 2:
                    await asyncio.sleep(SETTLE_SECONDS)
                    half, at_half = number, side.memory()
                identity = str(1000 + number)
                apps = {"web": workload.objects(**OBJECTS, prefix=f"d{number}")}
                await write(id=identity, apps=apps, clusters=names[number : number + TOGETHER])
                await side.ask("install", id=identity, within=3600)
                print(f"  {min(count, number + TOGETHER)} clusters installed, {side.memory():.0f} MB", flush=True)
            first = _cost(await settled(side, seconds=seconds), empty, idle, count, seconds)
            first = replace(first, slope=(side.memory() - at_half) * 1000 / (count - half) if half else None)
        async with child("bench.rsyncside", *arguments) as side:
            caught_up = await calm(side)
            used = processor(side.pid)
            print(f"  taken up within {caught_up:.0f} s, {used:.0f} s of the processor", flush=True)
            again = _cost(await settled(side, seconds=seconds), empty, idle, count, seconds)
        return first, again, empty, "etcd" if etcd else "the embedded bus, whose memory counts"


def _cost(found: tuple[float, float], empty: float, idle: float, count: int, seconds: float) -> Cost:
    memory, used = found
    return Cost((memory - empty) * 1000 / count, (used - idle) / seconds / count * 100)


async def main(count: int, seconds: float) -> None:
    with TemporaryDirectory(prefix="emco-idle-") as name:
        first, again, empty, bus = await measure(count, seconds, Path(name))
    figures = [Figure("memory of the process without clusters", f"{empty:.0f} MB")]
    for what, cost in (("after installing", first), ("taken up by a fresh process", again)):
        figures += [
            Figure(
                f"memory of a cluster, {what}",
                f"{cost.kilobytes:.0f} KB",
                aim=f"< {AIM_KILOBYTES:g} KB",
                reached=cost.kilobytes < AIM_KILOBYTES,
            ),
            Figure(
                f"processor of a cluster, {what}",
                f"{cost.percent:.4f} %",
                aim=f"< {AIM_PERCENT:g} % of a core",
                reached=cost.percent < AIM_PERCENT,
            ),
        ]
        if cost.slope is not None:
            figures.append(Figure(f"memory that a further cluster adds, {what}", f"{cost.slope:.0f} KB"))
    title = f"{count} simulated clusters with 100 objects each, and nothing happens for {seconds:g} s"
    show(title, figures, remarks=(f"rsync alone in its process, its records on {bus}",))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    asyncio.run(main(asked.clusters, asked.seconds))
