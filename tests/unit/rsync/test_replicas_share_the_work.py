"""Two or three replicas over one bus: who takes what, what is told at whichever of them, and what moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emco_common.appcontext import keys, values
from emco_common.contextbus.api import Put
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_common.rpc import readynotify_pb2, readynotify_pb2_grpc
from emco_common.runtime import Deps
from emco_rsync.app import create_service
from emco_rsync.events.ownership import OWNERS, REPLICAS
from emco_rsync.events.queue import LIVE
from emco_rsync.settings import RsyncSettings
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running


@asynccontextmanager
async def another(rig: Rig) -> AsyncIterator[Rig]:
    """A further replica over the same store and bus."""
    deps = Deps(rig.deps.store, rig.bus, rig.deps.sealer, rig.deps.channels)
    settings = RsyncSettings(cluster_timeout=2.0, probe_timeout=1.0, http_port=0, grpc_port=0)
    service = create_service(settings, deps)
    before = len((await rig.bus.range(REPLICAS)).entries)
    await service.start()
    try:
        async with asyncio.timeout(10):
            while len((await rig.bus.range(REPLICAS)).entries) <= before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield Rig(service, deps, rig.bus, rig.clusters)
    finally:
        await service.stop()


async def owners(rig: Rig) -> dict[str, str]:
    """Replicas by the status context that each owns."""
    found = await rig.bus.range(OWNERS)
    return {entry.key.removeprefix(OWNERS).strip("/"): entry.value.decode() for entry in found.entries}


async def until_owned(rig: Rig, name: str, *, by: str = "", not_by: str = "") -> str:
    async with asyncio.timeout(15):
        while True:
            owner = (await owners(rig)).get(name, "")
            if owner and owner != not_by and by in ("", owner):
                return owner
            await asyncio.sleep(0.01)


async def until_gone(rig: Rig, key: str) -> None:
    async with asyncio.timeout(15):
        while await rig.bus.get(key) is not None:  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.01)


async def address_of(rig: Rig, replica: str) -> int:
    entry = await rig.bus.get(f"{REPLICAS}{replica}/")
    assert entry is not None
    found = values.decode_object(entry.key, entry.value)
    return int(str(found["address"]).rpartition(":")[2])


async def owner_and_other(rig: Rig, second: Rig, name: str) -> tuple[Rig, Rig]:
    port = await address_of(rig, await until_owned(rig, name))
    return (rig, second) if rig.service.grpc_port == port else (second, rig)


async def test_deployments_are_divided_and_a_finished_one_is_nobody_s(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, another(rig):
        for number in range(24):
            await rig.install(context(str(number), {"web": {"edge": [config_map(f"c{number}")]}}))
        for number in range(24):
            await rig.until_state(str(number), "Instantiated")
        division = Counter((await owners(rig)).values())
        assert len(division) == 2
        assert sum(division.values()) == 24
        await rig.uninstall("3")
        await rig.until_state("3", "Terminated")
        await until_gone(rig, f"{OWNERS}3/")


async def test_what_is_asked_of_another_replica_is_done_by_the_owner(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", resource="deployments", status=429, retry_after=1))
    async with running(tmp_path, [sim_cluster]) as rig, another(rig) as second:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
        await rig.until("71", lambda s: s.resource("web", "p+edge", "a+ConfigMap").status == "Applied")
        _, other = await owner_and_other(rig, second, "71")
        await other.uninstall("71")
        status = await rig.until_state("71", "Terminated")
        assert [element.status for element in status.queue or ()] == ["Error", "Done"]
        assert rig.labelled("edge") == []


async def test_an_update_asked_of_another_replica_cuts_short_what_it_replaces(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", resource="deployments", status=429, retry_after=1))
    async with running(tmp_path, [sim_cluster]) as rig, another(rig) as second:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
        await rig.until("71", lambda s: s.resource("web", "p+edge", "a+ConfigMap").status == "Applied")
        _, other = await owner_and_other(rig, second, "71")
        await other.update("71", context("72", {"web": {"edge": [config_map("b")]}}, status_context="71"))
        await rig.until_state("72", "Instantiated")
        await rig.until_state("71", "Updated")
        assert rig.labelled("edge") == ["ConfigMap/b"]
        assert set(await owners(rig)) == {"71"}


async def test_news_are_told_at_the_replica_that_does_not_own(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig, another(rig) as second:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
        _, other = await owner_and_other(rig, second, "71")
        channel = await rig.deps.channels.ready("127.0.0.1", other.service.grpc_port)
        topic = readynotify_pb2.Topic(clientName="dcm", appContext="71")
        news = readynotify_pb2_grpc.readyNotifyStub(channel).Alert(topic)
        async with asyncio.timeout(10), KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await news.initial_metadata()
            ref = Ref(Kind("apps/v1", "Deployment"), "d", "default")
            await somebody.patch(ref, {"metadata": {"annotations": {"who": "somebody"}}})
            one = await news.read()
        news.cancel()
        assert (one.appContext, one.app, one.cluster) == ("71", "web", "p+edge")


async def test_a_replica_that_joins_gets_its_share_and_watches_over_it(tmp_path: Path, sim_cluster: SimCluster) -> None:
    names = [str(number) for number in range(12)]
    async with running(tmp_path, [sim_cluster]) as rig:
        for name in names:
            await rig.install(context(name, {"web": {"edge": [deployment(f"d{name}")]}}))
        for name in names:
            await rig.until(name, lambda s: s.cluster("web", "p+edge").ready is True)
        former = next(iter((await owners(rig)).values()))
        async with another(rig):
            (new,) = {
                entry.key.removeprefix(REPLICAS).strip("/") for entry in (await rig.bus.range(REPLICAS)).entries
            } - {former}
            async with asyncio.timeout(15):
                while not (  # noqa: ASYNC110 - the test looks from outside
                    moved := [name for name, owner in (await owners(rig)).items() if owner == new]
                ):
                    await asyncio.sleep(0.01)
            async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
                await somebody.delete(Ref(Kind("apps/v1", "Deployment"), f"d{moved[0]}", "default"))
            await rig.until(moved[0], lambda s: s.cluster("web", "p+edge").ready is False)
        for name in moved:
            await until_owned(rig, name, by=former)
        assert sum(sim_cluster.counts[verb, "deployments"] for verb in ("apply", "create")) == len(names)


@pytest.mark.robustness(64)
async def test_a_replica_that_is_stopped_leaves_its_work_to_the_other_at_the_stage_it_was_in(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        async with another(rig) as second:
            sim_cluster.faults.add(Rule(verb="apply", resource="deployments", status=429, retry_after=1))
            for number in range(8):
                manifests = [config_map(f"c{number}"), deployment(f"d{number}")]
                await rig.install(context(str(number), {"web": {"edge": manifests}}))
            for number in range(8):
                place = ("web", "p+edge", f"c{number}+ConfigMap")
                await rig.until(str(number), lambda s, place=place: s.resource(*place).status == "Applied")
            port = second.service.grpc_port
        left = [replica for replica in set((await owners(rig)).values()) if await address_of(rig, replica) == port]
        assert left == []
        sim_cluster.faults.clear()
        for number in range(8):
            status = await rig.until_state(str(number), "Instantiated")
            assert [element.status for element in status.queue or ()] == ["Done"]
        assert {o["metadata"]["generation"] for o in sim_cluster.objects("Deployment")} == {1}


@pytest.mark.robustness(59)
async def test_an_owner_that_is_refused_ends_silently_and_begins_anew_when_it_may(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", resource="deployments", status=429, retry_after=1))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
        await rig.until("71", lambda s: s.resource("web", "p+edge", "a+ConfigMap").status == "Applied")
        await rig.bus.put(f"{OWNERS}71/", b"somebody else")
        await rig.uninstall("71")  # the owner has something to write now
        await asyncio.sleep(0.3)
        status = await rig.status("71")
        assert [element.status for element in status.queue or ()] == ["Pending", "Pending"]
        assert status.status == "Instantiating"
        await rig.bus.delete(f"{OWNERS}71/")
        await rig.until_state("71", "Terminated")
        assert rig.labelled("edge") == []


@pytest.mark.robustness(41)
async def test_a_context_that_makes_no_sense_is_put_aside_at_each_start_and_harms_nobody(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.contexts.write_new(context("66", {"web": {"edge": [config_map("b")]}}))
        await rig.bus.transact(
            [
                Put(keys.queue("66"), b"nonsense"),
                Put(keys.active("66"), values.encode("66")),
                Put(f"{LIVE}66/", values.encode("66")),
            ]
        )
    for former, later in (("71", "72"), ("72", "73")):
        async with running(tmp_path, [sim_cluster]) as rig:
            await until_owned(rig, "66")
            await rig.update(former, context(later, {"web": {"edge": [config_map(f"c{later}")]}}, status_context="71"))
            await rig.until_state(later, "Instantiated")
            assert rig.labelled("edge") == [f"ConfigMap/c{later}"]


@pytest.mark.parametrize("count", [150])
async def test_many_contexts_are_taken_up_at_a_start(tmp_path: Path, sim_cluster: SimCluster, count: int) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        for number in range(count):
            await rig.install(context(str(number), {"web": {"edge": [config_map(f"c{number}")]}}))
        for number in range(count):
            await rig.until_state(str(number), "Instantiated")
    sent = sim_cluster.counts["apply", "configmaps"]
    async with running(tmp_path, [sim_cluster]) as rig:
        async with asyncio.timeout(20):
            while len(await owners(rig)) < count:  # noqa: ASYNC110 - the test looks from outside
                await asyncio.sleep(0.02)
        await rig.uninstall("7")
        await rig.until_state("7", "Terminated")
    assert sim_cluster.counts["apply", "configmaps"] == sent
