"""A real Envoy in front of the agents' port ends TLS: agents do not notice, and rsync hears of all they would say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog

from emco_common.kube import Kind, Ref
from emco_simcluster import SimCluster
from tests.support.agents import DEADLINE, Host, agent, hosts, register, until
from tests.support.certificates import Authority
from tests.support.envoy import Envoy, envoy

CLUSTER = "p+edge"
MAPS = Kind("v1", "ConfigMap")
BIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "big", "namespace": "default"},
    "data": {"a": "x" * 700_000},
}
"""More than a window, ours or one of HTTP/2."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("of the proxy")


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosts(tmp_path, settings={"plaintext": True}) as [one]:
        await register(one.deps, CLUSTER)
        yield one


@pytest.fixture
def proxy(host: Host, authority: Authority) -> Iterator[Envoy]:
    with envoy(to=host.port, pair=authority.issue("proxy", hosts=["127.0.0.1"])) as one:
        yield one


async def test_calls_and_watches_go_through_it_and_again_after_it_has_died(
    tmp_path: Path,
    host: Host,
    proxy: Envoy,
    authority: Authority,
    sim_cluster: SimCluster,
    log: list[dict[str, Any]],
) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate)
    trusting = {"plaintext": False, "ca_file": str(ca)}
    async with agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=proxy.port, **trusting):
        await host.until_here(CLUSTER)
        async with host.client(CLUSTER) as client:
            listed = await client.list(MAPS, namespace="default")
            watching = client.watch(MAPS, resource_version=listed.resource_version, namespace="default")
            await client.apply(BIG, manager="test")
            read = await client.get(Ref(MAPS, "big", "default"))
            assert read["data"] == BIG["data"]
            async with asyncio.timeout(DEADLINE), aclosing(watching) as events:
                assert (await anext(events)).object["metadata"]["name"] == "big"

            first = host.agents.here()[CLUSTER]
            await asyncio.to_thread(proxy.restart)
            await until(lambda: host.agents.here().get(CLUSTER) not in (None, first))
            assert (await client.version())["gitVersion"]
    await host.until_gone(CLUSTER)
    (peer,) = {line["peer"] for line in log if line["event"] == "agent_accepted"}
    assert ip_address(peer)  # told by Envoy, which names an address of this machine; gRPC's own are "ipv4:…"
    assert host.arrived == [CLUSTER, CLUSTER]
