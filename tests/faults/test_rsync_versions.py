"""Another version of the program on the same bus and store, before, after and beside this one (robustness 65).

The witness is the simulated cluster: how often it was asked to apply something, and how often an object was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext
from emco_simcluster import Rule, SimCluster
from tests.support.earlier import earlier
from tests.support.etcd import EtcdServer
from tests.support.replicas import PRESENT, Replica, Replicas, replicas
from tests.unit.rsync.rig import config_map, context, deployment

pytestmark = pytest.mark.robustness(65)
MakeEtcd = Callable[..., EtcdServer]
WITHOUT_OWNERS = "ad342cb"
"""The last one that knew of a single process of its kind only."""
WITH_OWNERS = "85c9cce"
OBJECTS = [*(config_map(f"c{number}", number=str(number)) for number in range(6)), deployment("d")]
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: {}}}\nstringData: {{a: b}}"


def applied(cluster: SimCluster) -> int:
    """Calls that brought what the first deployment consists of."""
    return cluster.counts["apply", "configmaps"] + cluster.counts["apply", "deployments"]


def versions(cluster: SimCluster) -> dict[str, str]:
    """Each of its objects as it was last written by anybody but the cluster's own controllers."""
    return {
        f"{obj['kind']}/{obj['metadata']['name']}": str(
            obj["metadata"].get("generation") or obj["metadata"]["resourceVersion"]
        )
        for kind in ("ConfigMap", "Deployment")
        for obj in cluster.objects(kind)
        if "emco/deployment-id" in obj["metadata"].get("labels", {})
    }


async def watched(cluster: SimCluster, replica: Replica, made: Replicas, fresh: str) -> None:
    """Returns when the replica has taken up what was there, and has brought something new as well."""
    before = cluster.counts["list", "configmaps"]
    async with asyncio.timeout(20):
        while cluster.counts["list", "configmaps"] == before:  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.02)
    await made.write(context(fresh, {"web": {"edge": [SECRET.format(f"s{fresh}")]}}))
    await replica.install(fresh)
    await made.until(fresh, "Instantiated")
    await asyncio.sleep(0.5)  # what would be sent for nothing would be by now


@pytest.mark.parametrize(("commit", "ready"), [(WITHOUT_OWNERS, "rsync is up"), (WITH_OWNERS, PRESENT)])
async def test_upgraded_and_taken_back_with_live_apps_nothing_is_sent_until_something_changes(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster, commit: str, ready: str
) -> None:
    past = earlier(commit, tmp_path / "earlier")
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        older = await made.start_another(past, ready=ready)
        await made.write(wanted("71"))
        await older.install("71")
        await made.until("71", "Instantiated")
        sent, there = applied(sim_cluster), versions(sim_cluster)
        assert len(there) == len(OBJECTS)
        await older.stop()

        (newer,) = await made.start(1)
        await watched(sim_cluster, newer, made, "72")
        assert (applied(sim_cluster), versions(sim_cluster)) == (sent, there)
        await newer.stop()

        older = await made.start_another(past, ready=ready)
        await watched(sim_cluster, older, made, "73")
        assert (applied(sim_cluster), versions(sim_cluster)) == (sent, there)
        await older.stop()

        (newer,) = await made.start(1)
        await made.write(wanted("81", status_context="71", first="changed"))
        await newer.update("71", "81")
        await made.until("81", "Instantiated")
        assert applied(sim_cluster) == sent + 1
        assert {name for name, version in versions(sim_cluster).items() if there[name] != version} == {"ConfigMap/c0"}


async def test_two_versions_share_the_work_and_each_finishes_what_the_other_has_begun(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    past = earlier(WITH_OWNERS, tmp_path / "earlier")
    sim_cluster.faults.add(Rule(verb="apply", latency=0.1))
    identities = [str(number) for number in range(71, 87)]  # one of two gets none of them once in 30,000 times
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        older = await made.start_another(past)
        (newer,) = await made.start(1)
        for number, identity in enumerate(identities):
            objects = [config_map(f"{identity}-{n}") for n in range(4)] + [deployment(f"d-{identity}")]
            await made.write(context(identity, {"web": {"edge": objects}}))
            await (older, newer)[number % 2].install(identity)
        owners = {identity: await made.owner(identity) for identity in identities}
        assert set(owners.values()) == {older, newer}
        await older.kill()
        for identity in identities:
            status = await made.until(identity, "Instantiated")
            assert {resource.status for resource in status.resources.values()} == {"Applied"}
        sent = applied(sim_cluster)

        older = await made.start_another(past)  # some go over to it
        await owned_by(made, older, identities)
        await newer.stop()
        for identity in identities:
            assert await made.owner(identity) is older
        await asyncio.sleep(0.5)
        assert applied(sim_cluster) == sent
        assert {obj["metadata"]["generation"] for obj in sim_cluster.objects("Deployment")} == {1}


async def owned_by(made: Replicas, replica: Replica, identities: list[str]) -> None:
    """Returns when at least one of them is the replica's."""
    async with asyncio.timeout(20):
        while replica not in [await made.owner(identity) for identity in identities]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


def wanted(identity: str, *, status_context: str = "", first: str = "0") -> AppContext:
    objects = [config_map("c0", number=first), *OBJECTS[1:]]
    return context(identity, {"web": {"edge": objects}}, status_context=status_context)
