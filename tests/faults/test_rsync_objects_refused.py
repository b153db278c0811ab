"""What one object meets stays its own affair, with its reason where the user looks (robustness 46, 51, 53, 54)."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Resource
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import CRD, WIDGET, config_map, context, deployment, resources, running

PLACE = ("web", "p+edge")
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: canary-77}"


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.robustness(46)
async def test_a_refused_object_fails_alone(tmp_path: Path, sim_cluster: SimCluster, status: int) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="bad", status=status, message="denied by the admission webhook"))
    manifests = [config_map("a"), config_map("bad"), config_map("b"), deployment("d")]
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": manifests}, "other": {"edge": [config_map("c")]}}))
        found = await rig.until_state("71", "InstantiateFailed")
        assert rig.labelled("edge") == ["ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "Deployment/d"]
        assert found.resource(*PLACE, "bad+ConfigMap").status == "Failed"
        assert found.resource(*PLACE, "d+Deployment").status == "Applied"
        assert "denied by the admission webhook" in await rig.error("71", *PLACE, "bad+ConfigMap")
        assert await rig.error("71", *PLACE, "a+ConfigMap") == ""
        assert "bad+ConfigMap" in await rig.error("71")
        sim_cluster.faults.clear()
        await rig.install("71")
        await rig.until_state("71", "Instantiated")
        assert await rig.error("71", *PLACE, "bad+ConfigMap") == ""


@pytest.mark.parametrize(
    "rule",
    [
        Rule(verb="apply", name="slow", status=429, retry_after=1, times=1),
        Rule(verb="apply", name="slow", status=503, times=2),
        Rule(verb="apply", name="slow", status=500, times=2),
        Rule(verb="apply", name="slow", status=409, times=2),
        Rule(verb="apply", name="slow", status=503, times=1, after_write=True),
        Rule(verb="apply", name="slow", cut=True, times=2),
    ],
    ids=["throttled", "unavailable", "internal", "conflict", "done and then unavailable", "cut"],
)
@pytest.mark.robustness(46)
async def test_trouble_that_passes_is_tried_again(tmp_path: Path, sim_cluster: SimCluster, rule: Rule) -> None:
    sim_cluster.faults.add(rule)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("slow"), config_map("a")]}}))
        status = await rig.until_state("71", "Instantiated")
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert await rig.error("71", *PLACE, "slow+ConfigMap") == ""


@pytest.mark.robustness(46)
async def test_lasting_trouble_does_not_hold_up_what_follows_and_is_told_meanwhile(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    number = sim_cluster.faults.add(Rule(verb="apply", name="slow", status=500, message="webhook is not there"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("slow"), deployment("d")]}}))
        status = await rig.until("71", lambda s: s.resource(*PLACE, "d+Deployment").status == "Applied")
        assert status.status == "Instantiating"
        assert "webhook is not there" in await rig.error("71", *PLACE, "slow+ConfigMap")
        sim_cluster.faults.remove(number)
        await rig.until_state("71", "Instantiated")


@pytest.mark.robustness(46)
async def test_lasting_trouble_is_given_up_in_the_end(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="slow", status=500, message="webhook is not there"))
    async with running(tmp_path, [sim_cluster], give_up_after=0.1) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("slow")]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "webhook is not there" in await rig.error("71")


@pytest.mark.robustness(51)
async def test_an_object_of_a_kind_that_comes_later_waits_for_it(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [WIDGET, config_map("a")]}}))
        await rig.until("71", lambda s: s.resource(*PLACE, "a+ConfigMap").status == "Applied")
        assert "is its CRD installed" in await rig.error("71", *PLACE, "w+Widget")
        await rig.install(context("72", {"web": {"edge": [CRD]}}))
        await rig.until_state("71", "Instantiated")
        assert rig.labelled("edge", "Widget") == ["Widget/w"]


@pytest.mark.robustness(41)
async def test_a_poisoned_manifest_fails_alone_and_can_be_terminated(tmp_path: Path, sim_cluster: SimCluster) -> None:
    listed = (Resource("x+ConfigMap", "a: [canary"), *resources(config_map("a")))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(AppContext("71", (App("web", (Cluster("p+edge", resources=listed),)),)))
        status = await rig.until_state("71", "InstantiateFailed")
        assert status.resource(*PLACE, "a+ConfigMap").status == "Applied"
        assert (await rig.error("71", *PLACE, "x+ConfigMap")).startswith("the manifest is not valid YAML in line ")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(53)
async def test_fields_of_another_manager_are_reported_where_they_are_not_forced(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "theirs"}}
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
        await somebody.apply(other, manager="somebody", namespace="default")
    async with running(tmp_path, [sim_cluster], force_conflicts=False) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "somebody" in await rig.error("71", *PLACE, "a+ConfigMap")


@pytest.mark.robustness(33)
async def test_no_secret_is_told_in_a_reason(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="s", status=422, message="stringData: Invalid value: canary-77"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [SECRET]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "canary" not in await rig.error("71")
        assert "canary" not in await rig.error("71", *PLACE, "s+Secret")


@pytest.mark.robustness(54)
async def test_an_object_that_will_not_go_is_reported_and_the_rest_goes(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    held = config_map("held").replace("name: held", "name: held\n  finalizers: [example.org/hold]")
    async with running(tmp_path, [sim_cluster], removal_timeout=0.3) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), held, deployment("d")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.uninstall("71")
        status = await rig.until_state("71", "TerminateFailed")
        assert status.resource(*PLACE, "a+ConfigMap").status == "Deleted"
        assert "example.org/hold" in await rig.error("71", *PLACE, "held+ConfigMap")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            ref = Ref(Kind("v1", "ConfigMap"), "held", "default")
            await somebody.patch(ref, {"metadata": {"finalizers": None}})
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(46)
async def test_a_delete_that_is_refused_is_a_failure(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("b")]}}))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.add(Rule(verb="delete", name="b", status=403, message="not yours"))
        await rig.uninstall("71")
        status = await rig.until_state("71", "TerminateFailed")
        assert status.resource(*PLACE, "a+ConfigMap").status == "Deleted"
        assert status.resource(*PLACE, "b+ConfigMap").status == "Failed"
        assert "not yours" in await rig.error("71", *PLACE, "b+ConfigMap")


def refused(cluster: SimCluster, name: str) -> None:
    """The user may neither bring the object nor take it away."""
    for verb in ("apply", "delete"):
        cluster.faults.add(Rule(verb=verb, name=name, status=403, message=f"may not {verb} {name}"))


async def test_what_was_refused_and_never_came_keeps_nobody_from_leaving(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    refused(sim_cluster, "bad")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("bad")]}}))
        await rig.until_state("71", "InstantiateFailed")
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert status.resource(*PLACE, "a+ConfigMap").status == "Deleted"
        assert status.resource(*PLACE, "bad+ConfigMap").status == "Deleted"  # it was looked for, and is not there
        assert await rig.error("71", *PLACE, "bad+ConfigMap") == ""


async def test_a_stranger_of_the_same_name_is_left_alone_and_told_of_to_who_may_look(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}, "data": {"a": "theirs"}}
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
        await somebody.apply(other, manager="somebody", namespace="default")
    refused(sim_cluster, "bad")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("bad")]}}))
        await rig.until_state("71", "InstantiateFailed")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        assert (await rig.error("71", *PLACE, "bad+ConfigMap")).startswith("left in place: it is not what")
    assert "bad" in [obj["metadata"]["name"] for obj in sim_cluster.objects("ConfigMap")]


async def test_what_was_refused_after_it_had_come_unheard_is_not_taken_for_absent(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="b", status=429, retry_after=1, times=1, after_write=True))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("b")]}}))
        await rig.until("71", lambda _: bool(rig.labelled("edge")))
        refused(sim_cluster, "b")
        await rig.until_state("71", "InstantiateFailed")
        await rig.uninstall("71")
        await rig.until_state("71", "TerminateFailed")
        assert "may not delete b" in await rig.error("71", *PLACE, "b+ConfigMap")


@pytest.mark.parametrize(
    "labels", [{"emco/deployment-id": None}, {"emco/deployment-id": "71-other"}], ids=["none", "of another app"]
)
async def test_an_object_that_we_brought_stays_ours_whatever_its_label(
    tmp_path: Path, sim_cluster: SimCluster, labels: dict[str, str | None]
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("b")]}}))
        await rig.until_state("71", "Instantiated")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            ref = Ref(Kind("v1", "ConfigMap"), "b", "default")
            await somebody.patch(ref, {"metadata": {"labels": labels}})
        refused(sim_cluster, "b")
        await rig.uninstall("71")
        await rig.until_state("71", "TerminateFailed")


@pytest.mark.robustness(49)
async def test_where_nobody_may_look_nothing_is_taken_for_absent(tmp_path: Path, sim_cluster: SimCluster) -> None:
    refused(sim_cluster, "bad")
    sim_cluster.faults.add(Rule(verb="get", name="bad", status=403, message="may not look"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("bad")]}}))
        await rig.until_state("71", "InstantiateFailed")
        await rig.uninstall("71")
        await rig.until_state("71", "TerminateFailed")
        assert "may not look" in await rig.error("71", *PLACE, "bad+ConfigMap")
        assert sim_cluster.counts["delete", "configmaps"] == 0


async def test_an_update_that_drops_what_was_refused_comes_to_its_end(tmp_path: Path, sim_cluster: SimCluster) -> None:
    refused(sim_cluster, "bad")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("bad")]}}))
        await rig.until_state("71", "InstantiateFailed")
        await rig.update("71", context("72", {"web": {"edge": [config_map("a")]}}, status_context="71"))
        status = await rig.until_state("72", "Instantiated")
        assert (status.reason or "", (await rig.status("71")).status) == ("", "Updated")
        assert (await rig.status("71")).resource(*PLACE, "bad+ConfigMap").status == "Deleted"
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")


async def test_a_removal_that_failed_is_done_once_it_is_allowed(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("b")]}}))
        await rig.until_state("71", "Instantiated")
        refused(sim_cluster, "b")
        await rig.uninstall("71")
        await rig.until_state("71", "TerminateFailed")
        sim_cluster.faults.clear()
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert status.resource(*PLACE, "b+ConfigMap").status == "Deleted"
