"""What others change of what was applied is told within moments, with who did it, and undone where that is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from emco_common.kube import Kind, KubeClient, Ref, encode, parse_kubeconfig
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running

PLACE = ("web", "p+edge")
DEPLOYMENT = Ref(Kind("apps/v1", "Deployment"), "d", "default")
CONFIG_MAP = Ref(Kind("v1", "ConfigMap"), "c", "default")


def written(*, heal: bool = False) -> AppContext:
    made = context("71", {"web": {"edge": [config_map("c", colour="red", size="l"), deployment("d")]}})
    return replace(made, options=DeliveryOptions(heal=heal))


@asynccontextmanager
async def somebody(cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(cluster.kubeconfig)) as client:
        yield client


async def until_drift(rig: Rig, resource: str, text: str) -> None:
    await rig.until("71", lambda status: (status.resource(*PLACE, resource).drift or "") == text)


async def installed(rig: Rig, made: AppContext) -> None:
    await rig.install(made)
    await rig.until_state("71", "Instantiated")
    await rig.until("71", lambda status: status.cluster(*PLACE).ready is True)


@pytest.mark.robustness(53)
async def test_who_changed_what_is_told_until_it_is_as_it_was(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await installed(rig, written())
        assert (await rig.status("71")).resource(*PLACE, "d+Deployment").digest.startswith("v1:")
        theirs: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
        await other.apply({**theirs, "spec": {"replicas": 3}}, manager="kubectl-edit", force=True, namespace="default")
        await until_drift(rig, "d+Deployment", "spec.replicas changed by kubectl-edit")
        live = await other.get(CONFIG_MAP)
        del live["data"]["colour"]
        await other.replace(live)
        await until_drift(rig, "c+ConfigMap", "data.colour removed")
        live = await other.get(CONFIG_MAP)
        assert live["data"] == {"size": "l"}
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"http://127.0.0.1:{rig.service.http_port}/metrics")).text
        assert 'emco_rsync_drifted_objects{cluster="p+edge"} 2.0' in metrics


async def test_what_was_deleted_is_told(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await installed(rig, written())
        await other.delete(CONFIG_MAP)
        await until_drift(rig, "c+ConfigMap", "deleted")
        assert (await rig.status("71")).resource(*PLACE, "c+ConfigMap").status == "Applied"


@pytest.mark.robustness(53)
async def test_what_an_autoscaler_or_an_outsider_adds_is_no_drift(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await installed(rig, written())
        await other.patch(DEPLOYMENT, {"spec": {"replicas": 2}}, subresource="scale")
        await other.patch(DEPLOYMENT, {"metadata": {"labels": {"team": "a"}}})
        await other.delete(CONFIG_MAP)  # comes after it, and is told after it
        await until_drift(rig, "c+ConfigMap", "deleted")
        assert not (await rig.status("71")).resource(*PLACE, "d+Deployment").drift


async def test_what_drifted_is_brought_back_where_the_deployment_asks_for_it(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, somebody(sim_cluster) as other:
        await installed(rig, written(heal=True))
        await other.delete(CONFIG_MAP)
        live = await other.get(DEPLOYMENT)
        await other.replace({**live, "spec": {**live["spec"], "replicas": 4}})
        await rig.until("71", lambda status: bool(status.resource(*PLACE, "d+Deployment").drift))
        await until_drift(rig, "d+Deployment", "")
        await until_drift(rig, "c+ConfigMap", "")
        assert (await other.get(CONFIG_MAP))["data"] == {"colour": "red", "size": "l"}
        assert (await other.get(DEPLOYMENT))["spec"]["replicas"] == 1


async def test_drift_that_came_while_nobody_looked_is_told_after_a_restart(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, written())
    async with somebody(sim_cluster) as other:
        await other.delete(CONFIG_MAP)
        theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 3}}
        await other.apply(theirs, manager="ops", force=True, namespace="default", encoded=encode(theirs))
    async with running(tmp_path, [sim_cluster]) as rig:
        await until_drift(rig, "c+ConfigMap", "deleted")
        await until_drift(rig, "d+Deployment", "spec.replicas changed by ops")
