"""Another cluster answers at the address of one that was registered (robustness 48), or one that lost its objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running

pytestmark = pytest.mark.robustness(48)
OBJECTS = [deployment("d"), config_map("c")]
PLACE = ("web", "p+edge")


async def test_a_fresh_cluster_under_the_same_address_is_left_alone_until_it_is_registered_again(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": OBJECTS}}))
        await rig.until("71", lambda s: s.cluster(*PLACE).ready is True)
        former = sim_cluster.uid
        sim_cluster.faults.restart(lose_state=True)
        sim_cluster.counts.clear()
        status = await rig.until("71", lambda s: "another cluster" in (s.cluster(*PLACE).reason or ""))
        assert status.cluster(*PLACE).connectivity == "Retrying"
        assert former in (status.cluster(*PLACE).reason or "")
        assert status.resource(*PLACE, "d+Deployment").ready is True  # not read is not gone
        await rig.update("71", context("72", {"web": {"edge": [deployment("e")]}}, status_context="71"))
        await rig.until("71", lambda s: s.cluster(*PLACE).connectivity == "Retrying")
        assert not {verb for verb, _ in sim_cluster.counts} & {"apply", "create", "delete", "patch"}
        await rig.register(sim_cluster)
        await rig.until_state("72", "Instantiated")
        assert rig.labelled("edge") == ["Deployment/e"]


async def test_what_it_was_is_known_after_a_restart_too(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": OBJECTS}}))
        await rig.until_state("71", "Instantiated")
    sim_cluster.faults.restart(lose_state=True)
    sim_cluster.counts.clear()
    # as ``running`` registers its clusters, which would confirm the new one, none is given
    async with running(tmp_path) as rig:
        await rig.uninstall("71")
        await rig.until("71", lambda s: "another cluster" in (s.cluster(*PLACE).reason or ""))
        assert not {verb for verb, _ in sim_cluster.counts} & {"apply", "create", "delete", "patch"}
        await rig.register(sim_cluster)
        await rig.until_state("71", "Terminated")


async def test_a_user_of_a_logical_cloud_is_not_let_in_either(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.register(sim_cluster, level="1", namespace="default")
        await rig.install(context("71", {"web": {"edge": OBJECTS}}, level="1", namespace="default"))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.restart(lose_state=True)
        sim_cluster.counts.clear()
        await rig.uninstall("71")
        await rig.until("71", lambda s: "another cluster" in (s.cluster(*PLACE).reason or ""))
        assert sim_cluster.counts["delete", "configmaps"] == 0
        await CloudConfigs(rig.deps.store, rig.deps.sealer).put(
            Access("p", "edge", kubeconfig=sim_cluster.kubeconfig.encode())
        )
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(49)
async def test_a_cluster_that_lost_all_objects_is_told_of_and_nothing_is_removed_anywhere(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": OBJECTS}}))
        await rig.until("71", lambda s: s.cluster(*PLACE).ready is True)
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(Ref(Kind("apps/v1", "Deployment"), "d", "default"))
            await somebody.delete(Ref(Kind("v1", "ConfigMap"), "c", "default"))
        sim_cluster.counts.clear()
        both = [(*PLACE, "d+Deployment"), (*PLACE, "c+ConfigMap")]
        status = await rig.until("71", lambda s: all(s.resource(*one).drift == "deleted" for one in both))
        assert all(status.resource(*one).status == "Applied" for one in both)
        assert not {verb for verb, _ in sim_cluster.counts} & {"apply", "create", "delete"}
