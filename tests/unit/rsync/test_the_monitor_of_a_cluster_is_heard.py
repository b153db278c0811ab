"""Clusters that run the original's monitor: it is asked for reports, which count where rsync may not look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_common.kube import KubeApi, KubeClient, Ref, parse_kubeconfig
from emco_rsync.delivery.layout import BUNDLE
from emco_rsync.watch import monitor
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running

CRD = (Path(__file__).parents[3] / "deploy/crds/resourcebundlestates.yaml").read_text()
REF = Ref(BUNDLE, "71-web", "default")
LABEL = {"emco/deployment-id": "71-web"}


async def serve_bundles(cluster: SimCluster) -> KubeClient:
    somebody = KubeClient(parse_kubeconfig(cluster.kubeconfig))
    await somebody.create(yaml.safe_load(CRD))
    return somebody


def report(**lists: Any) -> dict[str, Any]:
    return {"status": {"ready": False, "resourceCount": 0, **lists}}


def labelled(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "labels": LABEL}, **fields}


async def test_a_report_is_asked_for_and_left_to_the_monitor_until_the_end(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emco_rsync.watch.tracker.LINGER_SECONDS", 0.5)
    somebody = await serve_bundles(sim_cluster)
    async with somebody, running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("c")]}}))
        await rig.until("71", lambda status: bool(sim_cluster.objects(BUNDLE.kind)))
        bundle = await somebody.get(REF)
        assert bundle["metadata"]["labels"] == LABEL
        assert bundle["spec"] == {"selector": {"matchLabels": LABEL}}
        await somebody.patch(REF, report(configMapStatuses=[labelled("c")]), subresource="status")
        await rig.update("71", context("72", {"web": {"edge": [config_map("c", a="c")]}}, status_context="71"))
        await rig.until_state("72", "Instantiated")
        assert (await somebody.get(REF))["status"]["configMapStatuses"][0]["metadata"]["name"] == "c"
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
        assert sim_cluster.objects(BUNDLE.kind)
        await rig.until("72", lambda status: not sim_cluster.objects(BUNDLE.kind))


async def test_what_may_not_be_looked_at_is_what_the_monitor_reports(tmp_path: Path, sim_cluster: SimCluster) -> None:
    somebody = await serve_bundles(sim_cluster)
    sim_cluster.faults.add(Rule(verb="list", resource="deployments", status=403, reason="Forbidden"))
    async with somebody, running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.until("71", lambda status: bool(sim_cluster.objects(BUNDLE.kind)))
        assert (await rig.status("71")).cluster("web", "p+edge").ready is None
        ready = labelled("d", spec={"replicas": 1}, status={"readyReplicas": 1})
        await somebody.patch(REF, report(deploymentStatuses=[ready]), subresource="status")
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)
        lost = labelled("d", spec={"replicas": 1}, status={"readyReplicas": 0})
        await somebody.patch(REF, report(deploymentStatuses=[lost]), subresource="status")
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is False)


async def test_a_cluster_without_one_is_not_asked_with_every_app(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[KubeApi] = []

    monkeypatch.setattr(monitor, "LOOK_AGAIN_SECONDS", 600.0)
    monkeypatch.setattr(monitor, "_serves", counting(looks))
    async with running(tmp_path, [sim_cluster]) as rig:
        for number in (71, 72, 73):
            await rig.install(context(str(number), {"web": {"edge": [config_map(f"c{number}")]}}))
            await rig.until(str(number), lambda status: status.cluster("web", "p+edge").ready is True)
    assert len(looks) == 1


def counting(looks: list[KubeApi]) -> Callable[[KubeApi], Awaitable[bool]]:
    original = monitor._serves

    async def serves(client: KubeApi) -> bool:
        looks.append(client)
        return await original(client)

    return serves


async def test_a_monitor_that_comes_later_is_asked_for_the_next_app(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "LOOK_AGAIN_SECONDS", 0.3)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("c71")]}}))
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)
        async with await serve_bundles(sim_cluster):
            await rig.install(context("72", {"web": {"edge": [config_map("c72")]}}))
            await rig.until("72", lambda status: bool(sim_cluster.objects(BUNDLE.kind)))


async def test_clusters_are_left_alone_where_it_is_off(tmp_path: Path, sim_cluster: SimCluster) -> None:
    somebody = await serve_bundles(sim_cluster)
    async with somebody, running(tmp_path, [sim_cluster], monitor="off") as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)
        assert not sim_cluster.objects(BUNDLE.kind)
