"""The parts that receive agents and reach them, put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import grpc

from emco_common.cloudconfig import ADMIN_LEVEL, IMPERSONATED, AccessMissing, CloudConfigs
from emco_common.kube import KubeApi, KubeClient
from emco_common.kube.kubeconfig import Kubeconfig
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.certificates import SERVER, File, Files
from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import credentials_of
from emco_common.runtime import Deps
from emco_common.settings import BadSettings
from emco_common.syncobjects import SyncObjects
from emco_rsync.delivery.admission import Admission, Attempts
from emco_rsync.delivery.agents import Agents
from emco_rsync.delivery.directory import Directory
from emco_rsync.delivery.reception import Reception
from emco_rsync.delivery.relay import Relay, Relays
from emco_rsync.delivery.tunnel import through_agent
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.ways import Identity, Way

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes that a stranger can make us take at once. Agents send a sixteenth of it."""
STOPPING = "this replica of rsync stops"


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """``port`` is ``None`` where no agents are received; files are PEM. ``timeout`` is that of a call in seconds."""

    host: str
    port: int | None = None
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    plaintext: bool = False
    timeout: float = 15.0


class AgentHost:
    """``arrived`` is told of a cluster whose agent has connected, here or at another replica; ``denied`` the
    reason whenever one is not let in."""

    def __init__(
        self,
        settings: AgentSettings,
        deps: Deps,
        *,
        replica: str,
        lease: Callable[[], int | None],
        arrived: Callable[[str], None],
        denied: Callable[[str], None] = lambda _: None,
        backoff: Backoff,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = settings.timeout
        self._sealer = deps.sealer
        self._directory = Directory(
            deps.bus,
            replica=replica,
            lease=lease,
            moved=lambda cluster, holder: self.agents.moved(cluster, holder),
            backoff=backoff,
        )
        self._relays = Relays(address=self._directory.address, channels=deps.channels, sealer=deps.sealer)
        self.agents = Agents(claims=self._directory, elsewhere=self._relays.session, arrived=arrived, clock=deps.clock)
        records, tokens = CloudConfigs(deps.store, deps.sealer), SyncObjects(deps.store, deps.sealer)
        admission = Admission(records, tokens, Attempts(clock))
        self._reception = Reception(
            self.agents, admission, denied=denied, behind_proxy=settings.plaintext and not settings.cert_file
        )
        self.servers: tuple[GrpcServer, ...] = ()
        if settings.port is not None:
            server = GrpcServer(
                settings.host,
                settings.port,
                lambda server: agents_pb2_grpc.add_emcoagentServicer_to_server(self._reception, server),
                credentials=server_credentials(settings),
                max_message=MAX_MESSAGE,
                stopping=lambda: self.agents.close(STOPPING),
            )
            self.servers = (server,)

    def holder(self, cluster: str) -> str:
        """The replica with the stream of the cluster's agent, as the bus says, or ``""``."""
        return self._directory.holder(cluster)

    def register_relay(self, server: Any) -> None:
        """On the port that only services reach."""
        relay = Relay(replica=self._directory.replica, begin=self.agents.begin_here, sealer=self._sealer)
        agents_pb2_grpc.add_emcoagentrelayServicer_to_server(relay, server)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._directory.run(), name="directory of agents")
                tasks.create_task(self._reception.confirm(), name="agents confirmed")
        finally:
            await self._relays.close()

    def open(self, identity: Identity, way: Way) -> KubeApi:
        """What speaks to a cluster through its agent, as the user of ``identity``; does not connect. ``AccessMissing``
        for a logical cloud of which it is not known who it is: it never acts as the agent itself."""
        user = way.gitops.get(IMPERSONATED, "")
        if identity.level != ADMIN_LEVEL and not user:
            raise AccessMissing(
                f"the access record of {identity.cluster} for namespace {identity.namespace} names no user to act as; "
                "update the logical cloud"
            )
        carrier = through_agent(
            identity.cluster,
            self.agents.begin,
            user=user if identity.level != ADMIN_LEVEL else "",
            timeout=self._timeout,
        )
        return KubeClient(Kubeconfig(f"agent of {identity.cluster}", namespace=identity.namespace), carrier=carrier)


def server_credentials(settings: AgentSettings) -> grpc.ServerCredentials | None:
    """``BadSettings`` for what would let tokens be read on the way."""
    if not settings.cert_file or not settings.key_file:
        if settings.plaintext or _is_loopback(settings.host):
            return None
        raise BadSettings(
            "setting agents_port: agents send tokens, so agents_cert_file and agents_key_file are needed beside it; "
            "agents_plaintext only where a proxy in front ends TLS"
        )
    pair = File("agents_cert_file", settings.cert_file), File("agents_key_file", settings.key_file)
    clients = File("agents_client_ca_file", settings.client_ca_file) if settings.client_ca_file else None
    return credentials_of(Files(pair, clients, frozenset({SERVER})))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
