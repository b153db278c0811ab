"""Create, replace and delete in any order, also at once, never break integrity, on both stores.

The store is looked at after each step, behind the services' backs: every document's parent is there, and everything
that a document refers to. Names are few, so that callers meet.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.clm.kubeconfigs import kubeconfig
from tests.conformance.integrity import broken
from tests.support.charts import chart, profile
from tests.support.core import Core, core, form, named
from tests.support.stores import ONE_SERVER

RUNS = 40 if "EMCO_TEST_SLOW" in os.environ else 5
Step = tuple[str, str, dict[str, Any]]
_FILES = {"kubeconfig": kubeconfig(), "chart": chart(), "profile": profile()}


def _put(collection: str, name: str, body: dict[str, Any], file: str = "") -> list[Step]:
    """The three requests that change one resource."""
    sent = form(body, _FILES[file]) if file else {"json": body}
    item = f"{collection}/{name}"
    return [("POST", collection, sent), ("PUT", item, sent), ("DELETE", item, {})]


def _steps() -> list[Step]:
    steps = _put("/v2/cluster-providers", "acme", named("acme"))
    steps += _put("/v2/controllers", "gac", named("gac", host="h", port=1, type="action"))
    git = {"gitOpsType": "fluxcd", "gitOpsReferenceObject": "git", "gitOpsResourceObject": "git"}
    provider = "/v2/cluster-providers/acme"
    steps += _put(f"{provider}/cluster-sync-objects", "git", named("git", kv=[{"a": "1"}]))
    steps += _put(f"{provider}/clusters", "hq", named("hq"), "kubeconfig")
    steps += _put(f"{provider}/clusters", "hq", named("hq", gitOps=git), "kubeconfig")
    steps += _put(f"{provider}/clusters/hq/labels", "edge", {"clusterLabel": "edge"})
    subnet = [{"name": "s", "subnet": "10.0.0.0/24"}]
    steps += _put(f"{provider}/clusters/hq/networks", "net", named("net", cniType="ovn4nfv", ipv4Subnets=subnet))
    steps += _put("/v2/projects", "p", named("p"))
    clouds = "/v2/projects/p/logical-clouds"
    steps += _put(clouds, "lc", named("lc", level="0"))
    steps += _put(f"{clouds}/lc/cluster-references", "r", named("r", clusterProvider="acme", cluster="hq"))
    steps += _put("/v2/projects/p/composite-apps", "shop/v1", named("shop", compositeAppVersion="v1"))
    shop = "/v2/projects/p/composite-apps/shop/v1"
    steps += _put(f"{shop}/apps", "web", named("web"), "chart")
    steps += _put(f"{shop}/composite-profiles", "prod", named("prod"))
    steps += _put(f"{shop}/composite-profiles/prod/profiles", "wp", named("wp", app="web"), "profile")
    groups = f"{shop}/deployment-intent-groups"
    steps += _put(groups, "g", named("g", compositeProfile="prod", version="r", logicalCloud="lc"))
    steps += _put(f"{groups}/g/intents", "i", named("i", intent={"gac": "x"}))
    placements = f"{groups}/g/generic-placement-intents"
    steps += _put(placements, "place", named("place"))
    rule = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
    steps += _put(f"{placements}/place/app-intents", "web", named("web", app="web", intent=rule))
    return steps


STEPS = _steps()
CREATIONS = [step for step in STEPS if step[0] == "POST"]
DELETIONS = [step for step in STEPS if step[0] == "DELETE"]
_one = st.one_of(st.sampled_from(STEPS), st.sampled_from(CREATIONS))
_round = st.lists(_one, min_size=1, max_size=6)
"""Requests that are under way at once."""


class Driver:
    """Runs what is asynchronous for a property that is blocking as a whole."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def open(self, folder: Path, url: str) -> Core:
        return self.runner.run(self._stack.enter_async_context(core(folder, store_url=url)))

    def close(self) -> None:
        self.runner.run(self._stack.aclose())
        self.runner.close()


@pytest.fixture
def driver() -> Any:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    made = Driver()
    yield made
    made.close()
    structlog.reset_defaults()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=ONE_SERVER)])
def world(request: pytest.FixtureRequest, driver: Driver, tmp_path: Path) -> Core:
    return driver.open(tmp_path, request.getfixturevalue("mongodb_url") if request.param == "mongodb" else "")


async def _at_once(world: Core, steps: list[Step]) -> None:
    answers = await asyncio.gather(*(world.client.request(method, path, **sent) for method, path, sent in steps))
    for answer in answers:
        assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text}"
    assert await broken(world.deps.store) == []


async def _emptied(world: Core) -> None:
    """Children first; what is left over cannot be deleted, which is a fault as well."""
    for _ in range(4):
        for method, path, _ in reversed(DELETIONS):
            await world.client.request(method, path)
    left = [path for method, path, _ in DELETIONS if (await world.client.get(path)).status_code == 200]
    assert left == []


quick = settings(
    max_examples=RUNS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def test_any_order_of_changes_keeps_integrity(world: Core, driver: Driver) -> None:
    @quick
    @given(st.lists(_round, min_size=1, max_size=25))
    def kept(rounds: list[list[Step]]) -> None:
        for steps in rounds:
            driver.runner.run(_at_once(world, steps))
        driver.runner.run(_emptied(world))

    kept()


def test_what_is_deleted_while_something_comes_to_need_it_leaves_no_orphan(world: Core, driver: Driver) -> None:
    """Everything is there but one thing; that is created while something it needs is deleted."""

    @quick
    @given(st.data())
    def kept(data: st.DataObject) -> None:
        driver.runner.run(_all_there(world))
        late = data.draw(st.sampled_from(CREATIONS))
        gone = data.draw(st.lists(st.sampled_from(DELETIONS), min_size=1, max_size=4))
        driver.runner.run(_below_deleted(world, late))
        driver.runner.run(_at_once(world, [late, *gone, late]))

    kept()


async def _all_there(world: Core) -> None:
    for method, path, sent in CREATIONS:
        await world.client.request(method, path, **sent)
    missing = [path for _, path, _ in DELETIONS if (await world.client.get(path)).status_code != 200]
    assert missing == []


async def _below_deleted(world: Core, step: Step) -> None:
    """Take the thing away, as far as others let it go."""
    item = next(path for method, path, _ in DELETIONS[CREATIONS.index(step) :])
    for method, path, _ in reversed(DELETIONS):
        if path.startswith(item):
            await world.client.request(method, path)
