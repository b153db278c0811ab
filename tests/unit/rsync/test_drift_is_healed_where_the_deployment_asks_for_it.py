"""What others change or delete comes back, if the deployment wants that, and is told in any case (robustness 53)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.apply.healing import Fights
from emco_rsync.watch.drifts import LONGEST_SECONDS, QUIET_SECONDS, Healings
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running

pytestmark = pytest.mark.robustness(53)
PLACE = ("a", "p+edge")
CONFIG = Ref(Kind("v1", "ConfigMap"), "c", "default")
WEB = Ref(Kind("apps/v1", "Deployment"), "web", "default")


@pytest.fixture
async def somebody(sim_cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as client:
        yield client


def wanted(*texts: str, heal: bool = True, identity: str = "71", status: str = "") -> AppContext:
    return replace(context(identity, {"a": {"edge": texts}}, status_context=status), options=DeliveryOptions(heal=heal))


async def complete(rig: Rig, made: AppContext) -> None:
    await rig.install(made)
    await rig.until_state("71", "Instantiated")
    await rig.until("71", lambda s: s.cluster(*PLACE).ready is True)


async def test_what_was_changed_and_what_was_deleted_comes_back(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await complete(rig, wanted(config_map("c"), deployment("web")))
        await somebody.patch(CONFIG, {"data": {"a": "theirs"}})
        await somebody.delete(WEB)
        await rig.until("71", lambda _: "Deployment/web" in rig.labelled("edge"))
        await rig.until("71", lambda _: sim_cluster.objects("ConfigMap", "default")[0]["data"] == {"a": "b"})
        status = await rig.until("71", lambda s: not any(r.drift for r in s.resources.values()))
        assert status.resource(*PLACE, "c+ConfigMap").status == "Applied"


async def test_what_was_seen_to_be_taken_is_taken_back_with_one_write(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await complete(rig, wanted(config_map("c")))
        sent = sim_cluster.counts["apply", "configmaps"]
        await somebody.patch(CONFIG, {"data": {"a": "theirs"}})
        await rig.until("71", lambda _: sim_cluster.objects("ConfigMap", "default")[0]["data"] == {"a": "b"})
        status = await rig.until("71", lambda s: "taken over" in (s.resource(*PLACE, "c+ConfigMap").reason or ""))
        assert "data.a" in (status.resource(*PLACE, "c+ConfigMap").reason or "")
        assert sim_cluster.counts["apply", "configmaps"] == sent + 1


async def test_what_an_autoscaler_has_stays_its_own_when_the_rest_is_brought_back(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await complete(rig, wanted(deployment("web")))
        await somebody.patch(WEB, {"spec": {"replicas": 2}}, subresource="scale")
        live = await somebody.get(WEB)
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
        await somebody.replace(live)
        await rig.until("71", lambda _: image_of(sim_cluster) == "nginx")
        assert (await somebody.get(WEB))["spec"]["replicas"] == 2


def image_of(cluster: SimCluster) -> str:
    (found,) = cluster.objects("Deployment", "default")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_what_was_scaled_stays_scaled_and_is_no_drift(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await complete(rig, wanted(config_map("c"), deployment("web")))
        await somebody.patch(WEB, {"spec": {"replicas": 2}}, subresource="scale")
        await somebody.patch(CONFIG, {"data": {"a": "theirs"}})
        await rig.until("71", lambda _: sim_cluster.objects("ConfigMap", "default")[0]["data"] == {"a": "b"})
        assert (await somebody.get(WEB))["spec"]["replicas"] == 2
        assert not (await rig.status("71")).resource(*PLACE, "web+Deployment").drift


async def test_without_the_option_it_is_told_and_an_update_that_only_allows_it_heals(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await complete(rig, wanted(config_map("c"), heal=False))
        await somebody.patch(CONFIG, {"data": {"a": "theirs"}})
        status = await rig.until("71", lambda s: bool(s.resource(*PLACE, "c+ConfigMap").drift))
        assert "data.a changed by" in (status.resource(*PLACE, "c+ConfigMap").drift or "")
        assert (await somebody.get(CONFIG))["data"] == {"a": "theirs"}
        await rig.update("71", wanted(config_map("c"), identity="72", status="71"))
        await rig.until_state("72", "Instantiated")
        assert (await somebody.get(CONFIG))["data"] == {"a": "b"}
        await somebody.patch(CONFIG, {"data": {"a": "again"}})
        await rig.until("71", lambda _: sim_cluster.objects("ConfigMap", "default")[0]["data"] == {"a": "b"})


def test_the_first_healing_does_not_wait_and_what_keeps_coming_back_does() -> None:
    healings, now, waits = Healings(), 0.0, []
    for _ in range(12):
        waits.append(healings.delay(now))
        now += waits[-1]
        healings.happened(now)
    assert waits == [0.0, *(2.0**n for n in range(9)), LONGEST_SECONDS, LONGEST_SECONDS]
    assert healings.delay(now + QUIET_SECONDS + 1) == 0.0


def test_who_changes_it_back_each_time_is_told_of() -> None:
    now = 0.0
    fights = Fights(lambda: now)
    assert fights.again("71-a", "p+edge", "c+ConfigMap", what="data.a changed by gardener") == ""
    now = 60.0
    told = fights.again("71-a", "p+edge", "c+ConfigMap", what="data.a changed by gardener")
    assert told == "healed 2 times in 10 min, and then again: data.a changed by gardener"
    assert fights.again("71-a", "p+edge", "other+ConfigMap", what="deleted") == ""
    now = 1000.0
    assert fights.again("71-a", "p+edge", "c+ConfigMap", what="data.a changed by gardener") == ""
