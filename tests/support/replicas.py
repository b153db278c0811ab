"""Several resource synchronizers over one etcd: each a process of its own that can be killed, frozen and ended."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import AppContext
from emco_common.appcontext.status import ContextStatus
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.api import ContextBus
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc, updateapp_pb2, updateapp_pb2_grpc
from emco_common.rpc.channels import Channels
from emco_common.runtime import Deps
from emco_common.secrets import Sealer
from emco_common.store.api import DocumentStore
from emco_common.store.sqlite import SqliteStore
from emco_rsync.events.ownership import OWNERS, REPLICAS
from emco_simcluster import SimCluster
from tests.support.etcd import EtcdServer
from tests.support.process import Command
from tests.support.program import free_ports

DEADLINE = 60.0
LEASE = 2
_DATA_KEY = "test key"
_UP = re.compile(r"rsync is up: REST \S+, gRPC (\d+)")
PRESENT = "presence_begun"
_PRESENT = re.compile(r"^(?=.*presence_begun).*?\b([0-9a-f]{32})\b", re.MULTILINE)


class Replica:
    """One process."""

    def __init__(
        self,
        number: int,
        folder: Path,
        endpoint: str,
        channels: Channels,
        *,
        agents_port: int | None = None,
        surroundings: Mapping[str, str] | None = None,
        ready: str = PRESENT,
    ) -> None:
        self.agents_port = agents_port
        self._ready = ready
        environment = {
            "EMCO_BUS_URL": f"etcd://{endpoint}",
            "EMCO_DATABASE_URL": f"sqlite://{folder}/store.db",
            "EMCO_DATA_KEY": _DATA_KEY,
            "EMCO_HTTP_PORT": "0",
            "EMCO_GRPC_PORT": "0",
            "EMCO_RSYNC_LEASE": str(LEASE),
            "EMCO_CLUSTER_TIMEOUT": "5",
            **({} if agents_port is None else {"EMCO_RSYNC_AGENTS_PORT": str(agents_port)}),
            **(surroundings or {}),
        }
        self.command = Command("serve", "rsync", log=folder / f"rsync-{number}.log", environment=environment)
        self._channels = channels
        self._port = 0

    @property
    def output(self) -> str:
        return self.command.output

    @property
    def id(self) -> str:
        """As it is known on the bus at present."""
        return str(_PRESENT.findall(self.output)[-1])

    async def start(self) -> None:
        """Returns when it may own deployments."""
        await self.command.start()
        await self.command.says(self._ready)
        self._port = int(_UP.findall(await self.command.says("rsync is up"))[-1])

    async def kill(self) -> None:
        await self.command.end(signal.SIGKILL)

    async def stop(self) -> None:
        await self.command.end(signal.SIGTERM)

    def freeze(self) -> None:
        self.command.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.command.signal(signal.SIGCONT)

    async def install(self, context: str) -> None:
        stub = installapp_pb2_grpc.installappStub(await self._channel())
        await stub.InstallApp(installapp_pb2.InstallAppRequest(app_context=context), timeout=10)

    async def uninstall(self, context: str) -> None:
        stub = installapp_pb2_grpc.installappStub(await self._channel())
        await stub.UninstallApp(installapp_pb2.UninstallAppRequest(app_context=context), timeout=10)

    async def update(self, old: str, new: str) -> None:
        stub = updateapp_pb2_grpc.updateappStub(await self._channel())
        request = updateapp_pb2.UpdateAppRequest(update_from_appContext=old, update_to_appContext=new)
        await stub.UpdateApp(request, timeout=10)

    async def _channel(self) -> object:
        return await self._channels.ready("127.0.0.1", self._port)


class Replicas:
    """What they share, seen from outside, and those that were started."""

    def __init__(self, folder: Path, server: EtcdServer, bus: ContextBus, store: DocumentStore) -> None:
        self.folder = folder
        self.server = server
        self.bus = bus
        self.contexts = AppContextStore(bus)
        self.started: list[Replica] = []
        self.channels = Channels(connect_timeout=5)
        self.deps = Deps(store, bus, Sealer(_DATA_KEY), self.channels)
        self._configs = CloudConfigs(store, self.deps.sealer)

    async def start(self, count: int = 1, *, agents: bool = False) -> list[Replica]:
        """``agents``: they receive those of clusters."""
        ports = free_ports(count) if agents else [None] * count
        endpoint, already = self.server.endpoints[0], len(self.started)
        new = [
            Replica(already + number, self.folder, endpoint, self.channels, agents_port=port)
            for number, port in enumerate(ports)
        ]
        self.started += new
        await asyncio.gather(*(replica.start() for replica in new))
        return new

    async def start_another(self, surroundings: Mapping[str, str], *, ready: str = PRESENT) -> Replica:
        """One that differs in its environment; ``ready`` is what it says when it begins to work."""
        endpoint, number = self.server.endpoints[0], len(self.started)
        made = Replica(number, self.folder, endpoint, self.channels, surroundings=surroundings, ready=ready)
        self.started.append(made)
        await made.start()
        return made

    async def register(self, cluster: SimCluster) -> None:
        await self._configs.put(Access("p", cluster.name, "0", "default", kubeconfig=cluster.kubeconfig.encode()))

    async def write(self, *contexts: AppContext) -> None:
        for context in contexts:
            await self.contexts.write_new(context)

    async def owner(self, context: str) -> Replica:
        """Waits until there is one among those that were started."""
        async with asyncio.timeout(DEADLINE):
            while True:
                entry = await self.bus.get(f"{OWNERS}{context}/")
                for replica in self.started:
                    if entry is not None and replica.command.runs and replica.id == entry.value.decode():
                        return replica
                await asyncio.sleep(0.02)

    async def present(self) -> int:
        return len((await self.bus.range(REPLICAS)).entries)

    async def until(self, context: str, state: str) -> ContextStatus:
        async with asyncio.timeout(DEADLINE):
            while True:
                status = await self.contexts.read_status(context)
                if status.status == state:
                    return status
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for replica in self.started:
            await replica.kill()
        await self.channels.close()


@asynccontextmanager
async def replicas(folder: Path, server: EtcdServer, clusters: Iterable[SimCluster]) -> AsyncIterator[Replicas]:
    """Nothing is started yet."""
    store = await SqliteStore.open(folder / "store.db")
    bus = await server.connect()
    made = Replicas(folder, server, bus, store)
    try:
        for cluster in clusters:
            await made.register(cluster)
        yield made
    finally:
        await made.close()
        await bus.close()
        await store.close()
