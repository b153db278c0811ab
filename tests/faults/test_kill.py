"""The process is killed at any moment between instantiate and ready; after a restart nothing is lost or doubled."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from emco_simcluster import SimCluster
from tests.support.process import EmcoProcess
from tests.support.shop import Shop, objects_of

KILLS = 20
SPAN = 0.8
"""Seconds in which an undisturbed deployment becomes ready, with a margin."""


@pytest.fixture
async def emco(tmp_path: Path) -> AsyncIterator[EmcoProcess]:
    process = EmcoProcess(tmp_path / "data")
    await process.start()
    yield process
    await process.stop()


def expected(group: str) -> list[tuple[str, str]]:
    config = [("ConfigMap", f"{group}-config-{index}") for index in range(4)]
    return sorted([*config, ("Deployment", f"{group}-web"), ("Service", f"{group}-web")])


@pytest.mark.robustness(58)
async def test_killed_at_twenty_random_moments_every_object_is_there_exactly_once(
    emco: EmcoProcess, sim_clusters: tuple[SimCluster, SimCluster]
) -> None:
    randomness = random.Random(20261122)
    clusters = {cluster.name: cluster for cluster in sim_clusters}
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync)
        await shop.onboard({name: cluster.kubeconfig for name, cluster in clusters.items()})
        for index in range(KILLS):
            group = await shop.group(f"g{index}")
            moment = SPAN * (index + randomness.random()) / KILLS
            await _instantiate_and_kill(emco, client, group, moment)
            await emco.start()
            await _instantiate_if_the_kill_came_first(shop, group)
            await shop.ready(group)
            for cluster in clusters.values():
                assert objects_of(cluster.objects()) == expected(f"g{index}"), f"killed after {moment:.3f} s"
            await shop.post(f"{group}/terminate", expect=202)
            await shop.gone(group)
            assert [objects_of(cluster.objects()) for cluster in clusters.values()] == [[], []]


async def _instantiate_and_kill(emco: EmcoProcess, client: httpx.AsyncClient, group: str, moment: float) -> None:
    request = asyncio.create_task(client.post(f"{group}/instantiate"))
    await asyncio.sleep(moment)
    await emco.kill()
    await asyncio.gather(request, return_exceptions=True)


async def _instantiate_if_the_kill_came_first(shop: Shop, group: str) -> None:
    """A request that got no answer is repeated, as any client would; that it was done already is an answer too."""
    async with asyncio.timeout(20):
        while True:
            answer = await shop.client.post(f"{group}/instantiate")
            if answer.status_code == 202 or "already been instantiated" in answer.text:
                return
            assert "is busy" in answer.text, answer.text
            await asyncio.sleep(0.05)
