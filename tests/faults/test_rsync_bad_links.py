"""What lies between rsync and a cluster is slow, loses, stalls and breaks (robustness 45).

The bytes go through a proxy of ours, since few kernels that tests run on can be told to lose packets: a segment that is
lost comes later and holds up what follows it, which is what TCP makes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emco_simcluster import SimCluster
from tests.support.forwarder import Forwarder, forwarding
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running

OBJECTS = 30
PLACE = ("web", "p+edge")


class Behind:
    """A cluster whose kubeconfig leads to it by way of a forwarder."""

    def __init__(self, cluster: SimCluster, way: Forwarder) -> None:
        self.name = cluster.name
        self.kubeconfig = cluster.kubeconfig.replace(f":{_port(cluster)}", f":{way.port}")
        self.objects = cluster.objects


def _port(cluster: SimCluster) -> int:
    return int(cluster.url.rpartition(":")[2])


@asynccontextmanager
async def reached(folder: Path, cluster: SimCluster, **settings: Any) -> AsyncIterator[tuple[Rig, Forwarder]]:
    async with forwarding(_port(cluster)) as way, running(folder, [Behind(cluster, way)], **settings) as rig:
        yield rig, way


@asynccontextmanager
async def flips(rig: Rig) -> AsyncIterator[list[str]]:
    """The states that the cluster is told to be in, as they follow each other."""
    seen: list[str] = []

    async def watch() -> None:
        while True:
            state = (await rig.status("71")).cluster(*PLACE).connectivity
            if state and seen[-1:] != [state]:
                seen.append(state)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()


async def install(rig: Rig) -> None:
    await rig.install(
        context("71", {"web": {"edge": [*(config_map(f"c{n}") for n in range(OBJECTS)), deployment("d")]}})
    )


@pytest.mark.robustness(45)
async def test_half_a_second_each_way_delays_and_changes_nothing_else(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with reached(tmp_path, sim_cluster, cluster_timeout=15.0, probe_timeout=5.0) as (rig, way):
        way.delay = 0.5
        await install(rig)
        async with flips(rig) as seen:
            await rig.until_state("71", "Instantiated")
            await rig.until("71", lambda s: s.cluster(*PLACE).ready is True)
        assert sim_cluster.counts["apply", "configmaps"] == OBJECTS
        assert set(seen) <= {"Unknown", "Available"}
        assert way.accepted <= 3


@pytest.mark.robustness(45)
async def test_a_way_that_flaps_loses_and_stalls_converges_with_bounded_requests_and_without_flicker(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    flaps = 3
    async with reached(tmp_path, sim_cluster, cluster_timeout=1.5, max_backoff=0.5) as (rig, way):
        way.delay, way.lost = 0.05, 0.3
        await install(rig)
        async with flips(rig) as seen:
            for _ in range(flaps):
                await asyncio.sleep(0.5)
                way.down = True
                way.cut()
                await asyncio.sleep(0.5)
                way.down = False
            way.silent = True
            await asyncio.sleep(1.0)
            way.silent = False
            await rig.until_state("71", "Instantiated")
            await rig.until("71", lambda s: s.cluster(*PLACE).ready is True)
        assert len(rig.labelled("edge", "ConfigMap")) == OBJECTS
        assert sim_cluster.counts["apply", "configmaps"] <= OBJECTS + (flaps + 1) * 8 * 3
        assert len(seen) <= 2 * (flaps + 1) + 2  # there and back with each outage, and not with each lost answer
        assert way.accepted <= 20 * (flaps + 1)
