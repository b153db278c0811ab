"""App dependencies: what is refused when one is made, and what rsync reads of them (orchestrator-lifecycle 7)."""

from __future__ import annotations

import asyncio

import pytest

from emco_common.appcontext import Dependency
from emco_common.store.api import Document
from tests.api.orchestrator.lifecycle import instances, world
from tests.support.charts import chart, profile
from tests.support.core import Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
CYCLE = "Cyclic Dependency between apps found in composite app:shop: "


async def shop(world: Core, version: str, *apps: str) -> str:
    """A version of the composite app with these apps; answers its path."""
    await world.post("/v2/projects/p/composite-apps", named("shop", compositeAppVersion=version))
    base = f"/v2/projects/p/composite-apps/shop/{version}"
    for app in apps:
        await world.post(f"{base}/apps", **form(named(app), chart(app)))
    return base


async def depend(world: Core, base: str, app: str, other: str, *, expect: int = 201, **spec: object) -> str:
    body = named(f"{app}-{other}", app=other, **({"opStatus": "Ready"} | spec))
    return (await world.post(f"{base}/apps/{app}/dependency", body, expect=expect)).text


async def test_a_cycle_is_refused_when_it_is_made_and_named(world: Core) -> None:
    base = await shop(world, "cyclic", "a", "b", "c")
    await depend(world, base, "a", "b")
    await depend(world, base, "b", "c")
    assert await depend(world, base, "c", "a", expect=409) == f"{CYCLE}a → b → c → a\n"
    assert await depend(world, base, "b", "b", expect=409) == f"{CYCLE}b → b\n"
    listed = (await world.call("GET", f"{base}/apps/c/dependency", expect=200)).json()
    assert listed == []


async def test_a_change_that_closes_a_cycle_is_refused_and_one_of_its_own_name_is_not_in_its_way(world: Core) -> None:
    base = await shop(world, "changed", "a", "b", "c")
    await depend(world, base, "a", "b")
    await depend(world, base, "b", "c")
    item = f"{base}/apps/b/dependency/b-c"
    refused = await world.call("PUT", item, named("b-c", app="a", opStatus="Ready"), expect=409)
    assert refused.text == f"{CYCLE}a → b → a\n"
    await world.call("PUT", item, named("b-c", app="c", opStatus="deployed"), expect=200)


async def test_an_app_that_is_not_there_is_named(world: Core) -> None:
    base = await shop(world, "unknown", "a")
    text = await depend(world, base, "a", "ghost", expect=409)
    assert text == "Unknown app in the dependencies of composite app shop: a waits for ghost, which is no app of it\n"


async def test_of_two_that_close_a_cycle_together_not_both_are_made(world: Core) -> None:
    base = await shop(world, "raced", "a", "b")
    for _ in range(5):
        paths = {(one, other): f"{base}/apps/{one}/dependency" for one, other in (("a", "b"), ("b", "a"))}
        answers = await asyncio.gather(
            *(world.call("POST", path, named("d", app=o, opStatus="Ready")) for (_, o), path in paths.items())
        )
        assert {answer.status_code for answer in answers} <= {201, 409}
        made = [path for path in paths.values() if (await world.call("GET", path)).json()]
        assert len(made) <= 1
        assert len(made) == sum(answer.status_code == 201 for answer in answers)
        for path in made:
            await world.call("DELETE", f"{path}/d", expect=204)


async def test_all_dependencies_are_written_for_rsync_in_its_own_words(world: Core) -> None:
    base = await shop(world, "several", "web", "db", "cache")
    await depend(world, base, "web", "db", opStatus="rEADY", wait=7)
    await depend(world, base, "web", "cache", opStatus="deployed")
    body = named("again", app="db", opStatus="Deployed")
    await world.post(f"{base}/apps/web/dependency", body)
    path = await _deployed(world, base, "several", "web", "db", "cache")

    (instance,) = await instances(world, path)
    apps = {app.name: app.dependencies for app in (await world.contexts.read(instance)).apps}
    assert apps == {
        "web": (Dependency("db", "Ready", 7), Dependency("cache", "Deployed"), Dependency("db", "Deployed")),
        "db": (),
        "cache": (),
    }


@pytest.mark.conforms("orchestrator-lifecycle 3.1: cycle or unknown app in dependencies")
@pytest.mark.parametrize(
    ("other", "text"),
    [
        ("web", f"{CYCLE}web → web"),
        ("ghost", "Unknown app in the dependencies of composite app shop: web waits for ghost, which is no app of it"),
    ],
)
async def test_what_came_into_the_store_some_other_way_is_refused_at_instantiation(
    world: Core, other: str, text: str
) -> None:
    base = await shop(world, f"odd-{other}", "web")
    key = {"project": "p", "compositeApp": "shop", "compositeAppVersion": f"odd-{other}", "app": "web"}
    body = named("d", app=other, opStatus="Ready")
    await world.deps.store.create(Document(key={**key, "appDependency": "d"}, body=body))
    path = await _deployed(world, base, f"odd-{other}", "web", expect=409)
    refused = await world.post(f"{path}/instantiate", expect=409)
    assert refused.text == f"{text}\n"


async def _deployed(world: Core, base: str, name: str, *apps: str, expect: int = 202) -> str:
    await world.post(f"{base}/composite-profiles", named("prod"))
    for app in apps:
        await world.upload(f"{base}/composite-profiles/prod/profiles", named(app, app=app), profile())
    path = await world.group(name, version=base.rpartition("/")[2], placed=False)
    await world.post(f"{path}/generic-placement-intents", named("place"))
    for app in apps:
        rule = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
        body = named(app, app=app, intent=rule)
        await world.post(f"{path}/generic-placement-intents/place/app-intents", body)
    await world.post(f"{path}/intents", named("i", intent={"genericPlacementIntent": "place"}))
    await world.post(f"{path}/approve", expect=202)
    await world.post(f"{path}/instantiate", expect=expect)
    return path
