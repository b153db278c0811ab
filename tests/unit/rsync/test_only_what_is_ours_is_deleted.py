"""Whose an object is, is looked at before it is deleted; what is somebody else's by now stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.plan.manifests import parse
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, job, resources, running

PLACE = ("a", "p+edge")
REF = Ref(Kind("v1", "ConfigMap"), "c", "default")


@pytest.fixture
async def somebody(sim_cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as client:
        yield client


async def install(rig: Rig) -> None:
    await rig.install(context("71", {"a": {"edge": [config_map("c")]}}))
    await rig.until_state("71", "Instantiated")


async def terminate(rig: Rig) -> str:
    """The reason that is kept with the object."""
    await rig.uninstall("71")
    await rig.until_state("71", "Terminated")
    return await rig.error("71", *PLACE, "c+ConfigMap")


async def test_what_went_over_to_another_deployment_stays(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig)
        await somebody.patch(REF, {"metadata": {"labels": {"emco/deployment-id": "99-b"}}})
        assert await terminate(rig) == "left in place: it belongs to another deployment"
        assert (await somebody.get(REF))["metadata"]["labels"]["emco/deployment-id"] == "99-b"
        assert sim_cluster.counts["delete", "configmaps"] == 0


async def test_what_somebody_made_anew_by_hand_stays(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig)
        await somebody.delete(REF)
        await somebody.create(parse(config_map("c", own="1"))[0])
        assert await terminate(rig) == "left in place: it is not what this deployment brought"
        assert (await somebody.get(REF))["data"] == {"own": "1"}


async def test_what_lost_its_label_but_has_our_fields_goes(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig)
        await somebody.patch(REF, {"metadata": {"labels": {"emco/deployment-id": None}}})
        await terminate(rig)
        assert "c" not in [o["metadata"]["name"] for o in sim_cluster.objects("ConfigMap", "default")]


async def test_what_is_made_anew_between_the_look_and_the_deletion_stays(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig)
        before = (await somebody.get(REF))["metadata"]["uid"]
        sim_cluster.faults.add(Rule(verb="delete", resource="configmaps", name="c", latency=3.0, times=1))
        sim_cluster.counts.clear()
        await rig.uninstall("71")
        await rig.until("71", lambda _: sim_cluster.counts["get", "configmaps"] > 0)
        sim_cluster.faults.clear()
        await somebody.delete(REF)
        await somebody.create(parse(config_map("c", own="1"))[0])
        await rig.until_state("71", "Terminated")
        found = await somebody.get(REF)
        assert (found["data"], found["metadata"]["uid"] != before) == ({"own": "1"}, True)


async def test_a_hook_that_the_user_may_not_run_keeps_nobody_from_leaving(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    made = context("71", {"a": {"edge": [config_map("c")]}})
    cluster = replace(made.apps[0].clusters[0], hooks={"pre-delete": resources(job("bye", hook="pre-delete"))})
    made = replace(made, apps=(replace(made.apps[0], clusters=(cluster,)),))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(made)
        await rig.until_state("71", "Instantiated")
        for verb in ("apply", "create"):
            sim_cluster.faults.add(Rule(verb=verb, resource="jobs", status=403, message="cannot patch resource: jobs"))
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == []
        assert "not run, as it was refused" in await rig.error("71", *PLACE, "bye+Job")


async def test_a_cluster_without_its_own_access_record_says_that_it_cannot_be_watched(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path) as rig:
        await rig.register(sim_cluster, level="1")
        await rig.install(context("71", {"a": {"edge": [config_map("c")]}}, level="1"))
        await rig.until_state("71", "Instantiated")
        status = await rig.until("71", lambda s: "cannot be watched" in (s.cluster(*PLACE).reason or ""))
        assert status.cluster(*PLACE).connectivity == "Available"
        assert "no access record for level 0" in (status.cluster(*PLACE).reason or "")
        await rig.register(sim_cluster)
        await rig.until("71", lambda s: s.cluster(*PLACE).reason == "" and s.cluster(*PLACE).ready is True)
