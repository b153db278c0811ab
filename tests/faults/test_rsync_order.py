"""Apps that wait for one another say what for, and do not wait for ever (robustness 43)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext.model import DeliveryOptions, Dependency
from emco_rsync.apply.order import circle
from emco_rsync.plan.plan import AppPlan
from emco_simcluster import Outage, SimCluster
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running

FIRST = {"web": {"edge": [config_map("w")]}, "db": {"edge": [deployment("d")]}}


def needs(app: str, *, ready: bool = True, wait: int = 0) -> tuple[Dependency, ...]:
    return (Dependency(app, "Ready" if ready else "Deployed", wait),)


@pytest.mark.robustness(43)
async def test_an_app_says_what_it_waits_for_and_gives_up_at_its_deadline(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", ready_after=60)
    async with running(tmp_path, [edge], ready_timeout=1.5) as rig:
        await rig.install(context("71", FIRST, dependencies={"web": needs("db")}))
        place = ("web", "p+edge", "w+ConfigMap")
        await rig.until("71", lambda s: (s.resource(*place).reason or "").startswith("waits until app db is ready"))
        await rig.until_state("71", "InstantiateFailed")
        why = "not started, because app db was not ready on p+edge (not yet: d+Deployment) within 1.5 s"
        assert await rig.error("71", *place) == why
        assert await rig.error("71") == f"web: {why}"
        assert rig.labelled("edge", "ConfigMap") == []


async def test_a_deployment_may_say_how_long_readiness_is_waited_for(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", ready_after=60)
    asked = replace(context("71", FIRST, dependencies={"web": needs("db")}), options=DeliveryOptions(ready_timeout=0.3))
    async with running(tmp_path, [edge]) as rig:
        await rig.install(asked)
        await rig.until_state("71", "InstantiateFailed")
        assert "within 0.3 s" in await rig.error("71")


async def test_a_deployment_may_wait_for_ever(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=1.0)
    asked = replace(context("71", FIRST, dependencies={"web": needs("db")}), options=DeliveryOptions(ready_timeout=0))
    async with running(tmp_path, [edge], ready_timeout=0.1) as rig:
        await rig.install(asked)
        place = ("web", "p+edge", "w+ConfigMap")
        said = "waits until app db is ready on p+edge (not yet: d+Deployment)"
        await rig.until("71", lambda s: s.resource(*place).reason == said)
        await rig.until_state("71", "Instantiated")


@pytest.mark.robustness(43, 57)
async def test_time_in_which_a_cluster_is_away_does_not_count(tmp_path: Path, make_sim_cluster: MakeSimCluster) -> None:
    edge = await make_sim_cluster("edge", ready_after=1.5)
    async with running(tmp_path, [edge], ready_timeout=2.5) as rig:
        await rig.install(context("71", FIRST, dependencies={"web": needs("db")}))
        await rig.until("71", lambda s: s.resource("db", "p+edge", "d+Deployment").status == "Applied")
        edge.faults.begin_outage(Outage.REFUSE, seconds=2.5)
        await rig.until("71", lambda s: s.cluster("db", "p+edge").connectivity == "Retrying")
        await rig.until_state("71", "Instantiated")
        assert await rig.error("71", "web", "p+edge", "w+ConfigMap") == ""


@pytest.mark.robustness(43)
async def test_apps_that_wait_for_each_other_are_refused_with_the_circle(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        circular = {"web": needs("db", ready=False), "db": needs("web", ready=False)}
        await rig.install(context("71", FIRST, dependencies=circular))
        await rig.until_state("71", "InstantiateFailed")
        assert await rig.error("71") == "apps depend on each other in a circle: web -> db -> web"
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@given(st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_there_is_a_circle_if_and_only_if_the_apps_have_no_order(wants: dict[str, list[str]]) -> None:
    apps = [AppPlan(app, tuple(Dependency(one, "Deployed") for one in found), ()) for app, found in wants.items()]
    left = {app: {one for one in found if one in wants} for app, found in wants.items()}
    while ready := [app for app, found in left.items() if not found & left.keys()]:
        for app in ready:
            del left[app]
    assert bool(circle(apps)) is bool(left)
