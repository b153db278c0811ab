"""Calls and watches of a client share an HTTP/2 connection, and what happens to one of them is no other's concern."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from emco_common.kube import Kind, KubeClient, Ref, connections, errors, http2, parse_kubeconfig
from emco_common.kube.network import Network
from emco_common.kube.wire import Wire
from emco_simcluster import Outage, Rule, SimCluster

CONFIG_MAP, SECRET = Kind("v1", "ConfigMap"), Kind("v1", "Secret")
KINDS = [Kind("v1", kind) for kind in ("ConfigMap", "Secret", "Service", "Pod", "ServiceAccount", "Endpoints")]


@pytest_asyncio.fixture
async def client(sim_cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig), timeout=5) as made:
        yield made


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}


async def first(client: KubeClient, kind: Kind, version: str) -> str:
    async with aclosing(client.watch(kind, resource_version=version)) as watch:
        event = await anext(watch)
        return f"{event.type} {event.object['metadata']['name']}"


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - the cluster changes on its own
            await asyncio.sleep(0.01)


async def watching(client: KubeClient, cluster: SimCluster, *kinds: Kind) -> list[asyncio.Task[str]]:
    """Watches that the server has taken."""
    version = (await client.list(CONFIG_MAP)).resource_version
    cluster.counts.clear()
    tasks = [asyncio.create_task(first(client, kind, version)) for kind in kinds]
    await until(lambda: sum(n for (verb, _), n in cluster.counts.items() if verb == "watch") == len(kinds))
    return tasks


async def test_watches_and_calls_need_one_connection(sim_cluster: SimCluster, client: KubeClient) -> None:
    watches = await watching(client, sim_cluster, *KINDS)
    await asyncio.gather(*(client.apply(config_map(f"a{n}"), manager="m") for n in range(20)))
    assert sim_cluster.connections == 1
    assert (await watches[0]).startswith("ADDED a")
    for watch in watches:
        watch.cancel()


async def test_who_stops_reading_ends_only_its_own(sim_cluster: SimCluster, client: KubeClient) -> None:
    mine, other = await watching(client, sim_cluster, CONFIG_MAP, CONFIG_MAP)
    mine.cancel()
    await client.apply(config_map("a"), manager="m")
    assert await other == "ADDED a"
    assert sim_cluster.connections == 1


async def test_a_server_that_goes_away_finishes_what_is_open_and_gets_a_fresh_connection_for_the_rest(
    sim_cluster: SimCluster, client: KubeClient
) -> None:
    (watch,) = await watching(client, sim_cluster, CONFIG_MAP)
    sim_cluster.go_away()
    await asyncio.sleep(0)
    await client.list(SECRET)
    await until(lambda: sim_cluster.connections == 2)
    await client.apply(config_map("a"), manager="m")
    assert await watch == "ADDED a"
    await until(lambda: sim_cluster.connections == 1)


async def test_a_server_that_takes_few_exchanges_gets_more_connections(
    sim_cluster: SimCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emco_simcluster.http2.MAX_STREAMS", 2)
    watches = await watching(client, sim_cluster, *KINDS[:5])
    assert sim_cluster.connections == 3
    for watch in watches:
        watch.cancel()


@pytest.mark.robustness(47)
async def test_a_connection_that_died_without_a_word_is_noticed(
    sim_cluster: SimCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "PING_AFTER", 0.1)
    monkeypatch.setattr(http2, "PONG_WITHIN", 0.1)
    (watch,) = await watching(client, sim_cluster, CONFIG_MAP)
    sim_cluster.faults.begin_outage(Outage.HANG)
    async with asyncio.timeout(5):
        with pytest.raises(errors.Unreachable, match="no sign of life"):
            await watch


async def test_a_quiet_connection_that_lives_is_kept(
    sim_cluster: SimCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "PING_AFTER", 0.05)
    monkeypatch.setattr(http2, "PONG_WITHIN", 0.5)
    (watch,) = await watching(client, sim_cluster, CONFIG_MAP)
    await asyncio.sleep(0.4)
    await client.apply(config_map("a"), manager="m")
    assert await watch == "ADDED a"


async def test_a_connection_without_work_is_closed_and_one_with_a_watch_is_not(
    sim_cluster: SimCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    (watch,) = await watching(client, sim_cluster, CONFIG_MAP)
    await asyncio.sleep(0.5)
    assert sim_cluster.connections == 1
    watch.cancel()
    await until(lambda: sim_cluster.connections == 0)
    await client.list(SECRET)
    assert sim_cluster.connections == 1


async def test_a_call_that_is_cut_is_told_and_the_next_goes_on(sim_cluster: SimCluster, client: KubeClient) -> None:
    await client.apply(config_map("a"), manager="m")
    sim_cluster.faults.add(Rule(verb="get", cut=True, times=1))
    with pytest.raises(errors.Unreachable):
        await client.get(Ref(CONFIG_MAP, "a", "default"))
    await client.get(Ref(CONFIG_MAP, "a", "default"))


async def test_large_objects_go_both_ways(sim_cluster: SimCluster, client: KubeClient) -> None:
    large = {**config_map("a"), "data": {str(n): "y" * 50_000 for n in range(18)}}
    await client.apply(large, manager="m")
    assert (await client.get(Ref(CONFIG_MAP, "a", "default")))["data"] == large["data"]


async def test_a_network_may_keep_to_the_older_protocol(sim_cluster: SimCluster) -> None:
    kubeconfig = parse_kubeconfig(sim_cluster.kubeconfig)
    async with KubeClient(kubeconfig, network=Network(shared=False)) as client:
        for watch in await watching(client, sim_cluster, *KINDS[:3]):
            watch.cancel()
        assert sim_cluster.connections >= 3


async def test_certificates_are_in_memory_for_the_handshake_only(sim_cluster: SimCluster) -> None:
    network, kubeconfig = Network(), parse_kubeconfig(sim_cluster.kubeconfig)
    async with KubeClient(kubeconfig, network=network) as one, KubeClient(kubeconfig, network=network) as other:
        before = len(contexts())
        watches = await watching(one, sim_cluster, *KINDS)
        await other.list(CONFIG_MAP)
        assert len(contexts()) == before - 2
        for watch in watches:
            watch.cancel()


async def test_a_connection_that_is_opened_anew_shows_its_certificate_again(
    sim_cluster: SimCluster, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    for name in ("a", "b", "c"):
        await client.apply(config_map(name), manager="m")
        await until(lambda: sim_cluster.connections == 0)


def contexts() -> list[ssl.SSLContext]:
    gc.collect()
    return [found for found in gc.get_objects() if type(found) is ssl.SSLContext]


async def test_a_further_connection_goes_on_with_the_tls_session_of_the_first(
    sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []
    wired = connections.connect

    async def seen(*arguments: Any, **more: Any) -> Wire:
        wire = await wired(*arguments, **more)
        taken.append(wire.resumed)
        return wire

    monkeypatch.setattr(connections, "connect", seen)
    network = Network(shared=False)
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig), network=network) as client:
        await client.list(CONFIG_MAP)
        await asyncio.gather(*(client.list(CONFIG_MAP) for _ in range(4)))
    assert taken[0] is False
    assert taken[-1] is True


@pytest.mark.robustness(48)
async def test_that_the_last_connection_is_lost_is_known_before_anything_else_is_asked(
    sim_cluster: SimCluster, client: KubeClient
) -> None:
    await client.apply(config_map("a"), manager="m")
    assert client.lapses == 0
    sim_cluster.faults.restart()
    await until(lambda: client.lapses == 1)
    await client.apply(config_map("b"), manager="m")
    assert client.lapses == 1
