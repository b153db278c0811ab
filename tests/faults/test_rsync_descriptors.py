"""Far more clusters than connections that may be open: all are delivered to and watched in turns (robustness 62)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_common.kube.descriptors import Descriptors, Lease
from emco_simcluster import SimCluster, SimFleet
from tests.unit.rsync.rig import Rig, context, deployment, running

CLUSTERS = 42
DESCRIPTORS = 14
LASTING = 4
"""Few, so that there is room for the others to be asked in turns of a second."""


class Peak(Descriptors):
    """Remembers how many were taken at a time."""

    most = 0

    async def take(self) -> Lease:
        lease = await super().take()
        self.most = max(self.most, self.taken)
        return lease


async def connections(rig: Rig) -> dict[str, float]:
    """By the last word of the gauge's name."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{rig.service.http_port}/metrics")).text
    lines = [line.split(" ") for line in text.splitlines() if line.startswith("emco_rsync_connections_")]
    return {name.removeprefix("emco_rsync_connections_"): float(value) for name, value in lines}


async def delete(cluster: SimCluster) -> None:
    async with KubeClient(parse_kubeconfig(cluster.kubeconfig)) as somebody:
        await somebody.delete(Ref(Kind("apps/v1", "Deployment"), "d", "default"))


@pytest.mark.robustness(62)
async def test_three_times_as_many_clusters_as_descriptors_are_delivered_to_and_watched_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emco_rsync.watch.cluster.POLL_SECONDS", 3.0)
    names = [f"c{n}" for n in range(CLUSTERS)]
    descriptors = Peak(DESCRIPTORS, lasting=LASTING)
    async with (
        SimFleet(names, ready_after=0.02) as fleet,
        running(tmp_path, fleet.clusters, descriptors=descriptors, cluster_timeout=30.0, probe_timeout=30.0) as rig,
    ):
        await rig.install(context("71", {"web": {name: [deployment("d")] for name in names}}))
        await rig.until_state("71", "Instantiated")
        assert all(rig.labelled(name) == ["Deployment/d"] for name in names)
        await rig.until("71", lambda s: all(s.cluster("web", f"p+{name}").ready for name in names))
        told = await connections(rig)
        assert told["limit"] == DESCRIPTORS
        assert 0 < told["open"] <= DESCRIPTORS
        assert told["lasting"] == LASTING
        for cluster in fleet.clusters[::21]:
            await delete(cluster)
        for name in names[::21]:
            await rig.until("71", lambda s, name=name: s.cluster("web", f"p+{name}").ready is False)  # type: ignore[misc]
        status = await rig.status("71")
        assert {status.cluster("web", f"p+{name}").connectivity for name in names} == {"Available"}
        assert descriptors.most == DESCRIPTORS
