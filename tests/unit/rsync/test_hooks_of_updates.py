"""Hooks of upgrade, rollback and deletion, and what becomes of a hook's object (rsync 6.3 of appcontext, 8.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_simcluster import Rule, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import Rig, config_map, job, resources, running

FAILS = "template:\n    metadata: {annotations: {simulated/outcome: fail}}"


def on(cluster: str, *regular: str, **hooks: tuple[str, ...]) -> Cluster:
    """``pre_upgrade=(…,)`` and so on."""
    listed = {event.replace("_", "-"): resources(*texts) for event, texts in hooks.items()}
    return Cluster(f"p+{cluster}", resources=resources(*regular), hooks=listed)


def revision(identity: str, *clusters: Cluster) -> AppContext:
    status_context = "" if identity == "71" else "71"
    meta = Meta(namespace="default", level="0")
    return AppContext(identity, (App("web", clusters),), meta, status_context=status_context)


def hook(name: str, event: str, *, policy: str = "", fails: bool = False) -> str:
    text = job(name, hook=event)
    if policy:
        text = text.replace("annotations: {", f"annotations: {{helm.sh/hook-delete-policy: '{policy}', ")
    return text.replace("template:", FAILS) if fails else text


async def updated(rig: Rig, old: str, new: AppContext | str) -> str:
    identity = await rig.update(old, new)
    await rig.until_state(identity, "Instantiated")
    return identity


async def test_an_upgrade_runs_its_hooks_around_what_changed(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=0.15)
    hooks = {
        "pre_install": (hook("init", "pre-install"),),
        "pre_upgrade": (hook("before", "pre-upgrade"),),
        "post_upgrade": (hook("after", "post-upgrade"),),
    }
    async with running(tmp_path, [edge]) as rig:
        await rig.install(revision("71", on("edge", config_map("r1"), **hooks)))
        await rig.until_state("71", "Instantiated")
        assert rig.labelled("edge", "Job") == ["Job/init"]
        await rig.update("71", revision("72", on("edge", config_map("r1", x="2"), **hooks)))
        status = await rig.until("71", lambda s: s.resource("web", "p+edge", "before+Job").status == "Applied")
        assert status.resource("web", "p+edge", "r1+ConfigMap").status == "Pending"
        status = await rig.until("71", lambda s: s.resource("web", "p+edge", "after+Job").status == "Applied")
        assert status.resource("web", "p+edge", "r1+ConfigMap").status == "Applied"
        await rig.until_state("72", "Instantiated")
        assert edge.counts["apply", "jobs"] == 3
        assert (await rig.status("71")).cluster("web", "p+edge").phase == "install"
        assert (await rig.status("72")).cluster("web", "p+edge").phase == "upgrade"


async def test_a_rollback_runs_the_hooks_of_what_is_gone_back_to_each_time(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    first = on("edge", config_map("r1"), pre_rollback=(hook("back", "pre-rollback"),))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", first))
        await rig.until_state("71", "Instantiated")
        await updated(rig, "71", revision("72", on("edge", config_map("r1", x="2"))))
        for runs in (1, 2):
            await updated(rig, "72", "71")
            assert sim_cluster.counts["apply", "jobs"] == runs
            await updated(rig, "71", "72")
        assert (await rig.status("71")).cluster("web", "p+edge").phase == "rollback"


async def test_an_app_is_installed_on_a_cluster_that_is_new_and_deleted_from_one_that_is_not_wanted(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    hooks = {
        "pre_install": (hook("init", "pre-install"),),
        "pre_upgrade": (hook("change", "pre-upgrade"),),
        "pre_delete": (hook("leave", "pre-delete"),),
    }
    edge, cloud = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(revision("71", on("edge", config_map("r1"), **hooks)))
        await rig.until_state("71", "Instantiated")
        await updated(rig, "71", revision("72", on("cloud", config_map("r1"), **hooks)))
        assert rig.labelled("cloud") == ["ConfigMap/r1", "Job/init"]
        assert rig.labelled("edge") == []
        assert (edge.counts["apply", "jobs"], cloud.counts["apply", "jobs"]) == (2, 1)
        status = await rig.status("71")
        assert status.resource("web", "p+edge", "leave+Job").status == "Deleted"
        await updated(rig, "72", "71")
        assert rig.labelled("edge") == ["ConfigMap/r1", "Job/init"]
        assert rig.labelled("cloud") == []


async def test_a_failed_hook_stops_the_upgrade_and_nothing_is_removed(tmp_path: Path, sim_cluster: SimCluster) -> None:
    failing = on("edge", config_map("r2"), pre_upgrade=(hook("before", "pre-upgrade", fails=True),))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", on("edge", config_map("r1"))))
        await rig.until_state("71", "Instantiated")
        await rig.update("71", revision("72", failing))
        await rig.until_state("72", "InstantiateFailed")
        assert "before+Job: the hook failed" in await rig.error("72")
        assert rig.labelled("edge", "ConfigMap") == ["ConfigMap/r1"]
        assert (await rig.status("71")).status == "UpdatedFailed"


async def test_a_job_that_ran_at_the_last_upgrade_runs_anew(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", on("edge", config_map("r1"))))
        await rig.until_state("71", "Instantiated")
        old = "71"
        for identity in ("72", "73"):
            change = hook("change", "pre-upgrade").replace("image: nginx", f"image: nginx:{identity}")
            old = await updated(rig, old, revision(identity, on("edge", config_map("r1"), pre_upgrade=(change,))))
        (found,) = sim_cluster.objects("Job")
        assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:73"


@pytest.mark.parametrize(
    ("policy", "fails", "stays"),
    [
        ("", False, True),
        ("before-hook-creation", False, True),
        ("hook-succeeded", False, False),
        ("hook-succeeded", True, True),
        ("hook-failed", True, False),
        ("hook-failed", False, True),
        ("before-hook-creation, hook-succeeded,hook-failed", True, False),
    ],
)
async def test_the_delete_policy_says_whether_the_object_stays(
    tmp_path: Path, sim_cluster: SimCluster, policy: str, fails: bool, stays: bool
) -> None:
    cluster = on("edge", config_map("r1"), pre_install=(hook("init", "pre-install", policy=policy, fails=fails),))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", cluster))
        status = await rig.until_state("71", "InstantiateFailed" if fails else "Instantiated")
        assert rig.labelled("edge", "Job") == (["Job/init"] if stays else [])
        found = status.resource("web", "p+edge", "init+Job")
        assert (found.status, found.success) == (("Failed", False) if fails else ("Applied", True))


async def test_hooks_that_succeeded_go_only_when_all_of_their_event_have(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    account = """apiVersion: v1
kind: ServiceAccount
metadata: {name: sa, annotations: {helm.sh/hook-delete-policy: hook-succeeded}}"""
    cluster = on("edge", config_map("r1"), pre_install=(account, hook("init", "pre-install")))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", cluster))
        status = await rig.until_state("71", "Instantiated")
        assert sim_cluster.counts["apply", "serviceaccounts"] == 1
        assert rig.labelled("edge") == ["ConfigMap/r1", "Job/init"]
        found = status.resource("web", "p+edge", "sa+ServiceAccount")
        assert (found.status, found.success) == ("Applied", True)


async def test_a_hook_that_was_done_before_a_restart_is_not_run_again(tmp_path: Path, sim_cluster: SimCluster) -> None:
    change = on("edge", config_map("r2"), config_map("r3"), pre_upgrade=(hook("before", "pre-upgrade"),))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(revision("71", on("edge", config_map("r1"))))
        await rig.until_state("71", "Instantiated")
        sim_cluster.faults.add(Rule(verb="apply", resource="configmaps", latency=0.3))
        await rig.update("71", revision("72", change))
        await rig.until("71", lambda s: s.resource("web", "p+edge", "before+Job").success is True)
    sim_cluster.faults.clear()
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until_state("72", "Instantiated")
        assert sim_cluster.counts["apply", "jobs"] == 1
        assert rig.labelled("edge", "ConfigMap") == ["ConfigMap/r2", "ConfigMap/r3"]
