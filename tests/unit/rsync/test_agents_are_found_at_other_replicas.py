"""An agent's stream ends at one replica; all of them reach its cluster through that one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from grpc import aio

from emco_common.kube.errors import Unreachable
from emco_common.rpc import agents_pb2_grpc
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentOrder, AgentOrders, AgentRequest
from emco_common.secrets import Sealer
from emco_rsync.delivery.directory import AGENTS
from emco_simcluster import SimCluster
from tests.support.agents import Host, agent, hosts, register, stranger, until

CLUSTER = "p+edge"


async def until_answered(host: Host) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    async with host.client(CLUSTER) as client:
        while True:
            assert asyncio.get_running_loop().time() < deadline, "not in time"
            with suppress(Unreachable):
                await client.version()
                return
            await asyncio.sleep(0.01)


async def test_an_agent_that_comes_back_elsewhere_is_found_there(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with hosts(tmp_path, count=3) as [first, second, third]:
        await register(first.deps, CLUSTER)
        for place in (first, second, first):
            async with agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=place.port):
                for host in (first, second, third):
                    await until_answered(host)
        for host in (first, second, third):
            await until(lambda host=host: host.host.holder(CLUSTER) == "")
            with pytest.raises(Unreachable, match="no agent of p"):
                await host.client(CLUSTER).version()


async def test_the_newer_stream_counts_wherever_it_is(tmp_path: Path) -> None:
    async with hosts(tmp_path, count=2) as [first, second]:
        await register(first.deps, CLUSTER)
        async with stranger(first.port) as old, stranger(second.port) as new:
            await old.hello(CLUSTER)
            await until(lambda: second.arrived == [CLUSTER])
            await new.hello(CLUSTER)
            assert await old.code() is grpc.StatusCode.ABORTED
            asking = asyncio.create_task(first.client(CLUSTER).version())
            order = await new.order()
            await new.say(AgentAnswer(call=order.call, status=200, body=b'{"gitVersion": "v1"}', last=True))
            assert (await asking)["gitVersion"] == "v1"
            entry = await first.deps.bus.get(f"{AGENTS}{CLUSTER}/")
            assert entry is not None
            assert entry.value.decode() == second.replica


async def test_a_claim_that_went_with_its_lease_is_made_again(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with hosts(tmp_path, count=2) as [holder, other]:
        await register(holder.deps, CLUSTER)
        async with agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=holder.port):
            await until_answered(other)
            await holder.deps.bus.delete(f"{AGENTS}{CLUSTER}/")
            await until_answered(other)
            entry = await holder.deps.bus.get(f"{AGENTS}{CLUSTER}/")
            assert entry is not None
            assert entry.value.decode() == holder.replica


async def test_a_replica_that_dies_leaves_its_clusters_away_and_not_stuck(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with hosts(tmp_path, count=2) as [holder, other]:
        await register(holder.deps, CLUSTER)
        async with stranger(holder.port) as one:
            await one.hello(CLUSTER)
            await until(lambda: other.arrived == [CLUSTER])
            asking = asyncio.create_task(other.client(CLUSTER).version())
            await one.order()
            await holder.stop()
            with pytest.raises(Unreachable):
                await asking
        async with agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=other.port):
            await until_answered(other)


@pytest.mark.robustness(26)
@pytest.mark.parametrize("key", ["another key", None])
async def test_only_a_replica_can_ask_another(tmp_path: Path, key: str | None) -> None:
    async with hosts(tmp_path) as [host]:
        await register(host.deps, CLUSTER)
        async with stranger(host.port) as one, aio.insecure_channel(f"127.0.0.1:{host.relay_port}") as channel:
            await one.hello(CLUSTER)
            relay = agents_pb2_grpc.emcoagentrelayStub(channel).Relay()
            challenge = await relay.read()
            assert isinstance(challenge, AgentAnswers)
            proof = (
                Sealer(key).seal(challenge.challenge, record=f"relay of agents by replica {host.replica}")
                if key
                else ""
            )
            asked = AgentRequest(method="GET", target="/api/v1/secrets", accept="application/json", cluster=CLUSTER)
            await relay.write(AgentOrders(proof=proof, orders=[AgentOrder(call=1, request=asked)]))
            assert await relay.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.robustness(26)
async def test_a_proof_is_good_for_one_challenge_of_one_replica(tmp_path: Path) -> None:
    async with (
        hosts(tmp_path, count=2) as [first, second],
        aio.insecure_channel(f"127.0.0.1:{first.relay_port}") as one,
        aio.insecure_channel(f"127.0.0.1:{second.relay_port}") as other,
    ):
        relay = agents_pb2_grpc.emcoagentrelayStub(one).Relay()
        proof = first.deps.sealer.seal(
            (await relay.read()).challenge, record=f"relay of agents by replica {first.replica}"
        )
        for channel in (one, other):
            again = agents_pb2_grpc.emcoagentrelayStub(channel).Relay()
            await again.read()
            await again.write(AgentOrders(proof=proof))
            assert await again.code() is grpc.StatusCode.UNAUTHENTICATED
