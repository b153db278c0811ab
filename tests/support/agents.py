"""The side of rsync that receives agents, alone; agents, in this process or one of their own; and hostile ones."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from grpc import aio

from emco_agent.app import create_service
from emco_agent.settings import AgentSettings
from emco_common.cloudconfig import CLOUD_LEVEL, IMPERSONATED, Access, CloudConfigs
from emco_common.contextbus.embedded.bus import EmbeddedBus
from emco_common.kube import KubeClient
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentHello, AgentOrders
from emco_common.rpc.channels import Channels
from emco_common.rpc.serving import GrpcServer
from emco_common.runtime import Deps, Service
from emco_common.secrets import Sealer
from emco_common.store.api import Document, DocumentMissing
from emco_common.store.sqlite import SqliteStore
from emco_common.syncobjects import AGENT_OF, record_of
from emco_rsync.delivery import hosting
from emco_rsync.events.ownership import replica_key
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.ways import Identity, Way, admin_of
from tests.support.process import Command

DEADLINE = 60.0


def token_of(cluster: str) -> str:
    return f"a secret of {cluster} that nobody guesses"


async def register(deps: Deps, cluster: str, *, token: str = "", users: Iterable[tuple[str, str]] = ()) -> None:
    """A cluster ``p+<name>`` with an agent, as clm and dcm register it. ``users``: by namespace those of its clouds."""
    provider, name = cluster.split("+")
    key = {"clusterProvider": provider, "clusterSyncObject": f"agent-{name}"}
    sealed = deps.sealer.seal((token or token_of(cluster)).encode(), record=record_of(key))
    document = Document(
        key=key,
        body={"metadata": {"name": f"agent-{name}"}, "spec": {"kv": [{"agentToken": sealed}]}},
        tags={AGENT_OF: name},
    )
    with suppress(DocumentMissing):
        await deps.store.delete(key)
    await deps.store.create(document)
    records = CloudConfigs(deps.store, deps.sealer)
    gitops = {"gitOpsType": "agent", "gitOpsReferenceObject": f"agent-{name}", "gitOpsResourceObject": ""}
    await records.put(Access(provider, name, gitops=gitops))
    for namespace, user in users:
        await records.put(Access(provider, name, CLOUD_LEVEL, namespace, gitops={**gitops, IMPERSONATED: user}))


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "not in time"
        await asyncio.sleep(0.01)


class Host:
    """One replica that receives agents. ``arrived`` are the clusters whose agents have connected, in order."""

    def __init__(self, deps: Deps, *, timeout: float, settings: Mapping[str, Any]) -> None:
        self.deps = deps
        self.replica = uuid.uuid4().hex
        self.arrived: list[str] = []
        self._lease = 0
        self.host = hosting.AgentHost(
            hosting.AgentSettings("127.0.0.1", 0, timeout=timeout, **settings),
            deps,
            replica=self.replica,
            lease=lambda: self._lease,
            arrived=self.arrived.append,
            backoff=Backoff(lambda: 0.5, first=0.05),
        )
        self.agents = self.host.agents
        self._inside = GrpcServer("127.0.0.1", 0, self.host.register_relay)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self.host.servers[0].port

    @property
    def relay_port(self) -> int:
        return self._inside.port

    async def start(self) -> None:
        lease = await self.deps.bus.lease(5)
        self._lease = lease.id
        for server in (*self.host.servers, self._inside):
            await server.start()
        address = f'{{"address": "127.0.0.1:{self._inside.port}"}}'
        await self.deps.bus.put(replica_key(self.replica), address.encode(), lease=lease.id)
        self._task = asyncio.create_task(self.host.run())

    async def stop(self) -> None:
        for server in (*self.host.servers, self._inside):
            await server.stop(0.2)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def client(self, cluster: str, *, user: str = "") -> KubeClient:
        identity = Identity(cluster, "1", "ns") if user else admin_of(cluster)
        gitops = {"gitOpsType": "agent", **({IMPERSONATED: user} if user else {})}
        opened = self.host.open(identity, Way(gitops=gitops))
        assert isinstance(opened, KubeClient)
        return opened

    async def until_here(self, cluster: str) -> None:
        await until(lambda: cluster in self.agents.here())

    async def until_elsewhere(self, cluster: str) -> None:
        """Another replica has the agent's stream, and this one knows."""
        await until(lambda: cluster in self.arrived and cluster not in self.agents.here())

    async def until_gone(self, cluster: str) -> None:
        await until(lambda: cluster not in self.agents.here())


@asynccontextmanager
async def hosts(
    folder: Path, *, count: int = 1, timeout: float = 5.0, settings: Mapping[str, Any] = MappingProxyType({})
) -> AsyncIterator[list[Host]]:
    """So many replicas over one store and one bus."""
    store = await SqliteStore.open(folder / "store.db")
    bus = await EmbeddedBus.open(folder / "bus.db")
    channels = Channels(connect_timeout=2)
    started: list[Host] = []
    try:
        for _ in range(count):
            host = Host(Deps(store, bus, Sealer("test key"), channels), timeout=timeout, settings=settings)
            await host.start()
            started.append(host)
        yield started
    finally:
        for host in started:
            await host.stop()
        await channels.close()
        await bus.close()
        await store.close()


def settings(cluster: str, kubeconfig: Path, *, port: int, token: str = "", **more: Any) -> dict[str, Any]:
    return {
        "server": f"127.0.0.1:{port}",
        "cluster": cluster,
        "token": token or token_of(cluster),
        "plaintext": True,
        "kubeconfig": str(kubeconfig),
        "http_port": 0,
        **more,
    }


@asynccontextmanager
async def agent(cluster: str, kubeconfig: str, folder: Path, *, port: int, **more: Any) -> AsyncIterator[Service]:
    """An agent in the loop of the test."""
    file = folder / f"{uuid.uuid4().hex}.kubeconfig"
    file.write_text(kubeconfig)
    service = create_service(AgentSettings.model_validate(settings(cluster, file, port=port, **more)))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def agent_process(cluster: str, kubeconfig: str, folder: Path, *, port: int, **more: Any) -> Command:
    """An agent as a process of its own; not started yet."""
    file = folder / f"{uuid.uuid4().hex}.kubeconfig"
    file.write_text(kubeconfig)
    given = settings(cluster, file, port=port, **more)
    environment = {f"EMCO_AGENT_{name.upper()}": str(value) for name, value in given.items()}
    return Command("serve", "agent", log=folder / f"{uuid.uuid4().hex}.log", environment=environment)


class Stranger:
    """Whoever connects, and says what it likes."""

    def __init__(self, port: int, *, forwarded: str = "") -> None:
        self._channel = aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.stream = agents_pb2_grpc.emcoagentStub(self._channel).Connect(
            metadata=(("x-forwarded-for", forwarded),) if forwarded else None
        )

    async def hello(self, cluster: str, token: str | None = None) -> AgentOrders | grpc.StatusCode:
        """The welcome, or how it was refused."""
        said = AgentHello(cluster=cluster, token=token_of(cluster) if token is None else token, version="0")
        try:
            await self.stream.write(AgentAnswers(hello=said))
            answer = await self.stream.read()
        except aio.AioRpcError as error:
            return error.code()
        return answer if isinstance(answer, AgentOrders) else await self.stream.code()

    async def order(self) -> Any:
        """The next call that is asked for."""
        while True:
            orders = await self.stream.read()
            for order in orders.orders:
                if order.HasField("request"):
                    return order
                if order.ping:
                    await self.say(AgentAnswer(pong=True))

    async def say(self, *answers: AgentAnswer) -> None:
        await self.stream.write(AgentAnswers(answers=answers))

    async def code(self) -> grpc.StatusCode:
        async with asyncio.timeout(DEADLINE):
            return await self.stream.code()

    async def close(self) -> None:
        self.stream.cancel()
        await self._channel.close()


@asynccontextmanager
async def stranger(port: int, *, forwarded: str = "") -> AsyncIterator[Stranger]:
    """``forwarded``: as a proxy in front would say for whom it speaks."""
    one = Stranger(port, forwarded=forwarded)
    try:
        yield one
    finally:
        await one.close()
