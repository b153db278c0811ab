"""Update, rollback, migrate and stop through the whole suite, down to what is on (simulated) clusters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from emco_common.appcontext import AppContextStore
from emco_simcluster import SimCluster
from emco_simcluster.faults import Outage, Rule
from tests.support.charts import chart, profile
from tests.support.shop import CONFIG, WEB, Shop, objects_of
from tests.support.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("update")]
BASE = "/v2/projects/p/composite-apps/shop"
HQ = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
BOTH = {"allOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]}
JOB = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-extra
data: {colour: {{ .Values.colour }}}
"""


def whole(release: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    configs = [("ConfigMap", f"{release}-config-{index}") for index in range(4)]
    return sorted([*configs, ("Deployment", f"{release}-web"), ("Service", f"{release}-web"), *more])


class Sites:
    """The clusters by name and the shop that is onboarded on both."""

    def __init__(self, suite: RunningSuite, shop: Shop, clusters: dict[str, SimCluster]) -> None:
        self.suite = suite
        self.shop = shop
        self.clusters = clusters

    def on(self, cluster: str) -> list[tuple[str, str]]:
        return objects_of(self.clusters[cluster].objects())

    def colours(self, cluster: str) -> set[str]:
        """Of the configuration that is there."""
        objects = self.clusters[cluster].objects()
        return {item["data"]["colour"] for item in objects if "colour" in item.get("data", {})}

    async def put_chart(self, app: str, templates: dict[str, str], *, values: str = "colour: red\n") -> None:
        packed = chart(app, templates, values)
        form: dict[str, Any] = {"data": {"metadata": f'{{"metadata":{{"name":"{app}"}}}}'}, "files": {"file": packed}}
        answer = await self.shop.client.put(f"{BASE}/v1/apps/{app}", **form)
        assert answer.status_code == 200, answer.text

    async def place(self, path: str, app: str, rule: Any) -> None:
        body = {"metadata": {"name": app}, "spec": {"app": app, "intent": rule}}
        intents = f"{path}/generic-placement-intents/place/app-intents/{app}"
        assert (await self.shop.client.put(intents, json=body)).status_code == 200

    async def update(self, path: str) -> int:
        revision: int = (await self.shop.post(f"{path}/update", expect=202)).json()
        await self.shop.ready(path)
        return revision

    async def remove(self, path: str, *, terminate: bool = True) -> None:
        if terminate:
            await self.shop.post(f"{path}/terminate", expect=202)
            await self.shop.gone(path)
        place = f"{path}/generic-placement-intents/place"
        for item in (f"{place}/app-intents/web", f"{place}/app-intents/config", place, f"{path}/intents/i", path):
            assert (await self.shop.client.delete(item)).status_code == 204, item

    async def contexts(self) -> tuple[str, ...]:
        found = await AppContextStore(self.suite.suite.deps.bus).ids()
        return (*found.complete, *found.incomplete)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    folder: Path = tmp_path_factory.mktemp("update")
    async with (
        SimCluster("hq", ready_after=0.02) as hq,
        SimCluster("east", ready_after=0.02) as east,
        SimCluster("lost", ready_after=0.02) as lost,
        running_suite(folder / "data") as suite,
    ):
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard({"hq": hq.kubeconfig, "east": east.kubeconfig})
        cluster = {"metadata": {"name": "lost"}}
        await shop.upload("/v2/cluster-providers/acme/clusters", cluster, lost.kubeconfig.encode())
        await shop.cloud("wide", ["hq", "lost"])
        yield Sites(suite, shop, {"hq": hq, "east": east, "lost": lost})


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def restored(sites: Sites) -> AsyncIterator[None]:
    """Each test finds the charts of the beginning and leaves nothing on the clusters and on the bus."""
    await sites.put_chart("config", {"all.yaml": CONFIG})
    before = await sites.contexts()
    yield
    assert (sites.on("hq"), sites.on("east")) == ([], [])
    assert await sites.contexts() == before


@pytest.mark.robustness(56)
async def test_an_update_brings_what_is_new_and_removes_what_is_gone_and_a_rollback_takes_it_back(sites: Sites) -> None:
    shop = sites.shop
    g = await shop.group("g")
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    assert sites.on("hq") == sites.on("east") == whole("g")

    await sites.put_chart("config", {"all.yaml": JOB}, values="colour: blue\n")
    assert await sites.update(g) == 2
    extra = [("ConfigMap", "g-extra"), ("Deployment", "g-web"), ("Service", "g-web")]
    assert sites.on("hq") == sites.on("east") == extra
    assert sites.colours("hq") == {"blue"}

    await sites.place(g, "web", HQ)
    assert await sites.update(g) == 3
    assert (sites.on("hq"), sites.on("east")) == (extra, [("ConfigMap", "g-extra")])

    await shop.post(f"{g}/rollback", {"spec": {"revision": "1"}}, expect=202)
    await shop.ready(g)
    assert sites.on("hq") == sites.on("east") == whole("g")
    assert sites.colours("east") == {"red"}
    revisions = (await shop.client.get(f"{g}/revisions")).json()
    assert [(r["revision"], r["verb"], r["deployedStatus"]) for r in revisions] == [
        (1, "instantiate", "Instantiated"),
        (2, "update", "Updated"),
        (3, "update", "Updated"),
        (4, "rollback", "Instantiated"),
    ]
    await sites.remove(g)


async def test_an_updated_group_that_is_terminated_and_deleted_leaves_nothing_behind(sites: Sites) -> None:
    g = await sites.shop.group("short")
    await sites.shop.post(f"{g}/instantiate", expect=202)
    await sites.shop.ready(g)
    await sites.put_chart("config", {"all.yaml": JOB})
    await sites.place(g, "web", HQ)
    # Not waited for: what the update was still to do is over with, and what it would have removed is removed as well.
    await sites.shop.post(f"{g}/update", expect=202)
    await sites.remove(g)


async def test_an_update_that_is_stopped_half_way_can_be_taken_back(sites: Sites) -> None:
    shop = sites.shop
    g = await shop.group("half")
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    east = sites.clusters["east"]
    held = east.faults.add(Rule(verb="apply", resource="configmaps", status=503))
    await sites.put_chart("config", {"all.yaml": JOB})
    await shop.post(f"{g}/update", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Instantiating")
    await shop.post(f"{g}/stop", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "InstantiateFailed")
    assert (await shop.client.get(f"{g}/status")).json()["states"]["actions"][-1]["state"] == "InstantiateStopped"
    east.faults.remove(held)

    await shop.post(f"{g}/rollback", {"spec": {"revision": "1"}}, expect=202)
    await shop.ready(g)
    assert sites.on("hq") == sites.on("east") == whole("half")
    await sites.remove(g)


async def test_an_instantiation_that_is_stopped_is_brought_to_its_end_by_an_update(sites: Sites) -> None:
    shop = sites.shop
    g = await shop.group("begun")
    east = sites.clusters["east"]
    held = east.faults.add(Rule(verb="apply", resource="services", status=503))
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Instantiating")
    await shop.post(f"{g}/stop", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "InstantiateFailed")
    east.faults.remove(held)
    assert await sites.update(g) == 2
    assert sites.on("hq") == sites.on("east") == whole("begun")
    await sites.remove(g)


async def test_what_a_stopped_termination_left_is_taken_over_by_the_next_instantiation(sites: Sites) -> None:
    shop = sites.shop
    g = await shop.group("unended")
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    east = sites.clusters["east"]
    held = east.faults.add(Rule(verb="delete", resource="configmaps", status=503))
    await shop.post(f"{g}/terminate", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Terminating")
    await shop.post(f"{g}/stop", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "TerminateFailed")
    east.faults.remove(held)
    assert ("ConfigMap", "unended-config-0") in sites.on("east")

    await sites.put_chart("config", {"all.yaml": JOB})
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    extra = [("ConfigMap", "unended-extra"), ("Deployment", "unended-web"), ("Service", "unended-web")]
    assert sites.on("hq") == sites.on("east") == extra
    await sites.remove(g)


async def test_a_group_on_a_cluster_that_is_lost_can_be_got_rid_of(sites: Sites) -> None:
    shop, lost = sites.shop, sites.clusters["lost"]
    everywhere = {"allOf": [{"clusterProvider": "acme", "cluster": name} for name in ("hq", "lost")]}
    g = await shop.group("bereft", intent=everywhere, logicalCloud="wide")
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    lost.faults.begin_outage(Outage.REFUSE)
    await shop.post(f"{g}/terminate", expect=202)
    await shop.until(f"{g}/status", lambda status: status.get("deployedStatus") == "Terminating")
    assert (await shop.client.delete(g)).status_code == 409

    await shop.post(f"{g}/terminate?giveUp=acme%2Blost", expect=202)
    await shop.gone(g)
    assert (sites.on("hq"), sites.on("lost")) == ([], whole("bereft"))
    assert "given up" in (await shop.client.get(f"{g}/status", params={"status": "deployed"})).text
    await sites.remove(g, terminate=False)


async def test_a_deployment_that_migrates_is_changed_in_place_and_goes_on_when_its_source_is_deleted(
    sites: Sites,
) -> None:
    shop = sites.shop
    g = await shop.group("m")
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    uids = _uids(sites.clusters["hq"], "Deployment")
    target = await _second_version(shop)
    to = {"targetCompositeAppVersion": "v2", "targetDeploymentIntentGroup": "m"}
    await shop.post(f"{g}/migrate", {"spec": to}, expect=202)
    await shop.ready(target)
    only_web = [("Deployment", "m-web"), ("Service", "m-web")]
    assert sites.on("hq") == sites.on("east") == only_web
    assert _uids(sites.clusters["hq"], "Deployment") == uids

    await sites.remove(g, terminate=False)
    status = await shop.ready(target)
    assert [app["name"] for app in status["apps"]] == ["web"]
    await shop.post(f"{target}/terminate", expect=202)
    await shop.gone(target)
    place = f"{target}/generic-placement-intents/place"
    for item in (f"{place}/app-intents/web", place, f"{target}/intents/i", target):
        assert (await shop.client.delete(item)).status_code == 204, item


async def _second_version(shop: Shop) -> str:
    """The app without its configuration, and a group of it that is approved."""
    await shop.post(
        "/v2/projects/p/composite-apps", {"metadata": {"name": "shop"}, "spec": {"compositeAppVersion": "v2"}}
    )
    await shop.upload(f"{BASE}/v2/apps", {"metadata": {"name": "web"}}, chart("web", {"all.yaml": WEB}))
    await shop.post(f"{BASE}/v2/composite-profiles", {"metadata": {"name": "prod"}})
    profiled = {"metadata": {"name": "web"}, "spec": {"app": "web"}}
    await shop.upload(f"{BASE}/v2/composite-profiles/prod/profiles", profiled, profile())
    path = f"{BASE}/v2/deployment-intent-groups/m"
    spec = {"compositeProfile": "prod", "version": "m", "logicalCloud": "lc", "overrideValues": []}
    await shop.post(path.rpartition("/")[0], {"metadata": {"name": "m"}, "spec": spec})
    await shop.post(f"{path}/generic-placement-intents", {"metadata": {"name": "place"}})
    placed = {"metadata": {"name": "web"}, "spec": {"app": "web", "intent": BOTH}}
    await shop.post(f"{path}/generic-placement-intents/place/app-intents", placed)
    intents = {"metadata": {"name": "i"}, "spec": {"intent": {"genericPlacementIntent": "place"}}}
    await shop.post(f"{path}/intents", intents)
    await shop.post(f"{path}/approve", expect=202)
    return path


def _uids(cluster: SimCluster, kind: str) -> list[str]:
    return [item["metadata"]["uid"] for item in cluster.objects() if item["kind"] == kind]
