"""The connection of an agent: proved at both ends where that is asked for, and never without TLS by accident."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from emco_common.settings import BadSettings
from emco_rsync.delivery import hosting
from emco_rsync.settings import RsyncSettings
from emco_simcluster import SimCluster
from tests.support.agents import Host, agent, hosts, register
from tests.support.certificates import Authority, KeyPair

CLUSTER = "p+edge"


def put(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def files(folder: Path, name: str, pair: KeyPair) -> dict[str, str]:
    return {
        "cert_file": put(folder, f"{name}.crt", pair.certificate),
        "key_file": put(folder, f"{name}.key", pair.key),
    }


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("ours")


@pytest.fixture
async def host(tmp_path: Path, authority: Authority) -> AsyncIterator[Host]:
    """It asks for certificates of its agents."""
    serving = files(tmp_path, "server", authority.issue("rsync", hosts=["127.0.0.1"]))
    clients = put(tmp_path, "clients.crt", authority.certificate)
    async with hosts(tmp_path, settings={**serving, "client_ca_file": clients}) as [one]:
        await register(one.deps, CLUSTER)
        yield one


def certified(folder: Path, authority: Authority, by: Authority) -> dict[str, Any]:
    """What an agent needs that trusts ``authority`` and has a certificate of ``by``."""
    return {
        **files(folder, "agent", by.issue("agent of edge")),
        "ca_file": put(folder, "ca.crt", authority.certificate),
        "plaintext": False,
    }


async def test_both_ends_prove_who_they_are(
    tmp_path: Path, host: Host, authority: Authority, sim_cluster: SimCluster
) -> None:
    more = certified(tmp_path, authority, authority)
    async with agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=host.port, **more):
        await host.until_here(CLUSTER)
        assert (await host.client(CLUSTER).version())["gitVersion"]


@pytest.mark.parametrize("wrong", ["server of others", "agent of others", "agent without certificate", "no TLS"])
async def test_who_cannot_prove_it_does_not_connect(
    tmp_path: Path, host: Host, authority: Authority, sim_cluster: SimCluster, wrong: str
) -> None:
    others = Authority.new("others")
    more = certified(
        tmp_path,
        others if wrong == "server of others" else authority,
        others if wrong == "agent of others" else authority,
    )
    if wrong == "agent without certificate":
        more |= {"cert_file": "", "key_file": ""}
    if wrong == "no TLS":
        more = {"plaintext": True}
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=host.port, **more)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=30)
        )
        answer = await http.get("/readyz")
        while "has not connected yet" in answer.text:
            answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert "not connected" in answer.json()["checks"]["rsync"]
        assert host.agents.here() == {}


async def test_other_certificates_are_shown_without_a_restart(
    tmp_path: Path, host: Host, authority: Authority, sim_cluster: SimCluster
) -> None:
    """The one that is connected stays."""
    others = Authority.new("others")
    async with agent(
        CLUSTER, sim_cluster.kubeconfig, tmp_path, port=host.port, **certified(tmp_path, authority, authority)
    ):
        await host.until_here(CLUSTER)
        files(tmp_path, "server", others.issue("rsync", hosts=["127.0.0.1"]))
        trusting = ssl.create_default_context(cadata=others.certificate.decode())
        _, writer = await asyncio.open_connection("127.0.0.1", host.port, ssl=trusting)
        writer.close()
        assert (await host.client(CLUSTER).version())["gitVersion"]


def test_a_port_for_the_world_is_not_opened_without_tls(tmp_path: Path) -> None:
    settings = RsyncSettings(host="0.0.0.0", agents_port=9034).agents
    with pytest.raises(BadSettings, match="agents_cert_file"):
        hosting.server_credentials(settings)
    with pytest.raises(BadSettings, match="cannot be read"):
        hosting.server_credentials(dataclasses.replace(settings, cert_file="/nowhere", key_file="/nowhere"))
    assert hosting.server_credentials(dataclasses.replace(settings, plaintext=True)) is None
    assert hosting.server_credentials(dataclasses.replace(settings, host="127.0.0.1")) is None
    pair = files(tmp_path, "server", Authority.new("ours").issue("rsync"))
    assert isinstance(hosting.server_credentials(dataclasses.replace(settings, **pair)), grpc.ServerCredentials)
