"""Several replicas on one etcd: whichever is killed, paused or ended, another finishes, and nothing is done twice.

The witness is the simulated cluster: what it was asked, and how often an object was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext
from emco_rsync.events.ownership import OWNERS
from emco_simcluster import Rule, SimCluster
from tests.support.etcd import EtcdServer
from tests.support.replicas import LEASE, Replica, Replicas, replicas
from tests.unit.rsync.rig import config_map, context, deployment

MakeEtcd = Callable[..., EtcdServer]
OBJECTS = [*(config_map(f"c{number}", number=str(number)) for number in range(12)), deployment("d")]
EXPECTED = sorted([*(f"ConfigMap/c{number}" for number in range(12)), "Deployment/d"])


def wanted(identity: str = "71") -> AppContext:
    return context(identity, {"web": {"edge": OBJECTS}})


def labelled(cluster: SimCluster) -> list[str]:
    return sorted(
        f"{obj['kind']}/{obj['metadata']['name']}"
        for obj in cluster.objects()
        if "emco/deployment-id" in obj["metadata"].get("labels", {}) and not obj["metadata"].get("ownerReferences")
    )


def writes(cluster: SimCluster) -> int:
    looks = {"get", "list", "watch"}
    return sum(count for (verb, _), count in cluster.counts.items() if verb not in looks)


def changes(cluster: SimCluster) -> set[int]:
    """How often each object was changed: an apply that changes nothing leaves no trace."""
    return {obj["metadata"]["generation"] for obj in cluster.objects("Deployment")}


async def in_the_middle(made: Replicas, cluster: SimCluster, wanted_writes: int = 4) -> Replica:
    """The owner of a delivery that has begun and is not over."""
    async with asyncio.timeout(20):
        while writes(cluster) < wanted_writes:  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.005)
    assert (await made.contexts.read_status("71")).status == "Instantiating"
    return await made.owner("71")


async def others_of(made: Replicas, one: Replica) -> list[Replica]:
    return [replica for replica in made.started if replica is not one]


@pytest.mark.robustness(58, 59)
async def test_another_finishes_what_a_killed_owner_was_in_the_middle_of(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.15))
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        first, _ = await made.start(2)
        await made.write(wanted())
        await first.install("71")
        owner = await in_the_middle(made, sim_cluster)
        await owner.kill()
        status = await made.until("71", "Instantiated")
        assert await made.owner("71") in await others_of(made, owner)
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert labelled(sim_cluster) == EXPECTED
        assert changes(sim_cluster) == {1}


@pytest.mark.robustness(59, 61)
async def test_an_owner_that_was_paused_beyond_its_lease_does_not_write_again(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.15))
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        first, _ = await made.start(2)
        await made.write(wanted())
        await first.install("71")
        owner = await in_the_middle(made, sim_cluster)
        former = owner.id
        owner.freeze()
        await made.until("71", "Instantiated")
        before = writes(sim_cluster)
        owner.thaw()
        async with asyncio.timeout(20):
            while owner.output.count("presence_begun") < 2:  # noqa: ASYNC110 - the test looks from outside
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        assert writes(sim_cluster) == before
        status = await made.contexts.read_status("71")
        assert (status.status, status.reason) == ("Instantiated", "")
        assert [element.status for element in status.queue or ()] == ["Done"]
        assert former == owner.id, "one process, one name"
        assert labelled(sim_cluster) == EXPECTED
        assert changes(sim_cluster) == {1}


@pytest.mark.robustness(64)
async def test_an_owner_that_is_asked_to_end_hands_over_at_once(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.15))
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        first, _ = await made.start(2)
        await made.write(wanted())
        await first.install("71")
        owner = await in_the_middle(made, sim_cluster)
        stopped = asyncio.create_task(owner.stop())
        async with asyncio.timeout(LEASE * 5):
            while await made.bus.get(f"{OWNERS}71/") is not None and owner.command.runs:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await made.until("71", "Instantiated")
        await stopped
        assert await made.owner("71") in await others_of(made, owner)
        assert labelled(sim_cluster) == EXPECTED
        assert sim_cluster.counts["apply", "configmaps"] + sim_cluster.counts["apply", "deployments"] <= 13 + 8, (
            "what was acknowledged before the end is not sent again, but for what nobody wrote down"
        )
        assert changes(sim_cluster) == {1}


@pytest.mark.robustness(59)
async def test_while_the_bus_is_away_for_longer_than_the_lease_nothing_is_written_and_then_it_goes_on(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.4))
    server = etcd_server()
    async with replicas(tmp_path, server, [sim_cluster]) as made:
        (only,) = await made.start(1)
        await made.write(wanted())
        await only.install("71")
        await in_the_middle(made, sim_cluster, 2)
        server.freeze()
        await only.command.says("presence_lost")
        await asyncio.sleep(0.1)
        before = writes(sim_cluster)
        await asyncio.sleep(1)
        assert writes(sim_cluster) == before
        server.thaw()
        status = await made.until("71", "Instantiated")
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert labelled(sim_cluster) == EXPECTED
        assert changes(sim_cluster) == {1}
