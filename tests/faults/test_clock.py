"""The wall clock of a process jumps while leases, retries and deadlines are pending: nobody cares (robustness 61).

The clocks are those of the real programs, put forward and back from outside while they run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from emco_simcluster import Outage, Rule, SimCluster
from tests.support.etcd import EtcdServer
from tests.support.faulty import Faults
from tests.support.process import EmcoProcess
from tests.support.replicas import LEASE, Replica, Replicas, replicas
from tests.support.shop import Shop, objects_of
from tests.unit.rsync.rig import config_map, context, deployment

pytestmark = pytest.mark.robustness(61)
MakeEtcd = Callable[..., EtcdServer]
HOUR = 3600
STEPS = {"forward": [HOUR], "back": [-HOUR], "to and fro": [HOUR, -2 * HOUR, 3 * HOUR]}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
async def test_a_replica_whose_clock_jumps_keeps_what_it_owns_and_tries_again_when_it_would_have(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster, steps: list[int]
) -> None:
    faults = Faults(tmp_path)
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        jumping = await made.start_another(faults.environment)
        (steady,) = await made.start(1)
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        before: dict[str, Replica] = {}
        while len(before) < 6 or set(before.values()) != {jumping, steady}:  # how the two divide them is left to chance
            identity = str(71 + len(before))
            objects = [config_map(f"c{identity}"), deployment(f"d{identity}")]
            await made.write(context(identity, {"web": {"edge": objects}}))
            await jumping.install(identity)
            before[identity] = await made.owner(identity)
        identities = list(before)
        await away(made, identities)
        for step in steps:
            faults.step(step)
            await asyncio.sleep(LEASE)  # renewed three times meanwhile, or run out
        assert {identity: await made.owner(identity) for identity in identities} == before
        sim_cluster.faults.end_outage()
        for identity in identities:
            status = await made.until(identity, "Instantiated")
            assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert "presence_lost" not in jumping.output + steady.output
        assert abs(last_words(jumping) - datetime.now(UTC)) > timedelta(minutes=50), "its clock had jumped indeed"
        assert {obj["metadata"]["generation"] for obj in sim_cluster.objects("Deployment")} == {1}
        sent = sim_cluster.counts["apply", "configmaps"] + sim_cluster.counts["apply", "deployments"]
        assert sent == 2 * len(identities)


def last_words(replica: Replica) -> datetime:
    """When it last said something, as it believes."""
    return datetime.fromisoformat(re.findall(r'"timestamp":"([^"]+)"', replica.output)[-1])


async def away(made: Replicas, identities: list[str]) -> None:
    """Returns when every deployment has been told that the cluster is away, and waits to try again."""
    async with asyncio.timeout(20):
        for identity in identities:
            while "Retrying" not in await connectivity(made, identity):  # noqa: ASYNC110 - the test looks from outside
                await asyncio.sleep(0.05)


async def connectivity(made: Replicas, identity: str) -> set[str | None]:
    return {cluster.connectivity for cluster in (await made.contexts.read_status(identity)).clusters.values()}


@pytest.fixture
async def emco(tmp_path: Path) -> AsyncIterator[tuple[EmcoProcess, Faults]]:
    faults = Faults(tmp_path)
    process = EmcoProcess(tmp_path / "data", faults.environment)
    await process.start()
    yield process, faults
    await process.stop()


async def test_a_suite_delivers_and_takes_away_while_its_clock_jumps_and_starts_again_in_its_own_past(
    emco: tuple[EmcoProcess, Faults], sim_clusters: tuple[SimCluster, SimCluster]
) -> None:
    process, faults = emco
    for cluster in sim_clusters:
        cluster.faults.add(Rule(verb="apply", latency=0.2))
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
        shop = Shop(client, rsync_port=process.rsync)
        await shop.onboard({cluster.name: cluster.kubeconfig for cluster in sim_clusters})
        group = await shop.group("g")
        await shop.post(f"{group}/instantiate", expect=202)
        faults.step(HOUR)
        await asyncio.sleep(0.3)
        faults.step(-2 * HOUR)
        status = await shop.ready(group)
        assert [action["state"] for action in status["states"]["actions"]] == ["Created", "Approved", "Instantiated"]
        await process.stop()
        faults.step(HOUR // 2)
        await process.start()
        await shop.ready(group)
        applied = [objects_of(cluster.objects()) for cluster in sim_clusters]
        await shop.post(f"{group}/terminate", expect=202)
        faults.step(HOUR)
        status = await shop.gone(group)
        *_, instantiated, terminated = status["states"]["actions"]
        assert (instantiated["state"], terminated["state"]) == ("Instantiated", "Terminated")
        assert terminated["time"] < instantiated["time"], "its clock had jumped indeed"
        assert applied[0] == applied[1] != []
        assert [objects_of(cluster.objects()) for cluster in sim_clusters] == [[], []]
