"""Clusters that go away and come back; the others do not notice, and nothing is lost (robustness 24, 44–47, 57)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import Outage, Rule, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running

HERE_AND_THERE = {"edge": [config_map("a"), deployment("d")], "cloud": [config_map("a"), deployment("d")]}


@pytest.mark.parametrize("outage", [Outage.REFUSE, Outage.HANG, Outage.CUT])
@pytest.mark.robustness(44)
async def test_a_cluster_that_is_away_is_waited_for_and_does_not_hold_up_the_other(
    tmp_path: Path, sim_clusters: list[SimCluster], outage: Outage
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters, cluster_timeout=0.3, probe_timeout=0.2) as rig:
        edge.faults.begin_outage(outage)
        await rig.install(context("71", {"web": HERE_AND_THERE}))
        status = await rig.until(
            "71",
            lambda s: (
                s.cluster("web", "p+cloud").ready is True and s.cluster("web", "p+edge").connectivity == "Retrying"
            ),
        )
        assert status.status == "Instantiating"
        assert await rig.error("71", "web", "p+edge")
        edge.faults.end_outage()
        await rig.until_state("71", "Instantiated")
        status = await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
        assert status.cluster("web", "p+edge").connectivity == "Available"
        assert await rig.error("71", "web", "p+edge") == ""
        assert rig.labelled("edge") == ["ConfigMap/a", "Deployment/d"]


@pytest.mark.robustness(45)
async def test_a_cluster_that_goes_in_the_middle_is_taken_up_where_it_was(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.02))
    manifests = [config_map(f"c{n}") for n in range(30)]
    async with running(tmp_path, [sim_cluster], cluster_connections=2) as rig:
        await rig.install(context("71", {"web": {"edge": manifests}}))
        await rig.until("71", lambda s: any(r.status == "Applied" for r in s.resources.values()))
        sim_cluster.faults.restart(seconds=0.3)
        await rig.until_state("71", "Instantiated")
        assert len(rig.labelled("edge")) == 30


@pytest.mark.robustness(57)
async def test_terminate_ends_the_waiting_and_is_finished_when_the_cluster_returns(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    edge.faults.add(Rule(verb="apply", resource="deployments", latency=0.3))
    async with running(tmp_path, sim_clusters, cluster_timeout=0.5) as rig:
        await rig.install(context("71", {"web": HERE_AND_THERE}))
        await rig.until("71", lambda s: s.cluster("web", "p+cloud").ready is True)
        await rig.until("71", lambda s: s.resource("web", "p+edge", "a+ConfigMap").status == "Applied")
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.uninstall("71")
        status = await rig.until("71", lambda s: s.resource("web", "p+cloud", "a+ConfigMap").status == "Deleted")
        assert status.status == "Terminating"
        assert rig.labelled("cloud") == []
        edge.faults.end_outage()
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == []


@pytest.mark.robustness(57)
async def test_a_cluster_to_which_nothing_was_ever_sent_does_not_hold_up_a_terminate(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("71", {"web": HERE_AND_THERE}))
        await rig.until("71", lambda s: s.cluster("web", "p+cloud").ready is True)
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert {r.status for (_, cluster, _), r in status.resources.items() if cluster == "p+edge"} <= {None}
        edge.faults.end_outage()
        assert rig.labelled("edge") == rig.labelled("cloud") == []


async def test_a_stop_ends_the_waiting_with_a_failure(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.begin_outage(Outage.REFUSE)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        await rig.contexts.set_stop_flag("71", True)
        status = await rig.until_state("71", "InstantiateFailed")
        assert [element.status for element in status.queue or ()] == ["Error"]
        assert await rig.error("71") == "stopped by request"
        await rig.uninstall("71")
        await rig.until("71", lambda s: [e.status for e in s.queue or ()] == ["Error", "Skip"])
        await rig.contexts.set_stop_flag("71", False)
        sim_cluster.faults.end_outage()
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


async def test_a_terminate_after_a_stop_does_not_take_up_what_was_stopped(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("71", {"web": HERE_AND_THERE}))
        await rig.until("71", lambda s: s.resource("web", "p+cloud", "d+Deployment").status == "Applied")
        await rig.contexts.set_stop_flag("71", True)
        await rig.contexts.set_stop_flag("71", False)  # before anybody has looked
        await rig.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert [(e.event, e.status) for e in status.queue or ()] == [("Instantiate", "Error"), ("Terminate", "Done")]
        edge.faults.end_outage()
        assert rig.labelled("edge") == rig.labelled("cloud") == []


@pytest.mark.robustness(44)
async def test_an_operator_may_limit_the_attempts(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.begin_outage(Outage.REFUSE)
    async with running(tmp_path, [sim_cluster], max_retries=0) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "InstantiateFailed")
        assert "Retries exceeded max: p+edge" in await rig.error("71")
        sim_cluster.faults.end_outage()
        await rig.install("71")
        await rig.until_state("71", "Instantiated")


@pytest.mark.robustness(24)
async def test_a_revoked_credential_is_waited_out_and_a_new_one_taken_up(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("70", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("70", "Instantiated")
        sim_cluster.revoked.add("simulated-admin")
        await rig.install(context("71", {"web": {"edge": [config_map("b")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        assert "Unauthorized" in await rig.error("71", "web", "p+edge")
        sim_cluster.revoked.clear()
        await rig.until_state("71", "Instantiated")


@pytest.mark.robustness(44, 49)
async def test_a_cluster_that_becomes_unreachable_later_shows_it(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
        sim_cluster.faults.begin_outage(Outage.REFUSE)
        status = await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        assert status.status == "Instantiated"
        assert status.resource("web", "p+edge", "d+Deployment").ready is True  # not read is not gone
        sim_cluster.faults.end_outage()
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Available")


@pytest.mark.parametrize("loss", ["nothing", "history"])
@pytest.mark.robustness(47)
async def test_what_changes_while_the_watch_is_away_is_seen_after(
    tmp_path: Path, sim_cluster: SimCluster, loss: str
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
        sim_cluster.faults.restart(lose_history=loss == "history")
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(Ref(Kind("apps/v1", "Deployment"), "d", "default"))
        status = await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is False)
        status = await rig.until("71", lambda s: "deploymentStatuses" not in (s.cluster("web", "p+edge").status or ""))
        assert status.status == "Instantiated"


@pytest.mark.robustness(45)
async def test_a_flapping_link_converges(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", seed=5)
    edge.faults.add(Rule(cut=True, share=0.2))
    edge.faults.add(Rule(latency=0.0, jitter=0.01))
    chance = random.Random(5)
    manifests = [config_map(f"c{n}") for n in range(10)]
    async with running(tmp_path, [edge]) as rig:

        async def flap() -> None:
            for _ in range(3):
                await asyncio.sleep(0.1 * chance.random())
                edge.faults.begin_outage(Outage.REFUSE, seconds=0.05)

        flapping = asyncio.create_task(flap())
        await rig.install(context("71", {"web": {"edge": manifests}}))
        await rig.until_state("71", "Instantiated")
        await flapping
        assert len(rig.labelled("edge")) == 10
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == []
