"""An app that moves to another cluster is there before it leaves (robustness 50)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from emco_simcluster import Rule
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import Rig, context, deployment, running

OLD = ("web", "p+edge", "d+Deployment")


def moved(ready_timeout: float | None = None) -> AppContext:
    written = context("72", {"web": {"cloud": [deployment("d")]}}, status_context="71")
    return replace(written, options=DeliveryOptions(ready_timeout=ready_timeout))


async def installed(rig: Rig) -> None:
    await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
    await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)


@pytest.mark.robustness(50)
async def test_an_app_leaves_when_it_is_acknowledged_where_it_goes(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge, cloud = await make_sim_cluster("edge"), await make_sim_cluster("cloud", ready_after=60)
    number = cloud.faults.add(Rule(verb="apply", status=503))
    async with running(tmp_path, [edge, cloud], max_backoff=0.2) as rig:
        await installed(rig)
        await rig.update("71", moved())
        await rig.until("71", lambda s: bool(s.resource("web", "p+cloud", "d+Deployment").reason))
        assert rig.labelled("edge") == ["Deployment/d"]
        cloud.faults.remove(number)
        await rig.until_state("72", "Instantiated")
        await rig.until("71", lambda s: s.resource(*OLD).status == "Deleted")
        assert (rig.labelled("edge"), rig.labelled("cloud")) == ([], ["Deployment/d"])


@pytest.mark.robustness(50)
async def test_an_app_leaves_when_it_is_ready_where_it_goes_if_the_deployment_says_so(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge, cloud = await make_sim_cluster("edge"), await make_sim_cluster("cloud", ready_after=2)
    async with running(tmp_path, [edge, cloud]) as rig:
        await installed(rig)
        await rig.update("71", moved(ready_timeout=30))
        await rig.until("71", lambda s: (s.resource(*OLD).reason or "").startswith("stays until app web is ready on"))
        assert rig.labelled("edge") == ["Deployment/d"]
        await rig.until("71", lambda s: s.resource(*OLD).status == "Deleted")
        await rig.until("71", lambda s: s.cluster("web", "p+cloud").ready is True)
        await rig.until_state("72", "Instantiated")


@pytest.mark.robustness(50)
async def test_an_app_that_does_not_get_ready_stays_where_it_was_until_the_next_event(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge, cloud = await make_sim_cluster("edge"), await make_sim_cluster("cloud", ready_after=60)
    async with running(tmp_path, [edge, cloud]) as rig:
        await installed(rig)
        await rig.update("71", moved(ready_timeout=0.5))
        await rig.until_state("72", "Instantiated")
        why = "stays, because app web was not ready on p+cloud (not yet: d+Deployment) within 0.5 s"
        assert await rig.error("72") == f"not removed: web on p+edge: {why}"
        assert await rig.error("71", *OLD) == why
        assert rig.labelled("edge") == ["Deployment/d"]
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert rig.labelled("edge") == rig.labelled("cloud") == []
