from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_simcluster import SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import config_map, deployment, job, resources, running


def with_hooks(identity: str, *regular: str, **hooks: tuple[str, ...]) -> AppContext:
    """``pre_install=(…,)`` and so on."""
    listed = {event.replace("_", "-"): resources(*texts) for event, texts in hooks.items()}
    cluster = Cluster("p+edge", resources=resources(*regular), hooks=listed)
    return AppContext(identity, (App("web", (cluster,)),), Meta(namespace="default", level="0"))


async def test_each_hook_is_done_before_what_follows(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=0.15)
    written = with_hooks(
        "71",
        config_map("regular"),
        pre_install=(config_map("first"), job("before", hook="pre-install")),
        post_install=(job("after", hook="post-install"),),
    )
    async with running(tmp_path, [edge]) as rig:
        await rig.install(written)
        status = await rig.until("71", lambda s: s.resource("web", "p+edge", "before+Job").status == "Applied")
        assert status.resource("web", "p+edge", "regular+ConfigMap").status is None
        status = await rig.until("71", lambda s: s.resource("web", "p+edge", "after+Job").status == "Applied")
        assert status.resource("web", "p+edge", "before+Job").success is True
        assert status.resource("web", "p+edge", "regular+ConfigMap").status == "Applied"
        assert status.status == "Instantiating"
        status = await rig.until_state("71", "Instantiated")
        assert status.resource("web", "p+edge", "after+Job").success is True
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)


@pytest.mark.robustness(55)
async def test_a_failed_hook_stops_the_installation_with_its_reason(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge")
    failing = job("before", hook="pre-install").replace(
        "template:", "template:\n    metadata: {annotations: {simulated/outcome: fail}}"
    )
    async with running(tmp_path, [edge]) as rig:
        await rig.install(with_hooks("71", config_map("regular"), pre_install=(failing,)))
        status = await rig.until_state("71", "InstantiateFailed")
        assert status.resource("web", "p+edge", "before+Job").status == "Failed"
        assert status.resource("web", "p+edge", "before+Job").success is False
        assert "the hook failed" in await rig.error("71", "web", "p+edge", "before+Job")
        assert "before+Job" in await rig.error("71")
        assert rig.labelled("edge", "ConfigMap") == []


@pytest.mark.robustness(55)
async def test_a_hook_that_hangs_fails_at_its_deadline(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=60)
    async with running(tmp_path, [edge], hook_timeout=0.1) as rig:
        await rig.install(with_hooks("71", config_map("regular"), pre_install=(job("before", hook="pre-install"),)))
        await rig.until_state("71", "InstantiateFailed")
        assert "not done after 0.1 s" in await rig.error("71", "web", "p+edge", "before+Job")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == []


@pytest.mark.robustness(55)
async def test_a_failed_installation_can_be_tried_again(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=60)
    async with running(tmp_path, [edge], hook_timeout=0.1) as rig:
        await rig.install(with_hooks("71", config_map("regular"), pre_install=(deployment("before"),)))
        await rig.until_state("71", "InstantiateFailed")
    quick = await make_sim_cluster("edge")
    async with running(tmp_path, [quick]) as rig:
        await rig.install("71")
        status = await rig.until_state("71", "Instantiated")
        assert await rig.error("71") == ""
        assert await rig.error("71", "web", "p+edge", "before+Deployment") == ""
        assert status.resource("web", "p+edge", "before+Deployment").status == "Applied"


async def test_hooks_of_deletion_run_and_go_with_all_others(tmp_path: Path, sim_cluster: SimCluster) -> None:
    written = with_hooks(
        "71",
        config_map("regular"),
        pre_install=(job("both", hook="pre-install,pre-delete"),),
        pre_delete=(job("both", hook="pre-install,pre-delete"),),
        post_delete=(job("last", hook="post-delete"),),
        pre_upgrade=(config_map("never"),),
    )
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(written)
        await rig.until_state("71", "Instantiated")
        assert rig.labelled("edge") == ["ConfigMap/regular", "Job/both"]
        first = sim_cluster.counts["apply", "jobs"]
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert sim_cluster.counts["apply", "jobs"] == first + 2
        assert rig.labelled("edge") == []
        assert status.resource("web", "p+edge", "last+Job").status == "Deleted"


async def test_a_hook_that_was_done_before_a_restart_is_not_run_again(tmp_path: Path, sim_cluster: SimCluster) -> None:
    written = with_hooks(
        "71", config_map("regular"), pre_install=(job("before", hook="pre-install"),), post_install=(deployment("x"),)
    )
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(written)
        await rig.until("71", lambda s: s.resource("web", "p+edge", "before+Job").success is True)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until_state("71", "Instantiated")
        assert sim_cluster.counts["apply", "jobs"] == 1
