"""What the REST API costs: ``python -m bench.rest [--store sqlite|secantusdb|quickmongo …] [--seconds S]``.

Requests per second and the 99th percentile of their latency for create, get, delete and list of projects, with 500 in
the store (a hundred more at most: they are created and deleted in turn), at 1 and 16 in flight; beside each the same
from bare FastAPI routes over the same driver, in turn within the same run, since other load falls on both alike.
Client, service and database share the machine.

With ``EMCO_TRACE_ENDPOINT`` in the environment our server sends traces there.

Of the time of a request at 1 in flight it says which share is the database's (as its driver waits for it, or SQLite at
work), the driver's (our adapter and threads included), and the rest: HTTP, rules and the client itself.

``quickmongo`` needs ``make testbed``, ``secantusdb`` the extra ``test``; what is not there is left out by name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.restclient import Connection, Measured, Wanted, load
from bench.restserver import PATH
from tests.support.program import free_ports
from tests.testbed import build, quickmongo

SEEDS = 500
FEW = 100  # created and deleted in turn: the store has hardly more than the seeds
LONG = 1000
KINDS = ("bare", "ours")
START = 60.0  # seconds a server may take to start


@dataclass(frozen=True, slots=True)
class Store:
    """Where the store is, and the environment of a process that is to reach it."""

    url: str
    environment: Mapping[str, str] | None = None


@dataclass(slots=True)
class Figures:
    """Of one operation and one kind of server."""

    measured: Measured
    store: float = 0.0
    database: float = 0.0

    def shares(self) -> str:
        whole = sum(self.measured.latencies)
        parts = (whole - self.store, self.store - self.database, self.database)
        return " / ".join(f"{part / whole:.0%}" for part in parts)


@dataclass(slots=True)
class Bench:
    """Both servers over one store."""

    ports: Mapping[str, int]
    seconds: float

    async def seed(self, first: int, last: int) -> None:
        for kind in KINDS:
            made = ((*("POST", PATH), project(f"seed-{n}")) for n in range(first, last))
            await load(self.ports[kind], made, in_flight=16, expect=201, at_most=600)

    async def measure(self, in_flight: int) -> dict[str, dict[str, Figures]]:
        found: dict[str, dict[str, Figures]] = {}
        for turn in range(2):
            await self.comings_and_goings(found, in_flight, until=(turn + 1) * self.seconds)
            for kind in KINDS:
                wanted = [("GET", f"{PATH}/seed-{n % SEEDS}", b"") for n in range(10_000)]
                await self._one(found, "get", kind, in_flight, wanted, 200)
            await self.lists(found, f"list {SEEDS}", in_flight)
        return found

    async def comings_and_goings(self, found: dict[str, dict[str, Figures]], in_flight: int, *, until: float) -> None:
        """Create a few and delete them again, so that the store stays as full as it is said to be."""
        spent = 0.0
        while spent < until:
            names = [f"{uuid.uuid4().hex[:12]}-{n}" for n in range(FEW)]
            going: list[Wanted] = [("DELETE", f"{PATH}/{name}", b"") for name in names]
            for operation, wanted, expect in (("create", creating(names), 201), ("delete", going, 204)):
                for kind in KINDS:  # all of them, whatever it takes: none stays
                    await self._one(found, operation, kind, in_flight, wanted, expect, at_most=600.0)
            spent = sum(found[operation]["ours"].measured.seconds for operation in ("create", "delete")) / 2

    async def lists(self, found: dict[str, dict[str, Figures]], name: str, in_flight: int) -> None:
        for kind in KINDS:
            await self._one(found, name, kind, in_flight, [("GET", PATH, b"")] * 1000, 200)

    async def _one(
        self,
        found: dict[str, dict[str, Figures]],
        operation: str,
        kind: str,
        in_flight: int,
        wanted: list[Wanted],
        expect: int,
        *,
        at_most: float | None = None,
    ) -> Measured:
        port = self.ports[kind]
        await spent(port)
        measured = await load(port, wanted, in_flight=in_flight, expect=expect, at_most=at_most or self.seconds)
        times = await spent(port)
        figures = found.setdefault(operation, {}).setdefault(kind, Figures(Measured()))
        figures.measured.add(measured)
        figures.store += times["store"]
        figures.database += times["database"]
        return measured


def project(name: str) -> bytes:
    return json.dumps({"metadata": {"name": name, "description": "d" * 40}}).encode()


def creating(names: list[str]) -> list[Wanted]:
    return [("POST", PATH, project(name)) for name in names]


async def spent(port: int) -> dict[str, float]:
    connection = await Connection.open(port)
    _, body = await connection.send("POST", "/bench")
    connection.close()
    answer: dict[str, float] = json.loads(body)
    return answer


@asynccontextmanager
async def process(
    *command: str, environment: Mapping[str, str] | None = None, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs until the block ends; its input then ends, and so should it."""
    with log.open("wb") as errors:
        started = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, limit=1 << 20
        )
    try:
        yield started
    finally:
        assert started.stdin is not None
        started.stdin.close()
        try:
            async with asyncio.timeout(15):
                await started.wait()
        except TimeoutError:
            started.kill()
            await started.wait()


@asynccontextmanager
async def serving(kind: str, store: Store, folder: Path) -> AsyncIterator[int]:
    """The port of one kind of server over ``store``."""
    own = folder / kind
    own.mkdir()
    url = store.url if store.url.startswith("sqlite") else f"{store.url}_{kind}"
    command = (sys.executable, "-m", "bench.restserver", kind, url, str(own))
    async with process(*command, environment=store.environment, log=own / "log") as server:
        assert server.stdout is not None
        async with asyncio.timeout(START):
            line = await server.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"{kind} over {store.url} did not start: {(own / 'log').read_text()[-800:]}")
        yield int(line)


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Store | str]:
    yield Store(f"sqlite://{folder}/ours.db")


@asynccontextmanager
async def secantusdb(folder: Path) -> AsyncIterator[Store | str]:
    program = shutil.which("secantusd-py", path=str(Path(sys.executable).parent))
    if program is None:
        yield "it is in the extra `test`"
        return
    (port,) = free_ports(1)
    arguments = (program, "--port", str(port), "--storage-path", str(folder / "data"), "--standalone")
    with (folder / "log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(*arguments, stdout=log, stderr=log)
    try:
        await reached(port)
        yield Store(f"mongodb://127.0.0.1:{port}/bench")
    finally:
        server.terminate()
        await server.wait()


@asynccontextmanager
async def quick(folder: Path) -> AsyncIterator[Store | str]:
    built = quickmongo.folder(build.cache_root())
    if not built.exists():
        yield "`make testbed` builds it, where there are Java and Maven"
        return
    (port,) = free_ports(1)
    async with process(*quickmongo.command(built, port), log=folder / "log"):
        await reached(port)
        yield Store(f"mongodb://127.0.0.1:{port}/bench", quickmongo.environment(built))


async def reached(port: int) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


STORES: Mapping[str, Callable[[Path], object]] = {"sqlite": sqlite, "secantusdb": secantusdb, "quickmongo": quick}


def show(store: str, in_flight: int, found: Mapping[str, Mapping[str, Figures]]) -> None:
    for operation, by_kind in found.items():
        ours, bare = by_kind["ours"].measured, by_kind["bare"].measured
        shares = by_kind["ours"].shares() if in_flight == 1 else ""
        print(
            f"| {store} | {operation} | {in_flight} | {ours.rate:.0f} | {ours.p99 * 1000:.1f} | {bare.rate:.0f} | "
            f"{bare.p99 * 1000:.1f} | {ours.rate / bare.rate:.2f} | {shares} |",
            flush=True,
        )


async def run(name: str, folder: Path, seconds: float) -> None:
    async with STORES[name](folder) as store:  # type: ignore[attr-defined]
        if isinstance(store, str):
            print(f"{name} is left out: {store}", file=sys.stderr)
            return
        async with serving("ours", store, folder) as ours, serving("bare", store, folder) as bare:
            bench = Bench({"ours": ours, "bare": bare}, seconds)
            await bench.seed(0, SEEDS)
            await bench.measure(4)  # not shown: servers take a while to be as quick as they get
            for in_flight in (1, 16):
                show(name, in_flight, await bench.measure(in_flight))
            await bench.seed(SEEDS, LONG)
            for in_flight in (1, 16):
                found: dict[str, dict[str, Figures]] = {}
                await bench.lists(found, f"list {LONG}", in_flight)
                show(name, in_flight, found)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="append", choices=STORES, default=[])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure, at most; half of it in each turn")
    given = parser.parse_args()
    print("| store | operation | in flight | ours /s | p99 ms | bare /s | p99 ms | ratio | ours / driver / database |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.store or STORES:
        with tempfile.TemporaryDirectory(prefix="emco-bench-", dir=Path.cwd()) as folder:
            await run(name, Path(folder), given.seconds / 2)


if __name__ == "__main__":
    asyncio.run(main())
