"""A series for each object that is there, and none for one that is gone (spec orchestrator-api 1.3, defect 22)."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance.cases import world
from tests.support.charts import chart
from tests.support.core import APPS, Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = {"project": "p", "composite_app": "shop", "composite_app_version": "v1"}
OF_GROUP = {**SHOP, "deployment_intent_group": "g"}
SERIES = {
    "emco_controller": {"name": "rsync"},
    "emco_project": {"name": "p"},
    "emco_composite_app": {"project": "p", "name": "shop", "version": "v1"},
    "emco_app": {**SHOP, "name": "web"},
    "emco_composite_profile": {**SHOP, "name": "prod"},
    "emco_app_profile": {**SHOP, "composite_profile": "prod", "name": "web-prod"},
    "emco_deployment_intent_group": {**SHOP, "name": "g"},
    "emco_generic_placement_intent": {**OF_GROUP, "name": "place"},
    "emco_generic_app_placement_intent": {**OF_GROUP, "generic_placement_intent": "place", "name": "web"},
}


async def series(world: Core, name: str) -> list[Mapping[str, str]]:
    text = await scraped(world)
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert all(sample.value == 1 for sample in found if sample.name == name)
    return [sample.labels for sample in found if sample.name == name]


async def scraped(world: Core) -> str:
    """The metrics of the orchestrator, which the ingress does not show."""
    transport = httpx.ASGITransport(world.services["orchestrator"].app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orchestrator") as client:
        return (await client.get("/metrics")).text


@pytest.mark.parametrize("name", SERIES)
async def test_every_object_has_its_series(world: Core, name: str) -> None:
    assert SERIES[name] in await series(world, name)


async def test_what_is_deleted_has_none_any_more(world: Core) -> None:
    path = f"{APPS}/apps/web/dependency"
    await world.upload(f"{APPS}/apps", named("db"), chart("db"))
    await world.post(path, named("first", app="db", opStatus="ready"))
    assert await series(world, "emco_dependency") == [{**SHOP, "app": "web", "name": "first"}]
    await world.call("DELETE", f"{path}/first", expect=204)
    assert await series(world, "emco_dependency") == []


async def test_a_build_names_its_component(world: Core) -> None:
    (build,) = await series(world, "emco_build")
    assert build["component"] == "orchestrator"
