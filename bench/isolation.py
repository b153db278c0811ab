"""What one sick cluster of eight costs the other seven: ``python -m bench.isolation [--repetitions 5]``.

Seven simulated clusters get a deployment; the eighth, in a process of its own, gets several of its own at the same
time and is well, idle, or sick in one of five ways. The pace is that of the seven. Every repetition goes through all
states in an order that changes, in one start of all processes, so that each sick run has a well one beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench import programs, workload
from bench.apiservers import context_of, scratch
from bench.child import Child, child
from bench.table import Figure, middle, show, spread
from emco_common.kube import parse_kubeconfig

OTHERS = 7
DEPLOYMENTS = 4
"""At a time on the eighth cluster."""
SETTLE_SECONDS = 3.0
"""How long the eighth is sick before the pace of the others is taken."""
AIM = 0.95
SICK = "sick"


class Eighth:
    """The cluster that can be made sick, and well again."""

    def __init__(self, process: Process, kubeconfig: str, http: aiohttp.ClientSession) -> None:
        self.kubeconfig = kubeconfig
        self._process = process
        self._http = http
        self._server = parse_kubeconfig(kubeconfig.encode()).server
        self._tls = context_of(kubeconfig)

    async def faults(self, **body: Any) -> None:
        url = f"{self._server}/simulated/faults"
        async with self._http.put(url, json=body, ssl=self._tls) as answer:
            answer.raise_for_status()

    async def flap(self) -> None:
        """Half a second away, half a second there, until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, OSError):
                await self.faults(outage="refuse", seconds=0.5)
            await asyncio.sleep(1.0)

    def freeze(self) -> None:
        """It accepts and never answers."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def heal(self) -> None:
        self.thaw()
        while True:
            with suppress(aiohttp.ClientError, OSError):
                return await self.faults()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def eighth(folder: Path) -> AsyncIterator[Eighth]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emco_simcluster", "--clusters", SICK, "--write-kubeconfigs", str(folder)),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(programs.START_SECONDS), aiohttp.ClientSession() as http:
            assert process.stdout is not None
            async for line in process.stdout:
                if line.startswith(b"These clusters are simulated"):
                    break
            kubeconfig = await asyncio.to_thread((folder / f"{SICK}.kubeconfig").read_text)
        async with aiohttp.ClientSession() as http:
            yield Eighth(process, kubeconfig, http)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        await programs.end(process)


@dataclass(frozen=True)
class State:
    """``reference`` is the state without fault that the pace is compared with. ``begin`` brings it about."""

    name: str
    reference: str
    begin: Callable[[Eighth], Awaitable[None]]
    busy: bool = True
    flapping: bool = False


async def _well(_: Eighth) -> None:
    """Nothing is done to it."""


async def _dead(found: Eighth) -> None:
    found.freeze()


def _rules(**rule: Any) -> Callable[[Eighth], Awaitable[None]]:
    return lambda found: found.faults(rules=[rule])


IDLE, WELL = "idle", "well"
STATES = (
    State(IDLE, IDLE, _well, busy=False),
    State(WELL, WELL, _well),
    State("dead (accepts, never answers)", IDLE, _dead),
    State("answering nonsense", IDLE, lambda found: found.faults(outage="nonsense")),
    State("flapping, 0.5 s there and away", WELL, _well, flapping=True),
    State("slow, 2 s an answer", WELL, _rules(latency=2.0)),
    State("throttling nine calls in ten", WELL, _rules(status=429, retry_after=1, share=0.9)),
)


async def measure(repetitions: int, objects: int) -> Mapping[str, list[float]]:
    spent: dict[str, list[float]] = {state.name: [] for state in STATES}
    with scratch() as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(programs.simulated_clusters(OTHERS, folder))
            sick = await stack.enter_async_context(eighth(folder))
            rsync = await stack.enter_async_context(child("bench.rsyncside", str(folder)))
            await rsync.ask("register", fleet={**fleet, SICK: sick.kubeconfig})
            for turn in range(repetitions + 1):
                shift = turn % len(STATES)
                for place, state in enumerate(STATES[shift:] + STATES[:shift]):
                    began = time.perf_counter()
                    seconds = await once(state, sick, rsync, list(fleet), number=turn * 10 + place, objects=objects)
                    if turn:  # the first warms up
                        spent[state.name].append(seconds)
                    print(f"  {turn} {state.name}: {seconds:.2f} s of {time.perf_counter() - began:.1f} s", flush=True)
    return spent


async def once(state: State, sick: Eighth, rsync: Child, others: Sequence[str], *, number: int, objects: int) -> float:
    """Seconds that a deployment on the others takes."""
    own = [str(10_000 + number * 10 + n) for n in range(DEPLOYMENTS)]
    theirs = str(5_000 + number)
    bodies = workload.objects(config_maps=objects, prefix=f"r{number}")
    await rsync.ask("write", id=theirs, apps={"suite": bodies}, clusters=list(others))
    flapping = None
    try:
        await state.begin(sick)
        if state.flapping:
            flapping = asyncio.create_task(sick.flap())
        if state.busy:
            for one in own:
                found = workload.objects(config_maps=objects, prefix=f"s{one}")
                await rsync.ask("write", id=one, apps={"suite": found}, clusters=[SICK])
        if state.reference == IDLE:  # else its work shall be under way at the same time
            for one in own if state.busy else ():
                await rsync.ask("begin", id=one)
            await asyncio.sleep(SETTLE_SECONDS)
        else:
            for one in own:
                await rsync.ask("begin", id=one)
        seconds: float = (await rsync.ask("install", id=theirs))["seconds"]
    finally:
        if flapping is not None:
            flapping.cancel()
            await asyncio.gather(flapping, return_exceptions=True)
        await sick.heal()
    for one in (*own, theirs) if state.busy else (theirs,):
        await rsync.ask("uninstall", id=one)
    return seconds


def figures(spent: Mapping[str, Sequence[float]], objects: int) -> list[Figure]:
    """Ratios of pairs of the same repetition, of which the middle one counts."""
    rows = []
    for state in STATES:
        reference, sick = spent[state.reference], spent[state.name]
        if state.name in (IDLE, WELL):
            rows.append(Figure(f"the eighth is {state.name}", _pace(sick, objects)))
            continue
        ratio = middle([well / ill for well, ill in zip(reference, sick, strict=True)])
        told = (_pace(sick, objects), _pace(reference, objects), ratio, f"≥ {AIM}", ratio >= AIM)
        rows.append(Figure(f"{state.name}, beside {state.reference}", *told))
    return rows


def _pace(seconds: Sequence[float], objects: int) -> str:
    return f"{OTHERS * objects / middle(seconds):.0f}/s ({middle(seconds):.2f} s of {spread(seconds)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--objects", type=int, default=300, help="of each deployment on each of its clusters")
    given = parser.parse_args()
    spent = asyncio.run(measure(given.repetitions, given.objects))
    remark = f"The eighth has {DEPLOYMENTS} deployments of the same size to take unless it is idle; medians."
    show("Pace of seven clusters beside an eighth", figures(spent, given.objects), remarks=[remark])


if __name__ == "__main__":
    main()
