"""The test vectors of the specification by their numbers (rsync 16), where its defects do not say otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path

from emco_common.appcontext import keys, values
from emco_common.appcontext.model import App, AppContext, Cluster, Dependency, Meta
from emco_common.appcontext.states import QueueEvent, QueueState
from emco_common.appcontext.status import QueueElement, encode_queue
from emco_common.contextbus.api import Put
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import Outage, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import CRD, Rig, config_map, context, deployment, job, resources, running

BOTH = {
    "a1": {"edge": [config_map("a1r1"), config_map("a1r2")]},
    "a2": {"edge": [config_map("a2r3"), config_map("a2r4")], "cloud": [config_map("a2r3"), config_map("a2r4")]},
}
ON_EDGE = ["ConfigMap/a1r1", "ConfigMap/a1r2", "ConfigMap/a2r3", "ConfigMap/a2r4"]
ON_CLOUD = ["ConfigMap/a2r3", "ConfigMap/a2r4"]


async def _last(rig: Rig, identity: str) -> str:
    queue = (await rig.status(identity)).queue
    assert queue
    return queue[-1].status


async def test_1_and_2_everything_comes_and_goes(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("1", BOTH))
        status = await rig.until_state("1", "Instantiated")
        assert (rig.labelled("edge"), rig.labelled("cloud")) == (ON_EDGE, ON_CLOUD)
        assert {found.status for found in status.resources.values()} == {"Applied"}
        await rig.uninstall("1")
        status = await rig.until_state("1", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []
        assert {found.status for found in status.resources.values()} == {"Deleted"}


async def test_3_what_changed_is_applied_and_what_is_gone_deleted(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("1", {"a1": {"edge": [config_map("r1", x="A"), config_map("r2")]}}))
        await rig.until_state("1", "Instantiated")
        new = {"a1": {"edge": [config_map("r1", x="B"), config_map("r3")]}}
        await rig.update("1", context("2", new, status_context="1"))
        await rig.until_state("2", "Instantiated")
        assert rig.labelled("edge") == ["ConfigMap/r1", "ConfigMap/r3"]
        changed = next(one for one in sim_cluster.objects("ConfigMap") if one["metadata"]["name"] == "r1")
        assert changed["data"] == {"x": "B"}
        assert (await rig.status("1")).status == "Updated"


async def test_4_and_5_apps_come_with_an_update_and_what_is_equal_is_never_sent_again(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, cloud = sim_clusters
    old = {"a1": {"edge": [config_map("r1"), config_map("r2")]}}
    new = {"a1": {"edge": [config_map("r1"), config_map("r3")]}} | {"a2": BOTH["a2"]}
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("1", old))
        await rig.until_state("1", "Instantiated")
        await rig.update("1", context("2", new, status_context="1"))
        await rig.until_state("2", "Instantiated")
        assert rig.labelled("edge") == [*ON_CLOUD, "ConfigMap/r1", "ConfigMap/r3"]
        assert rig.labelled("cloud") == ON_CLOUD
        await rig.update("2", "1")
        await rig.until_state("1", "Instantiated")
        assert (rig.labelled("edge"), rig.labelled("cloud")) == (["ConfigMap/r1", "ConfigMap/r2"], [])
        await rig.update("1", "2")
        await rig.until_state("2", "Instantiated")
        assert rig.labelled("edge") == [*ON_CLOUD, "ConfigMap/r1", "ConfigMap/r3"]
        # r1 once, r2 twice, r3 twice, a2 on both clusters twice
        assert edge.counts["apply", "configmaps"] + cloud.counts["apply", "configmaps"] == 1 + 2 + 2 + 2 * 4


async def test_6_nothing_is_deleted_while_the_stop_flag_is_set(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("1", BOTH))
        await rig.until_state("1", "Instantiated")
        await rig.bus.put(keys.stop_flag("1"), values.encode(True))
        await rig.uninstall("1")
        await rig.until("1", lambda status: bool(status.queue and status.queue[-1].status == QueueState.SKIP))
        assert (rig.labelled("edge"), rig.labelled("cloud")) == (ON_EDGE, ON_CLOUD)


async def test_7_an_event_that_was_left_is_taken_up_by_the_next_process(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.contexts.write_new(context("1", BOTH))
        waiting = QueueElement(QueueEvent.INSTANTIATE, QueueState.PENDING)
        left = [Put(keys.queue("1"), encode_queue([waiting])), Put(keys.active("1"), values.encode("1"))]
        await rig.bus.transact(left)
    async with running(tmp_path, sim_clusters) as rig:
        await rig.until_state("1", "Instantiated")
        assert (rig.labelled("edge"), rig.labelled("cloud")) == (ON_EDGE, ON_CLOUD)
        async with asyncio.timeout(5):
            while await rig.bus.get(keys.active("1")) is not None:  # noqa: ASYNC110 - the test looks from outside
                await asyncio.sleep(0.01)
        assert await _last(rig, "1") == QueueState.DONE


async def test_8_a_terminate_right_behind_leaves_nothing(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("1", BOTH))
        await asyncio.sleep(0.001)
        await rig.uninstall("1")
        await rig.until_state("1", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []


async def test_9_an_app_follows_the_one_it_depends_on(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("1", BOTH, dependencies={"a1": (Dependency("a2", "Deployed", 1),)}))

        def first_of_a1(status: object) -> bool:
            return bool(rig.labelled("edge") and "ConfigMap/a1r1" in rig.labelled("edge"))

        await rig.until("1", first_of_a1)
        assert set(ON_CLOUD) <= set(rig.labelled("edge"))
        assert rig.labelled("cloud") == ON_CLOUD
        await rig.until_state("1", "Instantiated")
        assert rig.labelled("edge") == ON_EDGE


async def test_10_hooks_before_everything_and_hooks_after(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=0.2)
    hooks = {
        "pre-install": resources(job("r1", hook="pre-install")),
        "post-install": resources(config_map("r2")),
    }
    cluster = Cluster("p+edge", resources=resources(deployment("r3")), hooks=hooks)
    written = AppContext("1", (App("a1", (cluster,)),), Meta(namespace="default", level="0"))
    async with running(tmp_path, [edge]) as rig:
        await rig.install(written)
        status = await rig.until("1", lambda found: bool(found.resource("a1", "p+edge", "r3+Deployment").status))
        assert status.resource("a1", "p+edge", "r1+Job").success is True
        assert status.resource("a1", "p+edge", "r2+ConfigMap").status in (None, "Applied")
        status = await rig.until_state("1", "Instantiated")
        assert rig.labelled("edge", "ConfigMap") == ["ConfigMap/r2"]


async def test_11_a_cluster_that_is_away_for_a_while_is_waited_for(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster], max_retries=50) as rig:
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("1", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until("1", lambda status: status.cluster("a1", "p+edge").connectivity == "Retrying")
        sim_cluster.faults.end_outage()
        status = await rig.until_state("1", "Instantiated")
        assert status.cluster("a1", "p+edge").connectivity == "Available"


async def test_12_an_operator_may_limit_how_long(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster], max_retries=1) as rig:
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("1", {"a1": {"edge": [config_map("r1")]}}))
        await rig.until_state("1", "InstantiateFailed")
        assert "Retries exceeded max: p+edge" in await rig.error("1")


async def test_13_and_14_what_is_there_and_what_is_gone_is_success(tmp_path: Path, sim_cluster: SimCluster) -> None:
    first = Cluster("p+edge", resources=resources(config_map("r1")), crds=resources(CRD))
    second = Cluster("p+edge", resources=resources(config_map("r2")), crds=resources(CRD))
    meta = Meta(namespace="default", level="0")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(AppContext("1", (App("a1", (first,)),), meta))
        await rig.until_state("1", "Instantiated")
        await rig.install(AppContext("2", (App("a2", (second,)),), meta))
        await rig.until_state("2", "Instantiated")  # the definition was there
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(Ref(Kind("v1", "ConfigMap"), "r1", "default"))
        await rig.uninstall("1")
        status = await rig.until_state("1", "Terminated")
        assert status.resource("a1", "p+edge", "r1+ConfigMap").status == "Deleted"
