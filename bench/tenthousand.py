"""How it grows to ten thousand clusters: ``python -m bench.tenthousand [--clusters 1000,3000,10000]``.

The clusters are simulated, a thousand in a process. They are registered sixteen requests at a time, a thousand are a
region with a logical cloud, and one app of four objects is deployed to each: by a deployment for each region, all asked
for at once. EMCO runs as in production, every service a process, on etcd and a MongoDB-wire server in
memory. Growth is what a cluster costs at the largest size beside what it costs at the smallest.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bench import instantiate, programs
from bench.apiservers import scratch
from bench.child import descriptors, resident
from bench.production import Running, production
from bench.table import Figure, show
from tests.support.charts import profile

REGION = 1_000
"""Clusters of one deployment, and of one process of simulated ones."""
AT_ONCE = 16
GROWTH = 1.3
"""A cluster may cost so much more at the largest size than at the smallest and still be called linear."""
SUITE = instantiate.SUITE
TIMED = ("register", "refer to", "instantiate answered", "all applied")
_TICKS = os.sysconf("SC_CLK_TCK")
Run = Mapping[str, float]


async def measure(clusters: int) -> Run:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        fleet = await stack.enter_async_context(_fleet(clusters, folder))
        running = await stack.enter_async_context(production(folder))
        client = await stack.enter_async_context(running.client())
        world = instantiate.World(client, running.rsync, running.services, fleet, equal=True)
        found = await _onboard(world)
        await _application(world)
        found |= await _deploy(world)
        return found | _used(running)


@asynccontextmanager
async def _fleet(clusters: int, folder: Path) -> AsyncIterator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        fleet: dict[str, str] = {}
        for first in range(0, clusters, REGION):
            count = min(REGION, clusters - first)
            fleet |= await stack.enter_async_context(
                programs.simulated_clusters(count, folder / f"fleet{first}", first=first, nice=5)
            )
        yield fleet


def _regions(world: instantiate.World) -> Sequence[Sequence[str]]:
    names = list(world.fleet)
    return [names[first : first + REGION] for first in range(0, len(names), REGION)]


async def _onboard(world: instantiate.World) -> dict[str, float]:
    await world.post("/v2/controllers", instantiate.named("rsync", host="127.0.0.1", port=world.rsync))
    await world.post("/v2/cluster-providers", instantiate.named("sim"))
    await world.post("/v2/projects", instantiate.named("p"))
    for number, _ in enumerate(_regions(world)):
        await world.post("/v2/projects/p/logical-clouds", instantiate.named(f"lc{number}", level="0"))
    began = time.perf_counter()
    await _at_once(
        _register(world, name, f"region-{number}") for number, names in enumerate(_regions(world)) for name in names
    )
    registered = time.perf_counter()
    _tell(f"{len(world.fleet):,} registered in {registered - began:.0f} s")
    await _at_once(_refer(world, name, number) for number, names in enumerate(_regions(world)) for name in names)
    referred = time.perf_counter()
    _tell(f"referred to in {referred - registered:.0f} s")
    for number, _ in enumerate(_regions(world)):
        await world.post(f"{_cloud(number)}/instantiate")
        await instantiate.until(world, f"{_cloud(number)}/status", pause=0.5, deployedStatus="Instantiated")
    return {"register": registered - began, "refer to": referred - registered}


async def _register(world: instantiate.World, name: str, region: str) -> None:
    await world.post(instantiate.CLUSTERS, instantiate.named(name), file=world.fleet[name].encode())
    await world.post(f"{instantiate.CLUSTERS}/{name}/labels", {"clusterLabel": region})


async def _refer(world: instantiate.World, name: str, region: int) -> None:
    path = f"{_cloud(region)}/cluster-references"
    await world.post(path, instantiate.named(name, clusterProvider="sim", cluster=name))


async def _application(world: instantiate.World) -> None:
    """One app, and for each region a deployment of it."""
    await world.post("/v2/projects/p/composite-apps", instantiate.named("suite", compositeAppVersion="v1"))
    await world.post(f"{SUITE}/composite-profiles", instantiate.named("prod"))
    await world.post(f"{SUITE}/apps", instantiate.named("web"), file=instantiate.chart_of("web"))
    await world.post(f"{SUITE}/composite-profiles/prod/profiles", instantiate.named("web", app="web"), file=profile())
    for number, _ in enumerate(_regions(world)):
        group = _group(number)
        spec = {"compositeProfile": "prod", "version": f"r{number}", "logicalCloud": f"lc{number}"}
        await world.post(f"{SUITE}/deployment-intent-groups", instantiate.named(f"g{number}", **spec))
        await world.post(f"{group}/generic-placement-intents", instantiate.named("place"))
        rule = {"allOf": [{"clusterProvider": "sim", "clusterLabel": f"region-{number}"}]}
        path = f"{group}/generic-placement-intents/place/app-intents"
        await world.post(path, instantiate.named("web", app="web", intent=rule))
        await world.post(f"{group}/intents", instantiate.named("i", intent={"genericPlacementIntent": "place"}))
        await world.post(f"{group}/approve")


async def _deploy(world: instantiate.World) -> dict[str, float]:
    groups = [_group(number) for number, _ in enumerate(_regions(world))]
    began = time.perf_counter()
    await _at_once(world.post(f"{group}/instantiate") for group in groups)
    answered = time.perf_counter()
    _tell(f"instantiate answered in {answered - began:.1f} s")
    for group in groups:
        await instantiate.until(world, f"{group}/status", pause=2.0, seconds=1800, deployedStatus="Instantiated")
    return {"instantiate answered": answered - began, "all applied": time.perf_counter() - began}


def _used(running: Running) -> dict[str, float]:
    used = {}
    for name, pid in running.pids.items():
        used[f"{name}: memory, MB"] = resident(pid)
        used[f"{name}: descriptors"] = float(descriptors(pid))
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[f"{name}: processor, s"] = (int(fields[11]) + int(fields[12])) / _TICKS
    return used


async def _at_once(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(coroutine: Coroutine[Any, Any, None]) -> None:
        async with turns:
            await coroutine

    await asyncio.gather(*(one(coroutine) for coroutine in work))


def _tell(text: str) -> None:
    """How far it is: the whole takes many minutes."""
    print(f"  {text}", file=sys.stderr, flush=True)


def _cloud(number: int) -> str:
    return f"/v2/projects/p/logical-clouds/lc{number}"


def _group(number: int) -> str:
    return f"{SUITE}/deployment-intent-groups/g{number}"


def figures(runs: Mapping[int, Run]) -> list[Figure]:
    sizes = sorted(runs)
    rows = []
    for what in runs[sizes[0]]:
        values = ", ".join(f"{runs[size][what]:.4g}" for size in sizes)
        smallest, largest = (runs[size][what] / size for size in (sizes[0], sizes[-1]))
        timed = what in TIMED and len(sizes) > 1
        growth = largest / smallest if timed and smallest else None
        name = f"{what}, s" if what in TIMED else what
        rows.append(
            Figure(name, values, "–", growth, f"≤ {GROWTH:g}" if timed else "", growth <= GROWTH if growth else None)
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", default="1000,3000", help="numbers of simulated clusters")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it ends its programs as well
    runs = {size: asyncio.run(measure(size)) for size in map(int, given.clusters.split(","))}
    sizes = ", ".join(f"{size:,}" for size in sorted(runs))
    show(f"{sizes} simulated clusters registered, one app of 4 objects each; ratio: growth per cluster", figures(runs))


if __name__ == "__main__":
    main()
