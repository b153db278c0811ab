"""A plan through the whole suite: what an instantiation and an update would do to the fields, and nothing is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from emco_common.appcontext import AppContextStore
from emco_simcluster import SimCluster
from tests.support.charts import chart
from tests.support.shop import CONFIG, Shop, objects_of
from tests.support.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("plan")]
BASE = "/v2/projects/p/composite-apps/shop"
HQ = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
SECRET = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: {{ .Values.colour }}-hush}\n"
CONFIGS = {f"ConfigMap/g-config-{index}" for index in range(4)}
WEB = {"Deployment/g-web", "Service/g-web"}
Sites = tuple[RunningSuite, Shop, dict[str, SimCluster]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    folder: Path = tmp_path_factory.mktemp("plan")
    async with (
        SimCluster("hq", ready_after=0.02) as hq,
        SimCluster("east", ready_after=0.02) as east,
        running_suite(folder / "data") as suite,
    ):
        shop = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await shop.onboard({"hq": hq.kubeconfig, "east": east.kubeconfig})
        yield suite, shop, {"hq": hq, "east": east}


async def planned(sites: Sites, path: str, query: str = "") -> Any:
    """The plan, of which neither bus nor clusters show a trace."""
    suite, shop, clusters = sites
    contexts = AppContextStore(suite.suite.deps.bus)
    before = await contexts.ids(), [objects_of(one.objects()) for one in clusters.values()]
    found = (await shop.post(f"{path}/plan{query}", expect=200)).json()
    assert (await contexts.ids(), [objects_of(one.objects()) for one in clusters.values()]) == before
    return found


def told(plan: Any, cluster: str) -> dict[str, set[str]]:
    """Objects on a cluster by what would become of them."""
    found: dict[str, set[str]] = {}
    for app in plan["apps"]:
        for place in app["clusters"]:
            for one in place["resources"] if place["cluster"] == cluster else ():
                found.setdefault(one["action"], set()).add(f"{one['kind']}/{one['name']}")
    return found


async def test_a_deployment_is_planned_before_it_is_approved_and_before_it_is_updated(sites: Sites) -> None:
    _, shop, clusters = sites
    g = await shop.group("g", approve=False)
    first = await planned(sites, g)
    assert (first["for"], first["notes"]) == ("instantiate", ["g is not approved yet"])
    assert first["counts"]["create"] == 12
    assert told(first, "hq") == told(first, "east") == {"create": CONFIGS | WEB}

    await shop.post(f"{g}/approve", expect=202)
    assert (await planned(sites, g))["notes"] == []
    await shop.post(f"{g}/instantiate", expect=202)
    await shop.ready(g)
    unchanged = await planned(sites, g)
    assert (unchanged["for"], unchanged["counts"]["unchanged"]) == ("update", 12)
    assert sum(unchanged["counts"].values()) == 12

    packed = chart("config", {"all.yaml": CONFIG.replace("until 4", "until 3") + SECRET}, "colour: blue\n")
    form: dict[str, Any] = {"data": {"metadata": '{"metadata":{"name":"config"}}'}, "files": {"file": packed}}
    assert (await shop.client.put(f"{BASE}/v1/apps/config", **form)).status_code == 200
    intent = {"metadata": {"name": "web"}, "spec": {"app": "web", "intent": HQ}}
    assert (await shop.client.put(f"{g}/generic-placement-intents/place/app-intents/web", json=intent)).is_success
    update = await planned(sites, g)
    gone = {"delete": {"ConfigMap/g-config-3"}, "create": {"Secret/key"}}
    kept = CONFIGS - {"ConfigMap/g-config-3"}
    assert told(update, "hq") == {"unchanged": WEB, "change": kept, **gone}
    assert told(update, "east") == {"change": kept, **gone, "delete": gone["delete"] | WEB}
    changes = [
        one["fields"]
        for app in update["apps"]
        for place in app["clusters"]
        for one in place["resources"]
        if one["action"] == "change"
    ]
    field = {"path": "data.colour", "from": '"red"', "to": '"blue"', "hidden": False}
    assert changes == [[field]] * 6
    assert "hush" not in str(update)

    refused = await shop.client.post(f"{g}/plan?for=instantiate")
    assert (refused.status_code, "already been instantiated" in refused.text) == (409, True)
    await shop.post(f"{g}/update", expect=202)
    await shop.ready(g)
    done = await planned(sites, g)
    assert (done["counts"]["unchanged"], sum(done["counts"].values())) == (10, 10)

    clusters["east"].close()
    away = await planned(sites, g)
    (reason,) = {place["reason"] for app in away["apps"] for place in app["clusters"] if place["cluster"] == "east"}
    assert reason
    assert set(told(away, "east")) == {"unknown"}
    assert set(told(away, "hq")) == {"unchanged"}
