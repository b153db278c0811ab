"""How the REST API answers while much is being delivered: ``python -m bench.busy [--layout production,embedded]``.

One deployment of ten apps to a hundred simulated clusters, four objects each. Meanwhile projects are created, read and
listed at the orchestrator, one request after another; the reference is the same with nothing in flight, before and
after. ``production``: orchestrator, rsync, clm and dcm each a process, on etcd and a MongoDB-wire server in memory;
``embedded``: one process. Servers and this client share the processors with EMCO; the clusters, which
stand for other machines, have only what nobody else wants.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import httpx

from bench import instantiate, programs
from bench.apiservers import scratch
from bench.production import LAYOUTS
from bench.table import Figure, percentile, show

TIMES = 2.0
PROJECTS = 100
"""In the store from the beginning, so that a list has something to tell."""
OPERATIONS = ("create", "get", "list")
Spent = Mapping[str, list[float]]


async def measure(layout: str, clusters: int, seconds: float) -> list[Figure]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        simulated = programs.simulated_clusters(clusters, folder / "clusters", elsewhere=True)
        fleet = await stack.enter_async_context(simulated)
        running = await stack.enter_async_context(LAYOUTS[layout](folder))
        client = await stack.enter_async_context(running.client())
        world = instantiate.World(client, running.rsync, running.services, fleet, equal=False)
        await instantiate.onboard(world)
        asked = await stack.enter_async_context(httpx.AsyncClient(base_url=running.services["orchestrator"]))
        numbers = count()
        for _ in range(PROJECTS):
            await _create(asked, numbers)
        await _requests(asked, numbers, _for(2.0))  # not shown: servers take a while to be as quick as they get
        before = await _requests(asked, numbers, _for(seconds))
        during, took = await _while_delivering(world, asked, numbers)
        after = await _requests(asked, numbers, _for(seconds))
    quiet = {operation: before[operation] + after[operation] for operation in OPERATIONS}
    return [*_figures(layout, during, quiet), Figure(f"{layout}: delivered within", f"{took:.1f} s")]


async def _while_delivering(
    world: instantiate.World, asked: httpx.AsyncClient, numbers: count[int]
) -> tuple[Spent, float]:
    began = time.perf_counter()
    delivery = asyncio.create_task(_deliver(world))
    during = await _requests(asked, numbers, lambda: not delivery.done())
    await delivery
    return during, time.perf_counter() - began


async def _deliver(world: instantiate.World) -> None:
    await world.post(f"{instantiate.GROUP}/instantiate")
    await instantiate.until(world, f"{instantiate.GROUP}/status", pause=2.0, deployedStatus="Instantiated")


async def _requests(client: httpx.AsyncClient, numbers: count[int], going_on: Callable[[], bool]) -> Spent:
    """One after the other, in turn, as long as that; seconds of each."""
    spent: dict[str, list[float]] = {operation: [] for operation in OPERATIONS}
    while going_on():
        for operation, ask in (("create", _create), ("get", _get), ("list", _list)):
            began = time.perf_counter()
            await ask(client, numbers)
            spent[operation].append(time.perf_counter() - began)
    return spent


def _for(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


async def _create(client: httpx.AsyncClient, numbers: count[int]) -> None:
    body = {"metadata": {"name": f"made-{next(numbers)}", "description": "one of many"}}
    (await client.post("/v2/projects", json=body)).raise_for_status()


async def _get(client: httpx.AsyncClient, numbers: count[int]) -> None:
    (await client.get("/v2/projects/made-7")).raise_for_status()


async def _list(client: httpx.AsyncClient, numbers: count[int]) -> None:
    """Of projects that do not grow in number: those of the logical clouds and apps that are delivered."""
    (await client.get(f"{instantiate.SUITE}/apps")).raise_for_status()


def _figures(layout: str, during: Spent, quiet: Spent) -> list[Figure]:
    rows = []
    for operation in OPERATIONS:
        busy, idle = during[operation], quiet[operation]
        ratio = percentile(busy, 99) / percentile(idle, 99)
        what = f"{layout}: {operation} ({len(busy)} while busy)"
        rows.append(Figure(what, _text(busy), _text(idle), ratio, f"p99 < {TIMES:g} ×", ratio < TIMES))
    return rows


def _text(seconds: Sequence[float]) -> str:
    p50, p99 = (percentile(seconds, percent) * 1000 for percent in (50, 99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(seconds) / sum(seconds):.0f}/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", default="production,embedded")
    parser.add_argument("--clusters", type=int, default=100, help="simulated ones")
    parser.add_argument("--seconds", type=float, default=6.0, help="of quiet, before and after")
    given = parser.parse_args()
    rows: list[Figure] = []
    for layout in given.layout.split(","):
        rows += asyncio.run(measure(layout, given.clusters, given.seconds))
    show(f"REST while 10 apps × {given.clusters} simulated clusters × 4 objects are delivered, beside quiet", rows)


if __name__ == "__main__":
    main()
