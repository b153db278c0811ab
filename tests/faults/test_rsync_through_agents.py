"""Clusters that rsync cannot reach: an agent, a process of its own, makes the calls. Cut, killed, away, back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_common.appcontext.status import ContextStatus
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_common.runtime import Service
from emco_simcluster import Rule, SimCluster
from tests.support.agents import DEADLINE, agent, agent_process, register, stranger
from tests.support.forwarder import forwarding
from tests.support.process import Command
from tests.support.program import free_ports
from tests.unit.rsync.rig import Rig, config_map, context, deployment, job, resources, running

CLUSTER = "p+edge"


def agents_port(rig: Rig) -> int:
    return rig.service.further[0].port


@asynccontextmanager
async def far(tmp_path: Path, cluster: SimCluster, **settings: Any) -> AsyncIterator[Rig]:
    """rsync, and a cluster of which it knows no more than its name. What is done there shows in ``rig.labelled``."""
    async with running(tmp_path, agents_port=0, **settings) as rig:
        rig.clusters = {cluster.name: cluster}
        await register(rig.deps, CLUSTER, users=[("retail", "retail-op")])
        yield rig


def beside(rig: Rig, cluster: SimCluster, folder: Path) -> AbstractAsyncContextManager[Service]:
    """An agent in the loop of the test."""
    return agent(CLUSTER, cluster.kubeconfig, folder, port=agents_port(rig))


def process(rig: Rig, cluster: SimCluster, folder: Path, **more: Any) -> Command:
    return agent_process(CLUSTER, cluster.kubeconfig, folder, port=agents_port(rig), **more)


def ready(status: ContextStatus) -> bool:
    return status.cluster("web", CLUSTER).ready is True


async def test_a_deployment_comes_is_changed_watched_and_goes(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with far(tmp_path, sim_cluster) as rig:
        (port,) = free_ports(1)
        one = process(rig, sim_cluster, tmp_path, http_port=port)
        await one.start()
        try:
            await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
            await rig.until_state("71", "Instantiated")
            await rig.until("71", ready)
            assert rig.labelled("edge") == ["ConfigMap/a", "Deployment/d"]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                assert (await http.get("/readyz")).status_code == 200

            changed = context(
                "72", {"web": {"edge": [config_map("b"), deployment("d", replicas=2)]}}, status_context="71"
            )
            await rig.update("71", changed)
            await rig.until_state("72", "Instantiated")
            assert rig.labelled("edge") == ["ConfigMap/b", "Deployment/d"]
            await rig.until("71", lambda status: 'availableReplicas":2' in str(status.cluster("web", CLUSTER).status))

            await rig.uninstall("72")
            await rig.until_state("72", "Terminated")
            assert rig.labelled("edge") == []
        finally:
            assert await one.end() == 0


async def test_which_agents_are_connected_and_how_many_were_refused_is_measured(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with far(tmp_path, sim_cluster) as rig, httpx.AsyncClient() as http:

        async def metrics() -> str:
            return (await http.get(f"http://127.0.0.1:{rig.service.http_port}/metrics")).text

        async with stranger(agents_port(rig)) as one:
            await one.hello(CLUSTER, "not the token")
        assert f'emco_rsync_agents_connected{{cluster="{CLUSTER}"}}' not in await metrics()
        async with stranger(agents_port(rig)) as one:
            await one.hello(CLUSTER)
            async with asyncio.timeout(DEADLINE):
                while f'emco_rsync_agents_connected{{cluster="{CLUSTER}"}} 1.0' not in await metrics():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        async with stranger(agents_port(rig)) as one:
            await one.hello("p+nowhere")
        counted = await metrics()
        assert 'emco_rsync_agents_denied_total{reason="token"} 1.0' in counted
        assert 'emco_rsync_agents_denied_total{reason="cluster"} 1.0' in counted


async def test_hooks_run_to_their_end(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with far(tmp_path, sim_cluster) as rig, beside(rig, sim_cluster, tmp_path):
        hooks = {"pre-install": resources(job("j", hook="pre-install"))}
        cluster = Cluster(CLUSTER, resources=resources(config_map("a")), hooks=hooks)
        await rig.install(AppContext("71", (App("web", (cluster,)),), Meta(namespace="default", level="0")))
        status = await rig.until_state("71", "Instantiated")
        assert status.resource("web", CLUSTER, "j+Job").success is True


async def test_without_an_agent_all_waits_and_says_why_and_goes_on_at_once_when_it_comes(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with far(tmp_path, sim_cluster) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
        await rig.until("71", lambda status: status.cluster("web", CLUSTER).connectivity == "Retrying")
        assert f"no agent of {CLUSTER} has connected since" in await rig.error("71", "web", CLUSTER)
        one = process(rig, sim_cluster, tmp_path)
        await one.start()
        try:
            await rig.until_state("71", "Instantiated")
            assert (await rig.status("71")).cluster("web", CLUSTER).connectivity == "Available"
            assert await rig.error("71", "web", CLUSTER) == ""
        finally:
            await one.end()
        await rig.until("71", lambda status: status.cluster("web", CLUSTER).connectivity == "Retrying")
        assert f"no agent of {CLUSTER} is connected since" in await rig.error("71", "web", CLUSTER)


async def test_an_agent_that_is_killed_in_mid_delivery_leaves_nothing_undone_and_nothing_done_otherwise(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.02))
    async with far(tmp_path, sim_cluster, cluster_connections=2) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map(f"c{n}") for n in range(40)]}}))
        one = process(rig, sim_cluster, tmp_path)
        await one.start()
        await _until_applied(rig, 5)
        await one.end(signal.SIGKILL)
        assert (await rig.status("71")).status == "Instantiating"
        async with beside(rig, sim_cluster, tmp_path):
            await rig.until_state("71", "Instantiated")
        assert len(rig.labelled("edge")) == 40
        assert {
            obj["data"]["a"] for obj in sim_cluster.objects("ConfigMap") if obj["metadata"]["name"].startswith("c")
        } == {"b"}


async def test_a_stream_that_is_cut_in_mid_delivery_is_taken_up_where_it_was(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", latency=0.02))
    async with (
        far(tmp_path, sim_cluster, cluster_connections=2) as rig,
        forwarding(agents_port(rig)) as way,
        agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=way.port),
    ):
        await rig.install(context("71", {"web": {"edge": [config_map(f"c{n}") for n in range(40)]}}))
        for number in (5, 15):
            await _until_applied(rig, number)
            way.cut()
        await rig.until_state("71", "Instantiated")
        assert len(rig.labelled("edge")) == 40
        assert way.accepted == 3
        assert all(_revised(sim_cluster, f"c{number}") == 1 for number in range(40))


async def test_a_stream_that_passes_nothing_on_any_more_is_noticed_at_both_ends(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SILENCE_SECONDS", 2.0), ("PING_SECONDS", 0.5)):
        monkeypatch.setattr(f"emco_rsync.delivery.carrying.{name}", seconds)
    monkeypatch.setattr("emco_rsync.delivery.reception.SILENCE_SECONDS", 2.0)
    async with (
        far(tmp_path, sim_cluster) as rig,
        forwarding(agents_port(rig)) as way,
        agent(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=way.port),
    ):
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", ready)
        way.silent = True
        await rig.until("71", lambda status: status.cluster("web", CLUSTER).connectivity == "Retrying")
        way.silent = False
        await rig.until("71", lambda status: status.cluster("web", CLUSTER).connectivity == "Available")
        assert way.accepted >= 2


async def test_what_changed_while_the_agent_was_away_is_seen_when_it_is_back(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with far(tmp_path, sim_cluster) as rig:
        async with beside(rig, sim_cluster, tmp_path):
            await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
            await rig.until("71", ready)
        await rig.until("71", lambda status: status.cluster("web", CLUSTER).connectivity == "Retrying")
        await _scale(sim_cluster, 3)
        async with beside(rig, sim_cluster, tmp_path):
            await rig.until("71", lambda status: '"replicas":3' in str(status.cluster("web", CLUSTER).status))


@pytest.mark.robustness(57)
async def test_a_terminate_while_the_agent_is_away_is_finished_at_its_return(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with far(tmp_path, sim_cluster) as rig:
        async with beside(rig, sim_cluster, tmp_path):
            await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
            await rig.until_state("71", "Instantiated")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminating")
        assert rig.labelled("edge") == ["ConfigMap/a"]
        async with beside(rig, sim_cluster, tmp_path):
            await rig.until_state("71", "Terminated")
            assert rig.labelled("edge") == []


async def test_rsync_that_starts_anew_goes_on_when_the_agent_has_found_it(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    (port,) = free_ports(1)
    one = agent_process(CLUSTER, sim_cluster.kubeconfig, tmp_path, port=port)
    await one.start()
    try:
        async with running(tmp_path, agents_port=port) as rig:
            await register(rig.deps, CLUSTER)
            await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
            await rig.until_state("71", "Instantiated")
        async with running(tmp_path, agents_port=port) as rig:
            await rig.uninstall("71")
            await rig.until_state("71", "Terminated")
        assert not [obj for obj in sim_cluster.objects("ConfigMap") if obj["metadata"]["name"] == "a"]
    finally:
        await one.end()


@pytest.mark.robustness(31)
async def test_a_logical_cloud_acts_as_its_user_and_never_as_the_agent(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with far(tmp_path, sim_cluster) as rig, beside(rig, sim_cluster, tmp_path):
        await register(rig.deps, CLUSTER, users=[("retail", "retail-op"), ("nameless", "")])
        space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: retail}"
        await rig.install(context("70", {"cloud": {"edge": [space]}}))
        await rig.until_state("70", "Instantiated")
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}, level="1", namespace="retail"))
        await rig.until_state("71", "Instantiated")
        assert rig.labelled("edge") == ["ConfigMap/a", "Namespace/retail"]
        await rig.install(context("72", {"web": {"edge": [config_map("b")]}}, level="1", namespace="nameless"))
        await rig.until("72", lambda status: status.cluster("web", CLUSTER).connectivity == "Retrying")
        assert "names no user to act as" in await rig.error("72", "web", CLUSTER)


def _revised(cluster: SimCluster, name: str) -> int:
    """How often the data of an object were written by whoever applied it: entries of our manager."""
    (found,) = (obj for obj in cluster.objects("ConfigMap") if obj["metadata"]["name"] == name)
    assert found["data"] == {"a": "b"}
    return sum(entry["manager"] == "emco-rsync" for entry in found["metadata"]["managedFields"])


async def _until_applied(rig: Rig, number: int) -> None:
    await rig.until("71", lambda status: sum(r.status == "Applied" for r in status.resources.values()) >= number)


async def _scale(cluster: SimCluster, replicas: int) -> None:
    async with KubeClient(parse_kubeconfig(cluster.kubeconfig)) as client:
        await client.patch(Ref(Kind("apps/v1", "Deployment"), "d", "default"), {"spec": {"replicas": replicas}})
