"""The process ends anywhere and another takes over: same final state, each object once (robustness 58, 64).

Ending in a process of its own with SIGKILL is tested over the whole suite; here the moments are many and exact.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from emco_common.appcontext import keys, values
from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_common.contextbus.api import Put
from emco_common.contextbus.embedded.bus import EmbeddedBus
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.events.queue import LIVE
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import CRD, WIDGET, Rig, config_map, context, deployment, job, resources, running

EXPECTED = ["ConfigMap/a", "ConfigMap/b", "CustomResourceDefinition/widgets.example.org", "Deployment/d", "Job/first"]


def everything(identity: str) -> AppContext:
    cluster = Cluster(
        "p+edge",
        resources=resources(config_map("a"), config_map("b"), deployment("d"), WIDGET),
        crds=resources(CRD),
        hooks={"pre-install": resources(job("first", hook="pre-install"))},
    )
    return AppContext(identity, (App("web", (cluster,)),), Meta(namespace="default", level="0"))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.robustness(58, 64)
async def test_a_run_that_is_cut_off_is_finished_by_the_next_process(
    tmp_path: Path, sim_cluster: SimCluster, seed: int
) -> None:
    chance = random.Random(seed)
    sim_cluster.faults.add(Rule(jitter=0.01))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(everything("71"))
        await asyncio.sleep(chance.random() * 0.25)
    for _ in range(2):
        async with running(tmp_path, [sim_cluster]) as rig:
            await asyncio.sleep(chance.random() * 0.15)
    async with running(tmp_path, [sim_cluster]) as rig:
        status = await rig.until_state("71", "Instantiated")
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert rig.labelled("edge") == [*EXPECTED, "Widget/w"]
        assert [o["metadata"]["generation"] for o in sim_cluster.objects("Deployment")] == [1]
        await rig.uninstall("71")
        await asyncio.sleep(chance.random() * 0.1)
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == ["CustomResourceDefinition/widgets.example.org"]
        await _until_gone(rig, keys.active("71"))
        await _until_gone(rig, f"{LIVE}71/")


async def _until_gone(rig: Rig, key: str) -> None:
    async with asyncio.timeout(10):
        while await rig.bus.get(key) is not None:  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.02)


@pytest.mark.robustness(58)
async def test_an_event_that_was_queued_by_a_process_that_died_is_found(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.contexts.write_new(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.contexts.write_new(context("66", {"web": {"edge": [config_map("b")]}}))
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    queue = b'{"AcQueue":[{"event":"Instantiate","status":"Pending"}]}'
    for identity in ("66", "71", "404"):
        await bus.transact([Put(keys.active(identity), values.encode(identity)), Put(keys.queue(identity), queue)])
    await bus.put(keys.app_order("66"), b"nonsense")
    await bus.close()
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.until_state("71", "Instantiated")
        found = await rig.bus.get(keys.status("66"))
        assert found is not None
        assert values.decode_state(found.key, found.value) == "InstantiateFailed"
        assert "app/instruction/order" in await rig.error("66")
        await _until_gone(rig, keys.active("404"))


@pytest.mark.robustness(58)
async def test_what_a_process_left_undone_after_its_last_result_is_tidied_up(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        await _until_gone(rig, f"{LIVE}71/")
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    await bus.transact([Put(key, values.encode("71")) for key in (keys.active("71"), f"{LIVE}71/")])
    await bus.close()
    async with running(tmp_path, [sim_cluster]) as rig:
        await _until_gone(rig, keys.active("71"))
        await _until_gone(rig, f"{LIVE}71/")


async def test_the_watch_goes_on_after_a_restart(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
        await somebody.delete(Ref(Kind("apps/v1", "Deployment"), "d", "default"))
    async with running(tmp_path, [sim_cluster]) as rig:
        status = await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is False)
        assert status.status == "Instantiated"
        assert sim_cluster.counts["apply", "deployments"] == 1


async def test_an_update_of_an_older_kind_is_skipped_and_the_queue_goes_on(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.contexts.write_new(context("71", {"web": {"edge": [config_map("a")]}}))
        queue = b'{"AcQueue":[{"event":"AddChildContext","status":"Pending"},{"event":"Nonsense","status":"Pending"}]}'
        await rig.bus.put(keys.queue("71"), queue)
        await rig.install("71")
        status = await rig.until_state("71", "Instantiated")
        assert [element.status for element in status.queue or ()] == ["Skip", "Skip", "Done"]


async def test_a_context_that_is_deleted_meanwhile_does_not_come_back(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.05))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
        await rig.contexts.delete("71")
        await _until_gone(rig, keys.active("71"))
        left = await rig.bus.range(keys.root("71"))
        assert [entry.key for entry in left.entries] == []
