"""How long a small deployment takes: ``python -m bench.latency [--rates 1,5,20] [--to-all 1,5] [--seconds 10]``.

Deployments of four objects come at even distances, at 1, 5 and 20 a second, to eight real API servers: each to one of
them in turn, or each to all eight. Ours: from the InstallApp that is accepted to the last acknowledgement on the bus.
The floor: the same bytes as bare requests in the same waves, arriving at the same distances, over as many connections.
Where the floor itself does not keep up the machine is too small for the rate, and the row says so.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

from bench import programs, workload
from bench.apiservers import Fleet, api_servers, scratch
from bench.child import Child, child
from bench.fanout import MOST
from bench.table import Figure, percentile, show

ABOVE = 0.1
"""Seconds that the slowest of a hundred may take longer than on the floor."""
KEPT_UP = 1.0
"""Seconds of the floor's own 99th percentile above which the rate is more than the machine bears."""
LEAST = 20
"""Deployments in a run at least, however few come in a second."""


async def measure(
    clusters: int, rates: Sequence[float], to_all: Sequence[float], seconds: float, *, etcd: bool
) -> list[Figure]:
    """``rates`` of deployments to one cluster in turn, and ``to_all`` to all of them."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        fleet = await stack.enter_async_context(api_servers(clusters))
        bus = await stack.enter_async_context(programs.etcd(folder)) if etcd else ""
        rsync = await stack.enter_async_context(child("bench.rsyncside", str(folder), bus or ""))
        floor = await stack.enter_async_context(child("bench.floor"))
        await rsync.ask("register", fleet=dict(fleet))
        await floor.ask("open", fleet=dict(fleet), connections=MOST)
        numbers = count(1000)
        await _ours(rsync, fleet, numbers, 5, 5, everywhere=True)
        await _bare(floor, fleet, numbers, 5, 5, everywhere=True)
        rows = []
        for everywhere, rate in [*((False, rate) for rate in rates), *((True, rate) for rate in to_all)]:
            amount = max(LEAST, int(rate * seconds))
            bare = await _bare(floor, fleet, numbers, amount, rate, everywhere=everywhere)
            ours, processor, lag = await _ours(rsync, fleet, numbers, amount, rate, everywhere=everywhere)
            rows.append(_figure(rate, ours, bare, processor, lag, clusters if everywhere else 1))
        return rows


async def _ours(
    rsync: Child, fleet: Fleet, numbers: count[int], amount: int, rate: float, *, everywhere: bool
) -> tuple[list[float], float, float]:
    ids = []
    for number, clusters in _places(fleet, amount, everywhere=everywhere):
        ids.append(str(next(numbers)))
        objects = workload.small_app(f"l{ids[-1]}-{number}")
        await rsync.ask("write", id=ids[-1], apps={"web": objects}, clusters=clusters)
    found = await rsync.ask("arrive", ids=ids, rate=rate)
    return found["spent"], found["processor"], found["lag"]


async def _bare(
    floor: Child, fleet: Fleet, numbers: count[int], amount: int, rate: float, *, everywhere: bool
) -> list[float]:
    jobs = []
    for number, clusters in _places(fleet, amount, everywhere=everywhere):
        jobs.append(str(next(numbers)))
        objects = workload.small_app(f"l{jobs[-1]}-{number}")
        label = workload.label_of(jobs[-1], "web")
        await floor.ask("prepare", job=jobs[-1], objects=objects, label=label, clusters=clusters)
    return list(await floor.ask("arrive", jobs=jobs, rate=rate))


def _places(fleet: Fleet, amount: int, *, everywhere: bool) -> list[tuple[int, list[str]]]:
    names = list(fleet)
    return [(number, names if everywhere else [names[number % len(names)]]) for number in range(amount)]


def _figure(
    rate: float, ours: Sequence[float], bare: Sequence[float], processor: float, lag: float, clusters: int
) -> Figure:
    above = percentile(ours, 99) - percentile(bare, 99)
    bears = percentile(bare, 99) < KEPT_UP
    what = f"{rate:g}/s, {len(ours)} of 4 objects to {clusters} (cpu {processor:.2f}, lag {lag * 1000:.0f} ms)"
    aim = f"p99 < floor + {ABOVE * 1000:.0f} ms" if bears else "the floor does not keep up"
    difference = f"{_text(ours)} (p99 {above * 1000:+.0f} ms)"
    return Figure(what, difference, _text(bare), None, aim, above < ABOVE if bears else None)


def _text(seconds: Sequence[float]) -> str:
    return f"p50 {percentile(seconds, 50) * 1000:.0f} ms, p99 {percentile(seconds, 99) * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=8, help="real control planes, 370 MB each")
    parser.add_argument("--rates", default="1,5,20", help="deployments a second, to one cluster in turn")
    parser.add_argument("--to-all", default="1,5,20", help="the same, each to all clusters")
    parser.add_argument("--seconds", type=float, default=10, help="of each rate")
    parser.add_argument("--embedded", action="store_true", help="on the embedded bus and not on etcd")
    given = parser.parse_args()
    rates, to_all = ([float(rate) for rate in text.split(",") if rate] for text in (given.rates, given.to_all))
    rows = asyncio.run(measure(given.clusters, rates, to_all, given.seconds, etcd=not given.embedded))
    bus = "the embedded bus" if given.embedded else "etcd"
    show(f"Accepted to acknowledged on {given.clusters} real API servers, bus: {bus}", rows)


if __name__ == "__main__":
    main()
