"""Two whole resource synchronizers on one etcd: the agent is connected to one, its deployments are the other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext
from emco_simcluster import Rule, SimCluster
from tests.faults.test_rsync_replicas import changes, labelled
from tests.support.agents import agent_process, register
from tests.support.etcd import EtcdServer
from tests.support.forwarder import Forwarder, forwarding
from tests.support.replicas import DEADLINE, Replica, Replicas, replicas
from tests.unit.rsync.rig import config_map, context, deployment

MakeEtcd = Callable[..., EtcdServer]
CLUSTER = "p+edge"
MANY = [*(config_map(f"c{number}", number=str(number)) for number in range(12)), deployment("d")]
MANY_THERE = sorted([*(f"ConfigMap/c{number}" for number in range(12)), "Deployment/d"])


@dataclass(frozen=True)
class Apart:
    """``owner`` has the deployment 71, ``holder`` the agent's stream, and ``way`` is how the agent goes to it."""

    made: Replicas
    owner: Replica
    holder: Replica
    way: Forwarder


@asynccontextmanager
async def apart(folder: Path, server: EtcdServer, cluster: SimCluster, wanted: AppContext) -> AsyncIterator[Apart]:
    """The agent comes when the owner of the deployment has begun to wait for it."""
    async with replicas(folder, server, []) as made:
        await register(made.deps, CLUSTER)
        first, _ = await made.start(2, agents=True)
        await made.write(wanted)
        await first.install("71")
        owner = await made.owner("71")
        (holder,) = (replica for replica in made.started if replica is not owner)
        await retrying(made)
        async with forwarding(port_of(holder)) as way:
            one = agent_process(CLUSTER, cluster.kubeconfig, folder, port=way.port)
            await one.start()
            try:
                await holder.command.says("agent_accepted")
                yield Apart(made, owner, holder, way)
            finally:
                await one.end()


def port_of(replica: Replica) -> int:
    assert replica.agents_port is not None
    return replica.agents_port


async def retrying(made: Replicas) -> None:
    async with asyncio.timeout(DEADLINE):
        while (await made.contexts.read_status("71")).cluster("web", CLUSTER).connectivity != "Retrying":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def arrived(cluster: SimCluster, number: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(labelled(cluster)) < number:  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.01)


@pytest.mark.robustness(58)
async def test_a_deployment_goes_by_the_other_replica_to_the_agent_and_by_its_own_when_that_one_dies(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    first = context("71", {"web": {"edge": [config_map("a"), deployment("d")]}})
    second = context("72", {"web": {"edge": [config_map("b"), deployment("d")]}}, status_context="71")
    async with apart(tmp_path, etcd_server(), sim_cluster, first) as so:
        await so.made.until("71", "Instantiated")
        assert labelled(sim_cluster) == ["ConfigMap/a", "Deployment/d"]
        assert "agent_accepted" not in so.owner.output

        so.way.lead(port_of(so.owner))
        await so.holder.kill()
        await so.owner.command.says("agent_accepted")
        await so.made.write(second)
        await so.owner.update("71", "72")
        await so.made.until("72", "Instantiated")
        assert labelled(sim_cluster) == ["ConfigMap/b", "Deployment/d"]
        assert await so.made.owner("71") is so.owner


@pytest.mark.robustness(58, 59)
async def test_the_agents_replica_dies_in_mid_delivery_and_the_owner_goes_on_when_the_agent_has_found_it(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="c11", hang=True))
    async with apart(tmp_path, etcd_server(), sim_cluster, context("71", {"web": {"edge": MANY}})) as so:
        await arrived(sim_cluster, 2)
        so.way.lead(port_of(so.owner))
        await so.holder.kill()
        sim_cluster.faults.clear()
        assert (await so.made.contexts.read_status("71")).status == "Instantiating"
        await so.made.until("71", "Instantiated")
        assert await so.made.owner("71") is so.owner
        assert labelled(sim_cluster) == MANY_THERE
        assert changes(sim_cluster) == {1}


@pytest.mark.robustness(58, 59)
async def test_the_owner_dies_in_mid_delivery_and_the_agents_replica_finishes(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="c11", hang=True))
    async with apart(tmp_path, etcd_server(), sim_cluster, context("71", {"web": {"edge": MANY}})) as so:
        await arrived(sim_cluster, 2)
        await so.owner.kill()
        sim_cluster.faults.clear()
        await so.made.until("71", "Instantiated")
        assert await so.made.owner("71") is so.holder
        assert labelled(sim_cluster) == MANY_THERE
        assert changes(sim_cluster) == {1}
        assert so.way.accepted == 1
