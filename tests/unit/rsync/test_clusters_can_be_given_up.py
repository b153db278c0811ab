"""A cluster that does not come back need not hold a deployment for ever; what is left there is not called deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from emco_rsync.events.givenup import NOT_BROUGHT
from emco_simcluster import Outage, SimCluster
from tests.unit.rsync.rig import config_map, context, running

BOTH = {"web": {"edge": [config_map("a")], "cloud": [config_map("a")]}}
UNKNOWN = "whether this is still there is not known"


@pytest.mark.robustness(57)
async def test_a_terminate_that_waits_ends_when_its_cluster_is_given_up(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", BOTH))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.uninstall("71")
        await rig.until("71", lambda s: s.resource("web", "p+cloud", "a+ConfigMap").status == "Deleted")
        assert (await rig.status("71")).status == "Terminating"
        await rig.contexts.give_up("71", ["p+edge"])
        status = await rig.until_state("71", "Terminated")
        assert status.resource("web", "p+edge", "a+ConfigMap").status == "Applied"
        assert UNKNOWN in await rig.error("71", "web", "p+edge", "a+ConfigMap")
        assert "web on p+edge: given up" in await rig.error("71")
        edge.faults.end_outage()


async def test_clusters_may_be_named_before_and_one_after_the_other(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", BOTH))
        await rig.until_state("71", "Instantiated")
        for cluster in sim_clusters:
            cluster.faults.begin_outage(Outage.HANG)
            await rig.contexts.give_up("71", [f"p+{cluster.name}"])
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        for cluster in sim_clusters:
            cluster.faults.end_outage()
            assert UNKNOWN in await rig.error("71", "web", f"p+{cluster.name}", "a+ConfigMap")


@pytest.mark.robustness(57)
async def test_an_update_that_drops_a_lost_cluster_is_done_when_it_is_given_up(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", BOTH))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        later = context("72", {"web": {"cloud": [config_map("b")]}}, status_context="71")
        await rig.update("71", later)
        await rig.until("71", lambda s: s.resource("web", "p+cloud", "a+ConfigMap").status == "Deleted")
        await rig.contexts.give_up("72", ["p+edge"])
        await rig.until_state("72", "Instantiated")
        assert (await rig.status("71")).status == "Updated"
        assert "web on p+edge: given up" in await rig.error("72")
        edge.faults.end_outage()
        # What comes next tries again: it is still on record.
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Available")
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == []


@pytest.mark.robustness(44, 57)
async def test_an_installation_goes_without_a_cluster_that_is_given_up_and_an_update_brings_what_is_missing(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters, max_backoff=0.5) as rig:
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("71", BOTH))
        await rig.until("71", lambda s: s.resource("web", "p+cloud", "a+ConfigMap").status == "Applied")
        await rig.contexts.give_up("71", ["p+edge"])
        status = await rig.until_state("71", "Instantiated")
        assert status.resource("web", "p+edge", "a+ConfigMap").status != "Applied"
        assert await rig.error("71", "web", "p+edge", "a+ConfigMap") == NOT_BROUGHT
        assert await rig.error("71") == f"web on p+edge: {NOT_BROUGHT}"
        edge.faults.end_outage()
        await rig.update("71", context("72", BOTH, status_context="71"))
        await rig.until_state("72", "Instantiated")
        assert rig.labelled("edge") == ["ConfigMap/a"]
        assert await rig.error("71", "web", "p+edge", "a+ConfigMap") == ""


@pytest.mark.robustness(50, 57)
async def test_an_app_does_not_leave_for_a_cluster_that_is_given_up(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"web": {"cloud": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.update("71", context("72", {"web": {"edge": [config_map("a")]}}, status_context="71"))
        await rig.until("72", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        await rig.contexts.give_up("72", ["p+edge"])
        await rig.until_state("72", "Instantiated")
        assert "web on p+cloud: stays, because p+edge, where it was to go, was given up" in await rig.error("72")
        assert rig.labelled("cloud") == ["ConfigMap/a"]
        edge.faults.end_outage()
