from __future__ import annotations

from pathlib import Path

import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_common.kube.descriptors import Descriptors
from emco_simcluster import Rule, SimCluster
from tests.unit.rsync.rig import context, deployment, running


async def test_an_answer_that_comes_after_the_news_is_not_taken_for_news(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    """The cluster answers the apply so slowly that the watch has long seen what became of it."""
    sim_cluster.faults.add(Rule(verb="apply", resource="deployments", bytes_per_second=1_200))
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until_state("71", "Instantiated")
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)


@pytest.mark.parametrize("lasting", [0, 512])
async def test_news_that_a_stream_has_lost_are_found_by_looking_again(
    tmp_path: Path, sim_cluster: SimCluster, lasting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emco_rsync.watch.cluster.POLL_SECONDS", 0.2)
    sim_cluster.faults.add(Rule(verb="watch", mute=True))
    ref = Ref(Kind("apps/v1", "Deployment"), "d", "default")
    async with running(
        tmp_path, [sim_cluster], watch_resync=0.2, descriptors=Descriptors(1024, lasting=lasting)
    ) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)
        async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await somebody.delete(ref)
        nothing = '{"ready":false,"resourceCount":0}'
        await rig.until("71", lambda status: status.cluster("web", "p+edge").status == nothing)
        assert (await rig.status("71")).cluster("web", "p+edge").ready is False
