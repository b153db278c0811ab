"""A rollback needs nothing of what its revision was made from: charts and profiles may be others, or gone (R 56)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from emco_simcluster import SimCluster
from tests.support.charts import chart, profile
from tests.support.shop import Shop, objects_of
from tests.support.suite import running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("back"), pytest.mark.robustness(56)]
BASE = "/v2/projects/p/composite-apps/shop/v1"
PROFILES = f"{BASE}/composite-profiles/prod/profiles"
OTHER = """apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data: {colour: {{ .Values.colour }}}
"""
FIRST = [
    *(("ConfigMap", f"{{}}-config-{number}") for number in range(4)),
    ("Deployment", "{}-web"),
    ("Service", "{}-web"),
]


class Site:
    """One cluster, and the application on it."""

    def __init__(self, client: httpx.AsyncClient, shop: Shop, cluster: SimCluster) -> None:
        self.client = client
        self.shop = shop
        self.cluster = cluster

    def there(self) -> list[tuple[str, str]]:
        return objects_of(self.cluster.objects())

    def colours(self) -> set[str]:
        return {item["data"]["colour"] for item in self.cluster.objects() if "colour" in item.get("data", {})}

    async def deployed(self, name: str) -> str:
        g = await self.shop.group(name)
        await self.shop.post(f"{g}/instantiate", expect=202)
        await self.shop.ready(g)
        assert self.there() == self.first(name)
        return g

    @staticmethod
    def first(name: str) -> list[tuple[str, str]]:
        return sorted((kind, text.format(name)) for kind, text in FIRST)

    async def put(self, path: str, name: str, file: bytes, **spec: Any) -> None:
        body = json.dumps({"metadata": {"name": name}} | ({"spec": spec} if spec else {}))
        answer = await self.client.put(f"{path}/{name}", data={"metadata": body}, files={"file": ("file", file)})
        assert answer.status_code == 200, answer.text

    async def delete(self, path: str, *, expect: int = 204) -> None:
        answer = await self.client.delete(path)
        assert answer.status_code == expect, f"{path}: {answer.status_code} {answer.text}"

    async def update(self, g: str) -> None:
        await self.shop.post(f"{g}/update", expect=202)
        await self.shop.ready(g)

    async def back(self, g: str, revision: int) -> None:
        await self.shop.post(f"{g}/rollback", {"spec": {"revision": str(revision)}}, expect=202)
        await self.shop.ready(g)

    async def removed(self, g: str) -> None:
        await self.shop.post(f"{g}/terminate", expect=202)
        await self.shop.gone(g)
        assert self.there() == []


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with SimCluster("hq", ready_after=0.02) as hq, running_suite(tmp_path / "data") as suite:
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard({"hq": hq.kubeconfig})
        yield Site(suite.client, shop, hq)


async def test_after_chart_and_profile_were_replaced_it_brings_what_the_first_ones_made(site: Site) -> None:
    g = await site.deployed("replaced")
    await site.put(f"{BASE}/apps", "config", chart("config", {"all.yaml": OTHER}, "colour: blue\n"))
    await site.update(g)
    assert (("ConfigMap", "other") in site.there(), site.colours()) == (True, {"blue"})
    await site.put(PROFILES, "config-prod", profile(values="colour: green\n"), app="config")
    await site.update(g)
    assert site.colours() == {"green"}
    await site.put(f"{BASE}/apps", "config", chart("config", {"all.yaml": '{{ fail "of no use" }}'}))
    assert (await site.client.post(f"{g}/update")).status_code >= 400

    await site.back(g, 1)
    assert (site.there(), site.colours()) == (site.first("replaced"), {"red"})
    await site.back(g, 2)
    assert site.colours() == {"blue"}
    await site.removed(g)


async def test_after_an_app_its_profile_and_its_placement_were_deleted_it_brings_the_app_again(site: Site) -> None:
    g = await site.deployed("deleted")
    await site.delete(f"{g}/generic-placement-intents/place/app-intents/config")
    await site.delete(f"{PROFILES}/config-prod")
    await site.delete(f"{BASE}/apps/config")
    assert (await site.client.get(f"{BASE}/apps/config")).status_code == 404
    await site.update(g)
    assert site.there() == [("Deployment", "deleted-web"), ("Service", "deleted-web")]

    await site.back(g, 1)
    assert (site.there(), site.colours()) == (site.first("deleted"), {"red"})
    revisions = (await site.client.get(f"{g}/revisions")).json()
    assert [[app["name"] for app in revision["apps"]] for revision in revisions] == [
        ["web", "config"],
        ["web"],
        ["web", "config"],
    ]
    await site.removed(g)


async def test_after_everything_that_nothing_refers_to_was_deleted_it_still_works(site: Site) -> None:
    """Nothing is left of the version but its name, the group, and the profile that the group names."""
    g = await site.deployed("bare")
    await site.put(f"{BASE}/apps", "web", chart("web", {"all.yaml": OTHER}, "colour: blue\n"))
    await site.update(g)
    for app in ("web", "config"):
        await site.delete(f"{g}/generic-placement-intents/place/app-intents/{app}")
        await site.delete(f"{PROFILES}/{app}-prod")
        await site.delete(f"{BASE}/apps/{app}")
    await site.delete(f"{g}/intents/i")
    await site.delete(f"{g}/generic-placement-intents/place")
    await site.delete(f"{BASE}/composite-profiles/prod", expect=409)
    await site.delete(BASE, expect=409)
    assert (await site.client.post(f"{g}/update")).status_code in (404, 409)

    await site.back(g, 1)
    assert (site.there(), site.colours()) == (site.first("bare"), {"red"})
    await site.removed(g)
