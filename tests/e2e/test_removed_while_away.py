"""What is removed while its cluster is away: accepted, kept on record, finished on its return, or given up by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from emco_simcluster import Outage, SimCluster
from tests.support.shop import Shop, objects_of
from tests.support.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("away"), pytest.mark.robustness(57)]
CLUSTER = "/v2/cluster-providers/acme/clusters/edge"
CLOUDS = "/v2/projects/p/logical-clouds"
EVERYWHERE = {"allOf": [{"clusterProvider": "acme", "cluster": name} for name in ("hq", "edge")]}


@dataclass
class Sites:
    suite: RunningSuite
    shop: Shop
    hq: SimCluster
    edge: SimCluster

    @property
    def client(self) -> httpx.AsyncClient:
        return self.suite.client

    async def delete(self, path: str, *, expect: int) -> str:
        answer = await self.client.delete(path)
        assert answer.status_code == expect, f"{path}: {answer.text}"
        return answer.text

    async def deployed(self, name: str) -> str:
        g = await self.shop.group(name, intent=EVERYWHERE)
        await self.shop.post(f"{g}/instantiate", expect=202)
        await self.shop.ready(g)
        return g

    async def forget(self, g: str) -> None:
        place = f"{g}/generic-placement-intents/place"
        for item in (f"{place}/app-intents/web", f"{place}/app-intents/config", place, f"{g}/intents/i", g):
            await self.delete(item, expect=204)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    folder: Path = tmp_path_factory.mktemp("away")
    async with (
        SimCluster("hq", ready_after=0.02) as hq,
        SimCluster("edge", ready_after=0.02) as edge,
        running_suite(folder / "data", environment={"EMCO_RSYNC_MAX_BACKOFF": "0.5"}) as suite,
    ):
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard({"hq": hq.kubeconfig, "edge": edge.kubeconfig})
        yield Sites(suite, shop, hq, edge)


async def test_a_group_is_finished_with_when_its_cluster_returns_and_is_held_until_then(sites: Sites) -> None:
    shop = sites.shop
    g = await sites.deployed("back")
    sites.edge.faults.begin_outage(Outage.REFUSE)
    await shop.post(f"{g}/terminate", expect=202)
    status = await shop.until(f"{g}/status", lambda status: objects_of(sites.hq.objects()) == [])
    assert status["deployedStatus"] == "Terminating"
    await sites.delete(g, expect=409)
    assert "still terminating" in (await shop.post(f"{g}/instantiate", expect=409)).text

    sites.edge.faults.end_outage()
    await shop.gone(g)
    assert objects_of(sites.edge.objects()) == []
    await sites.forget(g)


async def test_an_installation_is_done_without_a_cluster_that_is_given_up_and_a_later_update_brings_it(
    sites: Sites,
) -> None:
    shop = sites.shop
    sites.edge.faults.begin_outage(Outage.REFUSE)
    g = await shop.group("late", intent=EVERYWHERE)
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.until(f"{g}/status", lambda status: len(objects_of(sites.hq.objects())) == 6)
    await shop.post(f"{g}/give-up?giveUp=acme%2Bedge", expect=202)
    status = await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Instantiated")
    assert status["states"]["actions"][-1]["reason"] == "gave up acme+edge"
    assert "given up" in (await sites.client.get(f"{g}/status", params={"status": "deployed"})).text
    assert (await shop.post(f"{g}/update?giveUp=acme%2Bedge", expect=202)).json() == 2
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Instantiated")
    assert objects_of(sites.edge.objects()) == []

    sites.edge.faults.end_outage()
    await shop.post(f"{g}/update", expect=202)
    await shop.ready(g)
    assert objects_of(sites.edge.objects()) == objects_of(sites.hq.objects())
    await shop.post(f"{g}/terminate", expect=202)
    await shop.gone(g)
    await sites.forget(g)


@pytest.mark.parametrize("returns", [True, False], ids=["returns", "is given up"])
async def test_a_logical_cloud_is_held_until_its_cluster_returns_or_is_given_up(sites: Sites, returns: bool) -> None:
    shop, cloud = sites.shop, f"{CLOUDS}/retail"
    user = {"userName": "op", "type": "certificate", "keyType": "ecdsa-p256"}
    spec: dict[str, Any] = {"level": "1", "namespace": "retail", "user": user}
    await shop.post(CLOUDS, {"metadata": {"name": "retail"}, "spec": spec})
    everything = {"namespace": "retail", "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    await shop.post(f"{cloud}/user-permissions", {"metadata": {"name": "main"}, "spec": everything})
    reference = {"metadata": {"name": "edge"}, "spec": {"clusterProvider": "acme", "cluster": "edge"}}
    await shop.post(f"{cloud}/cluster-references", reference)
    await shop.post(f"{cloud}/instantiate", expect=202)
    await shop.ready(cloud)

    sites.edge.faults.begin_outage(Outage.REFUSE)
    await shop.post(f"{cloud}/terminate", expect=202)
    await shop.until(f"{cloud}/status", lambda status: status.get("deployedStatus") == "Terminating")
    await sites.delete(cloud, expect=409)
    assert ("Namespace", "retail") in objects_of(sites.edge.objects())

    if returns:
        sites.edge.faults.end_outage()
        await shop.gone(cloud)
        assert objects_of(sites.edge.objects()) == []
    else:
        wrong = await shop.post(f"{cloud}/give-up?giveUp=acme%2Bhq", expect=400)
        assert wrong.text == "giveUp acme+hq: retail is not on this cluster; it is on acme+edge\n"
        await shop.post(f"{cloud}/give-up?giveUp=acme%2Bedge", expect=202)
        status = await shop.gone(cloud)
        assert status["states"]["actions"][-1]["reason"] == "gave up acme+edge"
        assert ("Namespace", "retail") in objects_of(sites.edge.objects())
        over = await shop.post(f"{cloud}/give-up?giveUp=acme%2Bedge", expect=409)
        assert over.text == "LogicalCloud is not instantiating or terminating: retail\n"
        sites.edge.faults.end_outage()
    for part in ("user-permissions/main", "cluster-references/edge"):
        await sites.delete(f"{cloud}/{part}", expect=204)
    await sites.delete(cloud, expect=204)


async def test_a_cluster_that_is_away_is_held_by_what_is_on_it_and_goes_when_that_is_given_up(sites: Sites) -> None:
    """The last test: the cluster does not come back."""
    shop = sites.shop
    g = await sites.deployed("lost")
    there = objects_of(sites.edge.objects())
    sites.edge.faults.begin_outage(Outage.REFUSE)
    await sites.delete(f"{CLUSTER}/labels/edge", expect=204)
    assert "in use by" in await sites.delete(CLUSTER, expect=409)
    await shop.post(f"{g}/terminate", expect=202)
    await shop.until(f"{g}/status", lambda status: objects_of(sites.hq.objects()) == [])
    assert "in use by" in await sites.delete(f"{CLUSTER}?force=true", expect=409)

    await shop.post(f"{g}/give-up?giveUp=acme%2Bedge", expect=202)
    await shop.gone(g)
    await sites.forget(g)
    await shop.post(f"{CLOUDS}/lc/terminate", expect=202)
    await shop.gone(f"{CLOUDS}/lc")
    await sites.delete(f"{CLOUDS}/lc/cluster-references/edge", expect=204)
    await sites.delete(CLUSTER, expect=204)
    assert objects_of(sites.edge.objects()) == there, "what was given up stays there"
