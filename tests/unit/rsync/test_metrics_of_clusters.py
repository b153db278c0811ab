"""What rsync shows of clusters: a fixed number of series for each that is in use, and none for one that is not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emco_common.appcontext.states import Connectivity
from emco_common.kube.descriptors import descriptors_of_process
from emco_rsync.events.sharing import Load
from emco_rsync.measures import Outstanding, Tally
from emco_rsync.metrics import Metrics
from emco_rsync.reach.breaker import BreakerState
from emco_rsync.reach.links import Reached
from emco_rsync.reach.ways import Identity
from emco_simcluster import Outage
from tests.support.simcluster import MakeSimCluster
from tests.unit.rsync.rig import Rig, config_map, context, running

SERIES = 10
"""For each cluster, whatever its users and deployments: two of them are of one summary."""
OF_TEXT = 90
"""Bytes of a line, about."""


class Clusters:
    """Stands for what asks thousands of clusters."""

    late = 0.0
    present, owned, leases_lost = True, 3, 0

    def __init__(self, names: list[str], *, users: int = 1) -> None:
        self.names = names
        self._users = users
        self._tally = Tally()
        self._tally.wrote(0.25)

    def states(self) -> list[tuple[Identity, Connectivity]]:
        return [
            (Identity(name, str(user), "default"), Connectivity.AVAILABLE)
            for name in self.names
            for user in range(self._users)
        ]

    def reached(self) -> Iterator[Reached]:
        for name in self.names:
            yield Reached(name, True, BreakerState.CLOSED, self._tally, 1_900_000_000.0)

    def watched(self) -> list[tuple[str, float]]:
        return [(name, 0.0) for name in self.names]

    def drifted(self) -> list[tuple[str, int]]:
        return [(name, 0) for name in self.names]

    def load(self) -> Load:
        return Load()


async def shown(clusters: Clusters, metrics: Metrics, registry: CollectorRegistry) -> list[str]:
    await metrics.refresh()
    return (await asyncio.to_thread(generate_latest, registry)).decode().splitlines()


@pytest.mark.parametrize("users", [1, 5])
async def test_a_thousand_clusters_have_ten_series_each(users: int) -> None:
    registry = CollectorRegistry()
    clusters = Clusters([f"provider+cluster-{number}" for number in range(1_000)], users=users)
    metrics = Metrics(registry, descriptors=descriptors_of_process())
    metrics.shows(reach=clusters, watched=clusters, lease=clusters, shared=clusters)
    metrics.hosts(lambda: clusters.names)
    lines = await shown(clusters, metrics, registry)
    of_one = [line for line in lines if 'cluster="provider+cluster-7"' in line]
    assert len(of_one) == SERIES
    assert len([line for line in lines if "cluster=" in line]) == 1_000 * SERIES
    assert sum(map(len, lines)) < 1_000 * SERIES * OF_TEXT + 20_000

    clusters.names = []
    assert not [line for line in await shown(clusters, metrics, registry) if "cluster=" in line]


def test_what_is_outstanding_is_counted_once_and_let_go_at_the_end() -> None:
    tally = Tally()
    web, other = Outstanding(tally), Outstanding(tally)
    web.add(["a", "b", "c"])
    web.add(["c", "d"])
    other.add(["a"])
    assert tally.waiting == 5
    web.settle("a")
    web.settle("a")
    web.settle("not one of them")
    assert tally.waiting == 4
    web.end()
    web.end()
    assert tally.waiting == 1


async def _of(rig: Rig, cluster: str) -> dict[str, float]:
    """The value of each series of the cluster."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{rig.service.http_port}/metrics")).text
    found = [line.rsplit(" ", 1) for line in text.splitlines() if f'cluster="{cluster}"' in line]
    assert max(Counter(name for name, _ in found).values(), default=0) <= 1
    return {name.partition("{")[0]: float(value) for name, value in found}


async def _until(rig: Rig, cluster: str, name: str, wanted: float | None) -> dict[str, float]:
    async with asyncio.timeout(20):
        while (found := await _of(rig, cluster)).get(name) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def test_a_cluster_is_shown_while_something_is_done_there(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge")
    async with running(tmp_path, [edge]) as rig:
        assert await _of(rig, "p+edge") == {}
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("b")]}}))
        await rig.until_state("71", "Instantiated")
        found = await _of(rig, "p+edge")
        assert found["emco_rsync_cluster_available"] == 1
        assert found["emco_rsync_cluster_objects_waiting"] == 0
        assert found["emco_rsync_cluster_write_seconds_count"] >= 2
        assert found["emco_rsync_cluster_last_write_seconds"] > 0
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")
        await _until(rig, "p+edge", "emco_rsync_cluster_available", None)
        assert await _of(rig, "p+edge") == {}


async def test_what_waits_for_a_cluster_that_is_away_is_counted(
    tmp_path: Path, make_sim_cluster: MakeSimCluster
) -> None:
    edge = await make_sim_cluster("edge")
    async with running(tmp_path, [edge]) as rig:
        edge.faults.begin_outage(Outage.REFUSE)
        await rig.install(context("71", {"web": {"edge": [config_map("a"), config_map("b"), config_map("c")]}}))
        found = await _until(rig, "p+edge", "emco_rsync_cluster_objects_waiting", 3.0)
        assert found["emco_rsync_cluster_available"] == 0
        edge.faults.end_outage()
        await rig.until_state("71", "Instantiated")
        found = await _until(rig, "p+edge", "emco_rsync_cluster_watch_late_seconds", 0.0)
        assert found["emco_rsync_cluster_objects_waiting"] == 0
