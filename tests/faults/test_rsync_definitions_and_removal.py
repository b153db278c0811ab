"""Definitions that come late or go, versions no longer served, objects that will not go (robustness 51, 54, 57)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import Outage, Rule, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import CRD, WIDGET, config_map, context, running

PLACE = ("web", "p+edge")
WIDGETS = Kind("example.org/v1", "Widget")
OLD_WIDGET = WIDGET.replace("example.org/v1", "example.org/v1beta1")
DEFINITION = Ref(Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "widgets.example.org")


def somebody(cluster: SimCluster) -> KubeClient:
    return KubeClient(parse_kubeconfig(cluster.kubeconfig))


def served(*versions: str) -> dict[str, Any]:
    """The definition with these versions, of which the last is stored."""
    found: dict[str, Any] = yaml.safe_load(CRD)
    (one,) = found["spec"]["versions"]
    found["spec"]["versions"] = [{**one, "name": name, "storage": name == versions[-1]} for name in versions]
    return found


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
        async with somebody(sim_cluster) as other:
            await other.delete(DEFINITION)
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert status.resource(*PLACE, "w+Widget").status == "Deleted"


@pytest.mark.robustness(51)
async def test_a_definition_that_is_never_established_is_told_after_its_time(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", established_after=60.0)
    async with running(tmp_path, [edge], crd_timeout=0.2) as rig:
        await rig.install(context("71", {"web": {"edge": [CRD, WIDGET]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "not established after 0.2 s" in await rig.error(
            "71", *PLACE, "widgets.example.org+CustomResourceDefinition"
        )


@pytest.mark.robustness(51)
async def test_a_definition_that_is_taken_away_is_told_as_drift_and_all_is_right_when_it_is_back(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await other.create(yaml.safe_load(CRD))
        await rig.install(context("71", {"web": {"edge": [WIDGET, config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        await other.delete(DEFINITION)
        await rig.until("71", lambda s: s.resource(*PLACE, "w+Widget").drift == "deleted")
        await rig.update("71", context("72", {"web": {"edge": [WIDGET, config_map("a")]}}, status_context="71"))
        await rig.until("71", lambda s: "does not serve Widget" in (s.resource(*PLACE, "w+Widget").reason or ""))
        await other.create(yaml.safe_load(CRD))
        await rig.until_state("72", "Instantiated")
        assert rig.labelled("edge", "Widget") == ["Widget/w"]
        await rig.until("71", lambda s: not s.resource(*PLACE, "w+Widget").drift)


@pytest.mark.robustness(51)
async def test_a_version_that_an_upgrade_of_the_cluster_removes_is_followed_by_the_one_that_is_served(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await other.create(served("v1beta1", "v1"))
        await rig.install(context("71", {"web": {"edge": [OLD_WIDGET]}}))
        await rig.until_state("71", "Instantiated")
        assert await rig.error("71", *PLACE, "w+Widget") == ""
        await other.apply(served("v1"), manager="upgrade", force=True)
        await other.patch(Ref(WIDGETS, "w", "default"), {"spec": {"a": 7}})
        await rig.until("71", lambda s: "spec.a changed" in (s.resource(*PLACE, "w+Widget").drift or ""))
        await rig.update("71", context("72", {"web": {"edge": [OLD_WIDGET]}}, status_context="71"))
        await rig.until_state("72", "Instantiated")
        assert "sent as example.org/v1" in await rig.error("71", *PLACE, "w+Widget")
        assert (await other.get(Ref(WIDGETS, "w", "default")))["spec"] == {"a": 1}
        await rig.until("71", lambda s: not s.resource(*PLACE, "w+Widget").drift)
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == []


@pytest.mark.robustness(51)
async def test_what_is_refused_under_the_version_that_is_served_is_told_with_it(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await other.create(served("v1"))
        sim_cluster.faults.add(Rule(verb="apply", name="w", status=422, reason="Invalid", message="spec.a: no more"))
        await rig.install(context("71", {"web": {"edge": [OLD_WIDGET]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "Invalid: sent as example.org/v1: spec.a: no more" in await rig.error("71", *PLACE, "w+Widget")


@pytest.mark.robustness(51)
async def test_a_version_that_the_cluster_does_not_serve_yet_is_waited_for_and_told(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster], give_up_after=0.3) as rig:
        later = WIDGET.replace("example.org/v1", "example.org/v2")
        await rig.install(context("71", {"web": {"edge": [CRD, later, config_map("a")]}}))
        status = await rig.until_state("71", "InstantiateFailed")
        assert "example.org/v2" in await rig.error("71", *PLACE, "w+Widget")
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
        told = await rig.error("71", *PLACE, "own+Namespace")
        assert "after 0.6 s it is being deleted" in told
        assert "example.org/hold" in told
        async with somebody(sim_cluster) as other:
            ref = Ref(Kind("v1", "ConfigMap"), "held", "own")
            await other.patch(ref, {"metadata": {"finalizers": None}})
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
        async with somebody(sim_cluster) as other:
            await other.create(pod, namespace="default")
            await rig.uninstall("71")
            await rig.until_state("71", "TerminateFailed")
            assert "kubernetes.io/pvc-protection" in await rig.error("71", *PLACE, "disk+PersistentVolumeClaim")
            await other.delete(Ref(Kind("v1", "Pod"), "user", "default"))
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
