"""Definitions that come late or go, versions no longer served, objects that will not go (robustness 51, 54, 57)."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import Outage, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import CRD, WIDGET, config_map, context, running

PLACE = ("web", "p+edge")
DEFINITION = Ref(Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "widgets.example.org")


@pytest.mark.robustness(51)
async def test_objects_of_a_definition_that_is_established_late_come_after_it(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", established_after=1.0)
    async with running(tmp_path, [edge]) as rig:
        await rig.install(context("71", {"web": {"edge": [CRD, WIDGET]}}))
        status = await rig.until_state("71", "Instantiated")
        assert {one.status for one in status.resources.values()} == {"Applied"}
        assert rig.labelled("edge", "Widget") == ["Widget/w"]


@pytest.mark.robustness(51)
async def test_a_definition_that_is_taken_away_with_its_objects_keeps_nobody_from_leaving(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [CRD, WIDGET, config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(DEFINITION)
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert status.resource(*PLACE, "w+Widget").status == "Deleted"


@pytest.mark.robustness(51)
async def test_a_version_that_the_cluster_does_not_serve_any_more_is_told(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster], give_up_after=0.3) as rig:
        old = WIDGET.replace("example.org/v1", "example.org/v1beta1")
        await rig.install(context("71", {"web": {"edge": [CRD, old, config_map("a")]}}))
        status = await rig.until_state("71", "InstantiateFailed")
        assert "example.org/v1beta1" in await rig.error("71", *PLACE, "w+Widget")
        assert status.resource(*PLACE, "a+ConfigMap").status == "Applied"


@pytest.mark.robustness(54)
async def test_a_namespace_that_does_not_go_is_told_with_what_holds_it(tmp_path: Path, sim_cluster: SimCluster) -> None:
    held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, namespace: own, finalizers: [example.org/hold]}"
    space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: own}"
    async with running(tmp_path, [sim_cluster], removal_timeout=0.6) as rig:
        await rig.install(context("71", {"web": {"edge": [space, held]}}))
        await rig.until_state("71", "Instantiated")
        await rig.uninstall("71")
        await rig.until_state("71", "TerminateFailed")
        assert "example.org/hold" in await rig.error("71", *PLACE, "held+ConfigMap")
        assert "after 0.6 s it is being deleted" in await rig.error("71", *PLACE, "own+Namespace")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            ref = Ref(Kind("v1", "ConfigMap"), "held", "own")
            await somebody.patch(ref, {"metadata": {"finalizers": None}})
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(54)
async def test_a_claim_that_a_pod_of_others_uses_is_told(tmp_path: Path, sim_cluster: SimCluster) -> None:
    claim = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "user"},
        "spec": {
            "containers": [{"name": "c", "image": "nginx"}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "disk"}}],
        },
    }
    async with running(tmp_path, [sim_cluster], removal_timeout=0.5) as rig:
        await rig.install(context("71", {"web": {"edge": [claim]}}))
        await rig.until_state("71", "Instantiated")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.create(pod, namespace="default")
            await rig.uninstall("71")
            await rig.until_state("71", "TerminateFailed")
            assert "kubernetes.io/pvc-protection" in await rig.error("71", *PLACE, "disk+PersistentVolumeClaim")
            await somebody.delete(Ref(Kind("v1", "Pod"), "user", "default"))
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(57)
@pytest.mark.parametrize("outage", [Outage.REFUSE, Outage.NONSENSE])
async def test_nothing_counts_as_deleted_while_a_cluster_is_away_or_something_else_answers(
    tmp_path: Path, sim_cluster: SimCluster, outage: Outage
) -> None:
    async with running(tmp_path, [sim_cluster], max_backoff=0.3) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("b")]}}))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.begin_outage(outage)
        await rig.uninstall("71")
        status = await rig.until(
            "71", lambda s: s.status == "Terminating" and s.cluster(*PLACE).connectivity == "Retrying"
        )
        assert {one.status for one in status.resources.values()} == {"Applied"}
        sim_cluster.faults.end_outage()
        status = await rig.until_state("71", "Terminated")
        assert {one.status for one in status.resources.values()} == {"Deleted"}
        assert rig.labelled("edge") == []
