"""One sick cluster stays alone, is spared, and is told of (robustness 44, 45, 46, 66)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from emco_common.appcontext import keys
from emco_common.cloudconfig import Access, CloudConfigs
from emco_simcluster import Outage, Rule, SimCluster
from emco_simcluster.tls import User
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running

FULL = "etcdserver: mvcc: database space exceeded"


async def gauge(rig: Rig, name: str, cluster: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{rig.service.http_port}/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith(f'{name}{{cluster="{cluster}"'))
    return float(line.rpartition(" ")[2])


@pytest.mark.robustness(44)
@pytest.mark.parametrize("outage", [Outage.HANG, Outage.NONSENSE])
async def test_a_black_hole_among_eight_is_asked_by_one_probe_and_shown_while_the_others_finish(
    tmp_path: Path, make_sim_cluster: MakeSimCluster, outage: Outage
) -> None:
    clusters = [await make_sim_cluster(f"c{n}") for n in range(8)]
    manifests = [config_map(f"m{n}") for n in range(10)]
    async with running(tmp_path, clusters, cluster_timeout=0.3, probe_timeout=0.2, max_backoff=0.5) as rig:
        clusters[0].faults.begin_outage(outage)
        for number in range(2):
            apps = {"web": {cluster.name: [config_map(f"n{number}"), *manifests] for cluster in clusters}}
            await rig.install(context(f"7{number}", apps))
        for number in range(2):
            await rig.until(
                f"7{number}",
                lambda s: all(
                    s.resource("web", f"p+c{n}", f"m{m}+ConfigMap").status == "Applied"
                    for n in range(1, 8)
                    for m in range(10)
                ),
            )
        status = await rig.until("70", lambda s: "breaker: open since" in (s.cluster("web", "p+c0").reason or ""))
        assert status.cluster("web", "p+c0").connectivity == "Retrying"
        assert await gauge(rig, "emco_rsync_cluster_breaker", "p+c0") in (1.0, 2.0)
        assert await gauge(rig, "emco_rsync_cluster_breaker", "p+c1") == 0.0
        told = (await rig.bus.get(keys.cluster_reason("70", "web", "p+c0"))).mod_revision  # type: ignore[union-attr]
        await asyncio.sleep(1.0)
        again = (await rig.bus.get(keys.cluster_reason("70", "web", "p+c0"))).mod_revision  # type: ignore[union-attr]
        assert again == told  # however often it was tried meanwhile
        clusters[0].faults.end_outage()
        for number in range(2):
            await rig.until_state(f"7{number}", "Instantiated")
        assert len(rig.labelled("c0")) == 12
        assert await rig.error("70", "web", "p+c0") == ""
        assert await gauge(rig, "emco_rsync_cluster_breaker", "p+c0") == 0.0


@pytest.mark.robustness(45)
async def test_a_link_that_flaps_loses_and_delays_converges_with_bounded_requests(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge", seed=7)
    edge.faults.add(Rule(cut=True, share=0.3))
    edge.faults.add(Rule(latency=0.05))
    manifests = [config_map(f"c{n}") for n in range(30)]
    flips: list[str] = []
    async with running(tmp_path, [edge]) as rig:

        async def flap() -> None:
            for _ in range(3):
                await asyncio.sleep(0.4)
                edge.faults.begin_outage(Outage.REFUSE, seconds=0.3)
                await asyncio.sleep(0.3)

        async def watch() -> None:
            while True:
                state = (await rig.status("71")).cluster("web", "p+edge").connectivity
                if state and (not flips or flips[-1] != state):
                    flips.append(state)
                await asyncio.sleep(0.02)

        await rig.install(context("71", {"web": {"edge": manifests}}))
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            await flap()
            await rig.until_state("71", "Instantiated")
            watching.cancel()
        assert len(rig.labelled("edge")) == 30
        assert edge.counts["apply", "configmaps"] < 30 * 6
        assert len(flips) <= 3 * 2 + 3  # there and back with each outage, and not with each lost answer


@pytest.mark.robustness(66)
async def test_a_cluster_with_a_full_database_is_degraded_and_nothing_is_made_anew(
    tmp_path: Path, sim_clusters: list[SimCluster]
) -> None:
    edge, _ = sim_clusters
    async with running(tmp_path, sim_clusters) as rig:
        both = {"web": {"edge": [config_map("old")], "cloud": [config_map("old")]}}
        await rig.install(context("70", both))
        await rig.until_state("70", "Instantiated")
        for verb in ("apply", "create", "update", "patch", "delete"):
            edge.faults.add(Rule(verb=verb, status=500, reason="InternalError", message=FULL))
        many = [config_map("old", a="new"), *(config_map(f"c{n}") for n in range(12))]
        await rig.update("70", context("71", {"web": {"edge": many, "cloud": many}}, status_context="70"))
        await rig.until(
            "70",
            lambda s: (
                all(s.resource("web", "p+cloud", f"c{n}+ConfigMap").status == "Applied" for n in range(12))
                and FULL in (s.resource("web", "p+edge", "c3+ConfigMap").reason or "")
            ),
        )
        status = await rig.until("71", lambda s: "writes are held back" in (s.cluster("web", "p+edge").reason or ""))
        assert status.cluster("web", "p+edge").connectivity == "Available"
        assert FULL in (status.cluster("web", "p+edge").reason or "")
        assert (await rig.status("70")).resource("web", "p+edge", "c3+ConfigMap").status != "Applied"
        assert edge.counts["delete", "configmaps"] == edge.counts["create", "configmaps"] == 0
        before = edge.counts["apply", "configmaps"]
        await asyncio.sleep(1.0)
        assert edge.counts["apply", "configmaps"] - before < 12
        edge.faults.clear()
        await rig.until_state("71", "Instantiated")
        await rig.until("71", lambda s: (s.cluster("web", "p+edge").reason or "") == "")
        assert len(rig.labelled("edge")) == 13


@pytest.mark.robustness(46)
async def test_an_object_whose_call_never_ends_fails_alone_in_the_end(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", name="bad", hang=True))
    async with running(tmp_path, [sim_cluster], cluster_timeout=0.2, give_up_after=0.5) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("bad"), config_map("a"), deployment("d")]}}))
        status = await rig.until_state("71", "InstantiateFailed")
        assert status.resource("web", "p+edge", "bad+ConfigMap").status == "Failed"
        assert "no answer" in await rig.error("71", "web", "p+edge", "bad+ConfigMap")
        assert status.resource("web", "p+edge", "d+Deployment").status == "Applied"
        assert status.cluster("web", "p+edge").connectivity == "Available"


@pytest.mark.robustness(46)
async def test_a_cluster_that_asks_for_patience_is_not_asked_meanwhile(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="apply", status=429, retry_after=1, times=6))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map(f"c{n}") for n in range(40)]}}))
        await rig.until_state("71", "Instantiated")
        assert sim_cluster.counts["apply", "configmaps"] <= 40 + 6


@pytest.mark.robustness(24, 44)
async def test_credentials_of_one_user_are_no_affair_of_another(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        pair = sim_cluster.client(User("tenant", ("tenants",)))
        access = Access("p", "edge", "1", "default", kubeconfig=sim_cluster.kubeconfig_for(pair).encode())
        await CloudConfigs(rig.deps.store, rig.deps.sealer).put(access)
        sim_cluster.revoked.add("tenant")
        await rig.install(context("71", {"web": {"edge": [config_map("a")]}}, level="1"))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").connectivity == "Retrying")
        await rig.install(context("72", {"web": {"edge": [config_map("b")]}}))
        await rig.until_state("72", "Instantiated")
        assert await gauge(rig, "emco_rsync_cluster_breaker", "p+edge") == 0.0
        assert "Unauthorized" in await rig.error("71", "web", "p+edge")


@pytest.mark.robustness(46)
async def test_lists_too_wait_while_the_cluster_asks_for_patience(tmp_path: Path, sim_cluster: SimCluster) -> None:
    sim_cluster.faults.add(Rule(verb="list", status=429, retry_after=2, times=4))

    def lists() -> int:
        return sum(count for (verb, _), count in sim_cluster.counts.items() if verb == "list")

    async with running(tmp_path, [sim_cluster]) as rig:
        of_v1 = ("Secret", "ServiceAccount", "PodTemplate", "LimitRange", "ResourceQuota")
        many = [f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}" for kind in of_v1]
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d"), *many]}}))
        await rig.until("71", lambda s: lists() >= 2)
        await asyncio.sleep(1.0)
        assert lists() <= 4  # reads go four at a time: what was on its way, and nothing after it
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
