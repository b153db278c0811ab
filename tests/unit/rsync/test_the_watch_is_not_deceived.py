"""Lists that lie, versions that are too old, objects that no honest cluster has, and storms of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext import keys
from emco_common.kube import Kind, KubeClient, ObjectList, Ref, parse_kubeconfig
from emco_common.kube.descriptors import Descriptors
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL
from emco_rsync.watch.known import Known
from emco_rsync.watch.statusdata import MAX_ENTRY_BYTES, assemble
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running

DEPLOYMENTS = Kind("apps/v1", "Deployment")
PLACE = ("web", "p+edge")


@asynccontextmanager
async def somebody(cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(cluster.kubeconfig)) as client:
        yield client


@pytest.mark.robustness(49)
async def test_a_list_without_what_is_still_there_is_not_believed(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, lies, told = KubeClient.list, [False], asyncio.Event()

    async def lying(self: KubeClient, kind: Kind, *, namespace: str = "", selector: str = "") -> ObjectList:
        found = await honest(self, kind, namespace=namespace, selector=selector)
        if lies[0] and kind == DEPLOYMENTS:
            told.set()
            return ObjectList((), found.resource_version)
        return found

    monkeypatch.setattr(KubeClient, "list", lying)
    async with running(tmp_path, [sim_cluster], watch_resync=0.3) as rig, somebody(sim_cluster) as other:
        await rig.install(context("71", {"web": {"edge": [deployment("d"), config_map("c")]}}))
        await rig.until("71", lambda status: status.cluster(*PLACE).ready is True)
        lies[0] = True
        await told.wait()
        told.clear()
        await other.delete(Ref(Kind("v1", "ConfigMap"), "c", "default"))  # comes after it, and is told after it
        await rig.until("71", lambda status: bool(status.resource(*PLACE, "c+ConfigMap").drift))
        status = await rig.status("71")
        assert status.cluster(*PLACE).ready is True
        assert not status.resource(*PLACE, "d+Deployment").drift
        await told.wait()
        await other.delete(Ref(DEPLOYMENTS, "d", "default"))
        await rig.until("71", lambda status: status.cluster(*PLACE).ready is False)


@pytest.mark.robustness(47)
@pytest.mark.parametrize("lasting", [0, 512])
async def test_a_version_that_is_too_old_is_answered_by_a_new_list(
    tmp_path: Path, sim_cluster: SimCluster, lasting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emco_rsync.watch.cluster.POLL_SECONDS", 0.2)
    sim_cluster.faults.add(Rule(verb="watch", resource="configmaps", status=410, reason="Expired", times=3))
    async with (
        running(tmp_path, [sim_cluster], descriptors=Descriptors(1024, lasting=lasting)) as rig,
        somebody(sim_cluster) as other,
    ):
        await rig.install(context("71", {"web": {"edge": [deployment("d"), config_map("c")]}}))
        await rig.until("71", lambda status: status.cluster(*PLACE).ready is True)
        await other.delete(Ref(Kind("v1", "ConfigMap"), "c", "default"))
        await rig.until("71", lambda status: status.resource(*PLACE, "c+ConfigMap").drift == "deleted")


@pytest.mark.robustness(27)
@pytest.mark.parametrize(
    "strange",
    [
        {"status": {"message": "<b>\x1b[31m" * 200_000}},
        {"spec": json.loads('{"a":' * 900 + "1" + "}" * 900)},
        {"metadata": {"managedFields": {"a": 1}, "annotations": [7]}},
        {"status": 7, "spec": "text"},
    ],
    ids=["huge", "deep", "mistyped metadata", "mistyped"],
)
def test_an_object_of_a_hostile_cluster_is_borne_and_capped(strange: dict[str, Any]) -> None:
    known = Known(lambda labels: None)
    metadata = {"name": "d", "namespace": "default", "labels": {DEPLOYMENT_LABEL: "1-web"}}
    obj = {**strange, "metadata": {**metadata, **strange.get("metadata", {})}}
    known.listed(DEPLOYMENTS, [obj, {**obj, "metadata": {"labels": 7}}, {**obj, "metadata": "text"}], before={})
    ((key, seen),) = known.objects("1-web").items()
    assert len(seen.entry) <= MAX_ENTRY_BYTES
    assert json.loads(assemble([(("Deployment", "apps/v1", "default", key[2]), seen.entry)]))["deploymentStatuses"]


@pytest.mark.robustness(63)
async def test_a_storm_in_one_app_is_told_together_and_holds_up_nobody(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pod of a large app changes again and again; simulated, and smaller than in life."""
    monkeypatch.setattr("emco_rsync.watch.tracker._LARGE", 20)
    pods, rounds = 40, 12
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        apps = {"web": {"edge": [deployment("d", replicas=pods)]}, "db": {"edge": [config_map("c")]}}
        await rig.install(context("71", apps))
        await rig.until("71", lambda status: status.cluster(*PLACE).ready is True)
        refs = [Ref(Kind("v1", "Pod"), one["metadata"]["name"], "default") for one in sim_cluster.objects("Pod")]
        writes = 0
        watch: Any = rig.bus.watch(keys.cluster_status("71", *PLACE))

        async def count() -> None:
            nonlocal writes
            async for events in watch:
                writes += len(events)

        async with aclosing(watch):
            counting = asyncio.create_task(count())
            for number in range(rounds):
                await asyncio.gather(
                    *(other.patch(ref, {"metadata": {"annotations": {"round": f"no. {number}"}}}) for ref in refs)
                )
                if number == rounds // 2:
                    await other.delete(Ref(Kind("v1", "ConfigMap"), "c", "default"))
            await rig.until("71", lambda status: status.resource("db", "p+edge", "c+ConfigMap").drift == "deleted")
            newest = f'"no. {rounds - 1}"'
            await rig.until("71", lambda status: (status.cluster(*PLACE).status or "").count(newest) == pods)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
        assert writes < pods * rounds / 4
