"""Replicas of rsync call one another by addresses that are in no certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emco_common.kube.errors import Unreachable
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentRequest
from emco_common.rpc.channels import Channels
from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import client_tls, server_credentials
from emco_common.secrets import Sealer
from emco_common.settings import Settings
from emco_rsync.delivery.relay import Relay, Relays
from emco_rsync.delivery.session import Call
from tests.support.certificates import Authority
from tests.support.grpctls import Pki

SEALER = Sealer("the key of all replicas")


def _nobody(request: AgentRequest) -> Call:
    raise Unreachable("there is no agent here", reason="AgentAway")


@asynccontextmanager
async def two(pki: Pki, **client: str) -> AsyncIterator[Relays]:
    """What one replica has to reach the other, which shows a certificate for `rsync`."""
    served = Settings.load("rsync", pki.environment("mtls"))
    called = Settings.load("rsync", pki.environment("mtls") | client)

    def register(server: object) -> None:
        relay = Relay(replica="other", begin=_nobody, sealer=SEALER)
        agents_pb2_grpc.add_emcoagentrelayServicer_to_server(relay, server)

    server = GrpcServer("127.0.0.1", 0, register, credentials=server_credentials(served))
    await server.start()

    async def address(replica: str) -> tuple[str, int]:
        return "127.0.0.1", server.port

    channels = Channels(connect_timeout=5, credentials=client_tls(called))
    relays = Relays(address=address, channels=channels, sealer=SEALER)
    try:
        yield relays
    finally:
        await relays.close()
        await channels.close()
        await server.stop(0)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    authority = Authority.new("ours")
    return Pki.made(tmp_path, authority, authority.issue("emco", hosts=["rsync"]))


async def test_the_name_of_the_service_is_enough(pki: Pki) -> None:
    async with two(pki, EMCO_RSYNC_GRPC_SERVER_NAME="rsync") as relays:
        assert (await relays.session("other")).why == ""


async def test_without_it_the_reason_is_told(pki: Pki) -> None:
    async with two(pki) as relays:
        with pytest.raises(Unreachable, match="the replica other cannot be reached: .* is for another name"):
            await relays.session("other")
