"""A plan tells what a context would change on its clusters, and changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext import codec
from emco_common.appcontext.model import AppContext, DeliveryOptions
from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_common.rsyncclient import CONTROLLER_KEY, RsyncClient, RsyncRefused
from emco_common.store.api import Document
from emco_rsync.plan.manifests import parse
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import CRD, WIDGET, Rig, config_map, context, deployment, job, running

ALLOWED = DeliveryOptions(replace=True)
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: %s}"
Told = dict[str, tuple[str, list[str]]]


async def places_of(rig: Rig, wanted: AppContext, *, replaces: str = "") -> list[Any]:
    if await rig.deps.store.get(CONTROLLER_KEY) is None:
        body = {"metadata": {"name": "rsync"}, "spec": {"host": "127.0.0.1", "port": rig.service.grpc_port}}
        await rig.deps.store.create(Document(key=CONTROLLER_KEY, body=body))
    client = RsyncClient(rig.deps.store, rig.deps.channels, timeout=5)
    found = client.plan(wanted.id, codec.encode(wanted), replaces=replaces, timeout=15)
    return [place async for place in found]


async def plan(rig: Rig, wanted: AppContext, *, replaces: str = "") -> Told:
    """Action and fields by kind and name; asserts that neither a cluster nor the bus was written to."""
    before = _brought(rig), await _contexts(rig)
    places = await places_of(rig, wanted, replaces=replaces)
    assert (_brought(rig), await _contexts(rig)) == before
    return {
        f"{one.kind}/{one.name}": (one.action, [field.path for field in one.fields])
        for place in places
        for one in place.objects
    }


def _brought(rig: Rig) -> list[Any]:
    """What was applied, but for what the controllers of a cluster write of it, which goes on meanwhile."""
    objects = [obj for cluster in rig.clusters.values() for obj in cluster.objects()]
    kept = [
        ({name: value for name, value in obj.items() if name not in ("metadata", "status")}, _owned(obj))
        for obj in objects
    ]
    return [(content, owned) for content, owned in kept if owned[-1]]


def _owned(obj: dict[str, Any]) -> list[Any]:
    metadata = obj["metadata"]
    owners = [entry for entry in metadata.get("managedFields") or [] if entry["manager"] == "emco-rsync"]
    return [metadata["uid"], metadata.get("labels"), owners]


async def _contexts(rig: Rig) -> list[Any]:
    """What is written of deployments, but for what the watch sees meanwhile."""
    found = (await rig.bus.range("/context/")).entries
    written = (entry for entry in found if "/definition/" in entry.key or "/resource/" in entry.key)
    return [(entry.key, entry.value) for entry in written if not entry.key.endswith("/resready/")]


def first(*texts: str, **more: Any) -> AppContext:
    return context("71", {"a": {"edge": texts}}, **more)


def second(*texts: str, **more: Any) -> AppContext:
    return context("72", {"a": {"edge": texts}}, status_context="71", **more)


async def installed(rig: Rig, *texts: str) -> None:
    await rig.install(first(*texts))
    await rig.until_state("71", "Instantiated")


async def test_a_first_installation_creates_everything(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        told = await plan(rig, first(config_map("c"), deployment("web"), job("j")))
        assert told == {"ConfigMap/c": ("create", []), "Deployment/web": ("create", []), "Job/j": ("create", [])}
        assert rig.labelled("edge") == []


async def test_an_update_says_what_is_new_what_changes_and_what_goes(tmp_path: Path, sim_cluster: SimCluster) -> None:
    before = [config_map("same"), config_map("other", a="1"), config_map("old"), deployment("web"), SECRET % "one"]
    after = second(
        config_map("same"),
        config_map("other", a="2", b="3"),
        config_map("new"),
        deployment("web").replace("nginx", "nginx:2"),
        SECRET % "two",
    )
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, *before)
        told = await plan(rig, after, replaces="71")
        assert told == {
            "ConfigMap/same": ("unchanged", []),
            "ConfigMap/other": ("change", ["data.a", "data.b"]),
            "ConfigMap/new": ("create", []),
            "ConfigMap/old": ("delete", []),
            "Deployment/web": ("change", ["spec.template.spec.containers[name=c].image"]),
            "Secret/s": ("change", ["data.password"]),
        }
        await rig.update("71", after)
        await rig.until_state("72", "Instantiated")
        again = await plan(rig, replace(after, id="73"), replaces="72")
        assert {action for action, _ in again.values()} == {"unchanged"}
        assert "ConfigMap/old" not in again


async def test_values_are_told_and_those_of_secrets_are_not(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, config_map("c", a="1"), SECRET % "hunter2")
        places = await places_of(rig, second(config_map("c", a="2"), SECRET % "hunter3"), replaces="71")
        fields = {one.kind: one.fields[0] for place in places for one in place.objects}
        assert (json.loads(fields["ConfigMap"].before), json.loads(fields["ConfigMap"].after)) == ("1", "2")
        assert fields["Secret"].hidden
        assert "hunter" not in str(places)
        assert "aHVudGVy" not in str(places)


async def test_what_cannot_be_changed_in_place_is_replaced_or_refused(tmp_path: Path, sim_cluster: SimCluster) -> None:
    new = job("j").replace("nginx", "busybox")
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, job("j"))
        assert await plan(rig, second(new), replaces="71") == {"Job/j": ("refused", [])}
        told = await plan(rig, replace(second(new), options=ALLOWED), replaces="71")
        assert told == {"Job/j": ("replace", ["spec.template.spec.containers[name=c].image"])}


async def test_what_is_there_of_others_is_said_to_be_taken_over(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
        await somebody.create(parse(config_map("c", a="theirs"))[0])
    async with running(tmp_path, [sim_cluster]) as rig:
        (place,) = await places_of(rig, first(config_map("c", a="ours")))
        (one,) = place.objects
        assert one.action == "change"
        assert "of somebody else" in one.reason
        (labels,) = (field for field in one.fields if field.path == "metadata.labels")
        assert json.loads(labels.after) == {"emco/deployment-id": "(given when it is instantiated)"}


async def test_what_was_scaled_by_others_is_no_change(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, deployment("web"))
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            web = Ref(Kind("apps/v1", "Deployment"), "web", "default")
            await somebody.patch(web, {"spec": {"replicas": 3}}, subresource="scale")
        assert await plan(rig, second(deployment("web")), replaces="71") == {"Deployment/web": ("unchanged", [])}


async def test_what_was_changed_by_hand_is_compared_as_it_is_there(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await installed(rig, config_map("c", a="1"))
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.patch(Ref(Kind("v1", "ConfigMap"), "c", "default"), {"data": {"a": "by hand"}})
        assert await plan(rig, second(config_map("c", a="1")), replaces="71") == {"ConfigMap/c": ("change", ["data.a"])}


async def test_objects_whose_kind_comes_with_them_are_created(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        told = await plan(rig, first(CRD, WIDGET))
        assert told["Widget/w"] == told["CustomResourceDefinition/widgets.example.org"] == ("create", [])
        assert await plan(rig, first(WIDGET)) == {"Widget/w": ("unknown", [])}


async def test_an_app_that_leaves_a_cluster_is_deleted_there(tmp_path: Path, sim_clusters: list[SimCluster]) -> None:
    async with running(tmp_path, sim_clusters) as rig:
        await rig.install(context("71", {"a": {"edge": [config_map("c")], "cloud": [config_map("c")]}}))
        await rig.until_state("71", "Instantiated")
        places = await places_of(rig, second(config_map("c")), replaces="71")
        told = {place.cluster: [one.action for one in place.objects] for place in places}
        assert told == {"p+edge": ["unchanged"], "p+cloud": ["delete"]}


async def test_a_cluster_that_is_away_is_unknown_and_keeps_nobody_waiting(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    _, cloud = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        await cloud.stop()
        places = await places_of(rig, context("71", {"a": {"edge": [config_map("c")], "cloud": [config_map("c")]}}))
        told = {place.cluster: place for place in places}
        assert [one.action for one in told["p+edge"].objects] == ["create"]
        assert [one.action for one in told["p+cloud"].objects] == ["unknown"]
        assert told["p+cloud"].reason


async def test_a_plan_of_what_does_not_exist_is_refused(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        with pytest.raises(RsyncRefused):
            await places_of(rig, second(config_map("c")), replaces="71")
        client = RsyncClient(rig.deps.store, rig.deps.channels, timeout=5)
        with pytest.raises(EmcoError, match="empty"):
            [place async for place in client.plan("71", [], timeout=5)]
