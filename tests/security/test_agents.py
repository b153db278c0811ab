"""Agents that are not who they say, and agents that mean harm: denied and noted, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.kube.errors import BadAnswer, Unreachable
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentOrders
from emco_common.syncobjects import AGENT_OF
from emco_rsync.delivery.admission import FREE_ATTEMPTS
from emco_simcluster import SimCluster
from tests.support.agents import Host, Stranger, agent, hosts, register, stranger, token_of

REFUSED = grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosts(tmp_path, timeout=2.0) as [one]:
        await register(one.deps, "p+a")
        await register(one.deps, "p+b")
        yield one


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def noted(log: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in log if line["event"] == event]


@pytest.mark.robustness(26)
async def test_the_token_of_one_cluster_opens_no_other(host: Host, log: list[dict[str, Any]]) -> None:
    async with stranger(host.port) as one:
        assert await one.hello("p+a", token_of("p+b")) is REFUSED
    (line,) = noted(log, "agent_denied")
    assert (line["audit"], line["cluster"], line["why"]) == (True, "p+a", "the token is not that of the cluster")
    assert token_of("p+b") not in str(log)
    assert host.agents.here() == {}


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    ("holder", "why"),
    [
        ("a", "the sync object agent-a holds the token of cluster a; give b one of its own"),
        ("", "the sync object agent-a is no cluster's yet; write the cluster b once more (PUT)"),
    ],
)
async def test_a_cluster_with_the_sync_object_of_another_is_refused_and_its_users_are_told_why(
    host: Host, log: list[dict[str, Any]], holder: str, why: str
) -> None:
    key = {"clusterProvider": "p", "clusterSyncObject": "agent-a"}
    found = await host.deps.store.get(key)
    assert found is not None
    await host.deps.store.replace(replace(found, tags={AGENT_OF: holder}))
    gitops = {"gitOpsType": "agent", "gitOpsReferenceObject": "agent-a", "gitOpsResourceObject": ""}
    await CloudConfigs(host.deps.store, host.deps.sealer).put(Access("p", "b", gitops=gitops))
    async with stranger(host.port) as one:
        assert await one.hello("p+b", token_of("p+a")) is REFUSED
    (line,) = noted(log, "agent_denied")
    assert (line["audit"], line["cluster"], line["why"]) == (True, "p+b", why)
    with pytest.raises(Unreachable, match=re.escape(f"the last that tried was refused: {why}")):
        await host.client("p+b").version()


@pytest.mark.robustness(26)
async def test_one_token_in_two_sync_objects_lets_in_one_agent_only(host: Host, log: list[dict[str, Any]]) -> None:
    await register(host.deps, "p+b", token=token_of("p+a"))
    async with stranger(host.port) as one, stranger(host.port) as again:
        assert isinstance(await one.hello("p+a"), AgentOrders)
        async with stranger(host.port) as other:
            assert await other.hello("p+b", token_of("p+a")) is REFUSED
        assert isinstance(await again.hello("p+a"), AgentOrders)  # a newer agent of the same cluster is no other
    (line,) = noted(log, "agent_denied")
    assert line["why"] == "the agent of p+a has connected with the same token; give each one of its own"
    with pytest.raises(Unreachable, match="give each one of its own"):
        await host.client("p+b").version()
    await host.until_gone("p+a")
    async with stranger(host.port) as other:
        assert isinstance(await other.hello("p+b", token_of("p+a")), AgentOrders)


@pytest.mark.robustness(26)
async def test_an_agent_is_asked_for_its_own_cluster_only(host: Host) -> None:
    async with stranger(host.port) as one, stranger(host.port) as other:
        assert isinstance(await one.hello("p+a"), AgentOrders)
        assert isinstance(await other.hello("p+b"), AgentOrders)
        asking = asyncio.create_task(host.client("p+b").version())
        order = await other.order()
        await one.say(AgentAnswer(call=order.call, status=200, body=b'{"gitVersion": "of a"}', last=True))
        assert await one.code() is grpc.StatusCode.UNAVAILABLE  # it answered what it was not asked
        await other.say(AgentAnswer(call=order.call, status=200, body=b'{"gitVersion": "of b"}', last=True))
        assert (await asking)["gitVersion"] == "of b"


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    ("cluster", "token", "why"),
    [
        ("p+a", "", "token"),
        ("p+a", "wrong" * 10, "token"),
        ("p+nowhere", "x" * 20, "no access record"),
        ("p+direct", "x" * 20, "not registered with gitOpsType agent"),
        ("p+short", "short", "16 characters"),
        ("a", "x" * 20, "provider+cluster"),
        ("", "", "provider+cluster"),
        ("x" * 1000, "x" * 20, "too long"),
    ],
)
async def test_all_that_is_wrong_gets_the_same_answer(
    host: Host, log: list[dict[str, Any]], cluster: str, token: str, why: str
) -> None:
    await register(host.deps, "p+short", token="short")
    await CloudConfigs(host.deps.store, host.deps.sealer).put(Access("p", "direct", kubeconfig=b"a kubeconfig"))
    async with stranger(host.port) as one:
        assert await one.hello(cluster, token) is REFUSED
        assert await one.stream.details() == "no agent of this name and token is expected"
    assert why in noted(log, "agent_denied")[0]["why"]


@pytest.mark.robustness(26, 35)
async def test_a_token_that_was_exchanged_ends_the_connection_of_the_old_one(
    host: Host, log: list[dict[str, Any]]
) -> None:
    async with stranger(host.port) as one, stranger(host.port) as other:
        await one.hello("p+a")
        await other.hello("p+b")
        await register(host.deps, "p+a", token="another token of cluster a")
        answering = asyncio.create_task(one.order())
        assert await one.code() is REFUSED
        answering.cancel()
        assert [line["cluster"] for line in noted(log, "agent_revoked")] == ["p+a"]
        assert set(host.agents.here()) == {"p+b"}
    async with stranger(host.port) as again:
        assert await again.hello("p+a") is REFUSED
    async with stranger(host.port) as again:
        assert isinstance(await again.hello("p+a", "another token of cluster a"), AgentOrders)


@pytest.mark.robustness(26)
async def test_the_deletion_of_a_cluster_ends_the_connection_of_its_agent(host: Host) -> None:
    async with stranger(host.port) as one:
        await one.hello("p+a")
        await CloudConfigs(host.deps.store, host.deps.sealer).delete(Access("p", "a"))
        answering = asyncio.create_task(one.order())
        assert await one.code() is REFUSED
        answering.cancel()


@pytest.mark.robustness(35)
async def test_who_guesses_has_to_wait_and_agents_that_are_connected_do_not_notice(
    host: Host, log: list[dict[str, Any]]
) -> None:
    async with stranger(host.port) as good:
        await good.hello("p+a")
        for attempt in range(FREE_ATTEMPTS + 1):
            async with stranger(host.port) as one:
                assert await one.hello("p+a", f"guess {attempt}") is REFUSED
        async with stranger(host.port) as one:
            assert await one.hello("p+a") is grpc.StatusCode.RESOURCE_EXHAUSTED
        async with stranger(host.port) as other:
            assert isinstance(await other.hello("p+b"), AgentOrders)
        assert "p+a" in host.agents.here()
    assert "too many attempts" in noted(log, "agent_denied")[-1]["why"]


@pytest.mark.robustness(35)
@pytest.mark.parametrize("proxied", [True, False])
async def test_behind_a_proxy_who_guesses_does_not_make_others_wait_and_else_nobody_says_whose_address_it_has(
    tmp_path: Path, log: list[dict[str, Any]], proxied: bool
) -> None:
    async with hosts(tmp_path, settings={"plaintext": proxied}) as [one]:
        await register(one.deps, "p+a")
        for attempt in range(FREE_ATTEMPTS + 1):
            async with stranger(one.port, forwarded=f"10.9.9.{attempt}, 10.0.0.7") as guessing:
                assert await guessing.hello("p+a", f"guess {attempt}") is REFUSED
        async with stranger(one.port, forwarded="10.0.0.7, 10.0.0.8") as good:
            heard = await good.hello("p+a")
        assert isinstance(heard, AgentOrders) is proxied
    assert {line["peer"] for line in noted(log, "agent_denied")} == {"10.0.0.7" if proxied else "ipv4:127.0.0.1"}


async def test_what_is_no_hello_is_not_listened_to(host: Host) -> None:
    async with stranger(host.port) as one:
        await one.say(AgentAnswer(call=1, status=200))
        assert await one.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_port_of_agents_serves_nothing_else(host: Host) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{host.port}") as channel:
        relay = agents_pb2_grpc.emcoagentrelayStub(channel).Relay()
        assert await relay.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_newer_agent_takes_over(host: Host) -> None:
    async with stranger(host.port) as old, stranger(host.port) as new:
        await old.hello("p+a")
        await new.hello("p+a")
        assert await old.code() is grpc.StatusCode.ABORTED
        asking = asyncio.create_task(host.client("p+a").version())
        order = await new.order()
        await new.say(AgentAnswer(call=order.call, status=200, body=b'{"gitVersion": "v1"}', last=True))
        assert (await asking)["gitVersion"] == "v1"


async def _sends_a_gigabyte(one: Stranger) -> None:
    order = await one.order()
    await one.say(AgentAnswer(call=order.call, status=200))
    for _ in range(16_384):
        await one.say(AgentAnswer(call=order.call, body=bytes(65_536)))


async def _sends_a_gigabyte_in_one(one: Stranger) -> None:
    order = await one.order()
    await one.say(AgentAnswer(call=order.call, status=200, body=bytes(64 << 20)))


async def _answers_garbage(one: Stranger) -> None:
    while True:
        order = await one.order()
        await one.say(AgentAnswer(call=order.call, status=200, body=os.urandom(100), last=True))


async def _answers_what_was_not_asked(one: Stranger) -> None:
    order = await one.order()
    await one.say(AgentAnswer(call=order.call + 1_000, status=200, last=True))


async def _never_answers(one: Stranger) -> None:
    while True:
        await one.order()


async def _floods(one: Stranger) -> None:
    order = await one.order()
    await one.say(AgentAnswer(call=order.call, status=200))
    while True:
        await one.say(*(AgentAnswer(call=order.call, body=b"\n") for _ in range(1_000)))


@pytest.mark.robustness(27)
@pytest.mark.parametrize(
    "harm",
    [
        _sends_a_gigabyte,
        _sends_a_gigabyte_in_one,
        _answers_garbage,
        _answers_what_was_not_asked,
        _never_answers,
        _floods,
    ],
)
async def test_an_agent_that_means_harm_harms_its_own_cluster_only(
    host: Host, sim_cluster: SimCluster, tmp_path: Path, harm: Any
) -> None:
    async def attack() -> None:
        try:
            await harm(one)
        except (grpc.RpcError, asyncio.InvalidStateError, AttributeError):
            return  # it was shown out

    async with agent("p+b", sim_cluster.kubeconfig, tmp_path, port=host.port), stranger(host.port) as one:
        await one.hello("p+a")
        await host.until_here("p+b")
        attacking = asyncio.create_task(attack())
        good, bad = host.client("p+b"), host.client("p+a")
        asking = asyncio.create_task(bad.version())
        for _ in range(50):
            assert (await good.version())["gitVersion"]
        with pytest.raises((Unreachable, BadAnswer)):
            await asking
        assert (await good.version())["gitVersion"]
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)


async def test_the_silent_are_not_waited_for_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emco_rsync.delivery.carrying.SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("emco_rsync.delivery.carrying.PING_SECONDS", 0.1)
    async with stranger(host.port) as one:
        await one.hello("p+a")
        await host.until_gone("p+a")


@pytest.mark.robustness(35)
async def test_strangers_who_say_nothing_take_no_room_from_others(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emco_rsync.delivery.reception.HELLO_SECONDS", 0.3)
    monkeypatch.setattr("emco_rsync.delivery.reception.MAX_STRANGERS", 2)
    async with stranger(host.port) as one, stranger(host.port) as two, stranger(host.port) as three:
        codes = sorted([await one.code(), await two.code(), await three.code()], key=str)
        assert codes.count(grpc.StatusCode.INVALID_ARGUMENT) == 2
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 1
    async with stranger(host.port) as good:
        assert isinstance(await good.hello("p+a"), AgentOrders)
