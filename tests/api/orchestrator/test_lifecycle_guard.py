"""An update whose placement has shrunk a lot leaves nothing until somebody agrees (robustness 49)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from emco_common.controllers import RemoveCluster
from emco_common.store.api import StoreUnavailable
from emco_orchestrator.app import create_service
from emco_orchestrator.settings import OrchestratorSettings
from tests.api.orchestrator.controllers import Log, action, involve, placement, serving
from tests.api.orchestrator.lifecycle import history, instances
from tests.support.core import CLUSTERS, GROUPS, Core, core, named

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.robustness(49)]
SITES = [f"s{number}" for number in range(5)]
FLEET = {"allOf": [{"clusterProvider": "acme", "clusterLabel": "fleet"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    """Five clusters besides, in a cloud of their own."""
    async with core(tmp_path_factory.mktemp("core")) as started:
        await started.world()
        await started.version("v2")
        for name in SITES:
            await started.cluster(name)
        await started.cloud("wide", *SITES)
        await started.post("/v2/projects/p/logical-clouds/wide/instantiate", expect=202)
        yield started


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def labelled(world: Core) -> None:
    """Each test begins with all of them in the fleet."""
    await relabel(world, SITES)


async def relabel(world: Core, names: Sequence[str]) -> None:
    for name in SITES:
        known = await world.call("GET", f"{CLUSTERS}/{name}/labels", expect=200)
        if bool(known.json()) and name not in names:
            await world.call("DELETE", f"{CLUSTERS}/{name}/labels/fleet", expect=204)
        elif not known.json() and name in names:
            await world.post(f"{CLUSTERS}/{name}/labels", {"clusterLabel": "fleet"})


async def fleet(world: Core, name: str, **more: Any) -> str:
    g = await world.group(name, placed=False, logicalCloud="wide", **more)
    await world.placed(g, FLEET)
    await world.post(f"{g}/approve", expect=202)
    await world.post(f"{g}/instantiate", expect=202)
    return g


async def untouched(world: Core, path: str, body: Any = None) -> str:
    """The text with which a call is refused that leaves no trace, on the bus or at rsync."""
    before, asked = await world.contexts.ids(), list(world.rsync.calls)
    answer = await world.call("POST", path, body, expect=409)
    assert (await world.contexts.ids(), world.rsync.calls) == (before, asked)
    return answer.text


async def test_clusters_that_vanish_are_not_left_until_their_number_is_named(world: Core) -> None:
    g = await fleet(world, "shrunk")
    await relabel(world, ["s0", "s1"])
    told = await untouched(world, f"{g}/update")
    assert told == (
        "update of shrunk would leave 3 of 5 clusters: acme+s2, acme+s3, acme+s4. "
        "If that is meant, ask for it with removeClusters=3\n"
    )
    assert "3 of 5 clusters, not 2" in await untouched(world, f"{g}/update?removeClusters=2")
    assert (await history(world, g))[-1] == ("Instantiated", "A", 1)

    assert (await world.post(f"{g}/update?removeClusters=3", expect=202)).json() == 2
    _, second = await instances(world, g)
    assert await world.contexts.placement(second) == {"web": {"acme+s0", "acme+s1"}}


async def test_a_plan_tells_that_the_update_would_be_asked_about_and_how(world: Core) -> None:
    g = await fleet(world, "foreseen")
    await relabel(world, ["s0", "s1"])
    world.rsync.foresees = ()
    plan = (await world.call("POST", f"{g}/plan", expect=200)).json()
    assert plan["notes"] == [
        "update of foreseen would leave 3 of 5 clusters: acme+s2, acme+s3, acme+s4. "
        "If that is meant, ask for it with removeClusters=3"
    ]


async def test_a_few_clusters_and_what_is_added_are_nobodys_concern(world: Core) -> None:
    g = await fleet(world, "grown")
    await relabel(world, SITES[:3])
    await world.post(f"{g}/update", expect=202)
    await relabel(world, SITES)
    await world.post(f"{g}/update?removeClusters=0", expect=202)


async def test_a_label_that_matches_nothing_any_more_is_an_error_and_no_wish(world: Core) -> None:
    g = await fleet(world, "empty")
    await relabel(world, [])
    before = list(world.rsync.calls)
    refused = await world.post(f"{g}/update?removeClusters=5", expect=422)
    assert "label fleet matches no cluster of provider acme" in refused.text
    assert world.rsync.calls == before


async def test_a_rollback_to_where_there_were_fewer_asks_too(world: Core) -> None:
    await relabel(world, ["s0"])
    g = await fleet(world, "back")
    await relabel(world, SITES)
    await world.post(f"{g}/update", expect=202)
    told = await untouched(world, f"{g}/rollback", named("x", revision="1"))
    assert told.startswith("rollback of back would leave 4 of 5 clusters: acme+s1")
    await world.post(f"{g}/rollback?removeClusters=4", named("x", revision="1"), expect=202)


async def test_a_migration_asks_too_and_frees_its_target(world: Core) -> None:
    g = await fleet(world, "from")
    target = await world.group("to", version="v2", placed=False, logicalCloud="wide")
    await world.placed(target, {"allOf": [{"clusterProvider": "acme", "cluster": "s4"}]})
    await world.post(f"{target}/approve", expect=202)
    to = named("x", targetCompositeAppVersion="v2", targetDeploymentIntentGroup="to")
    told = await untouched(world, f"{g}/migrate", to)
    assert told.startswith("migrate of from would leave 4 of 5 clusters: acme+s0")
    await world.post(f"{g}/migrate?removeClusters=4", to, expect=202)
    assert (await history(world, target))[-1][0] == "Instantiated"


async def test_what_a_placement_controller_takes_away_counts_and_action_controllers_hear_of_nothing(
    world: Core,
) -> None:
    g, log = await fleet(world, "advised"), Log()
    lost = [RemoveCluster("web", f"acme+{name}") for name in SITES[1:]]
    async with (
        serving(world, "advisor", "placement", placement(world, "advisor", log, *lost)),
        serving(world, "actor", "action", action(world, "actor", log)),
    ):
        await involve(world, g, "advised", advisor="a", actor="a")
        told = await untouched(world, f"{g}/update")
        assert told.startswith("update of advised would leave 4 of 5 clusters: acme+s1")
        assert [name for name, _ in log.methods()] == ["advisor"]
        await world.post(f"{g}/update?removeClusters=4", expect=202)
    _, second = await instances(world, g)
    assert await world.contexts.placement(second) == {"web": {"acme+s0"}}


@pytest.mark.parametrize("number", ["-1", "many", "1.5"])
async def test_a_number_that_is_none_is_refused_by_name(world: Core, number: str) -> None:
    refused = await world.post(f"{GROUPS}/none/update?removeClusters={number}", expect=400)
    assert "removeClusters" in refused.text


@dataclass
class Unreadable:
    """A store or a bus of which a part cannot be read."""

    _real: Any
    _hides: Callable[..., bool]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in ("get", "list", "range"):
            return method

        async def read(*args: Any, **more: Any) -> Any:
            if self._hides(*args):
                raise StoreUnavailable("the disk is on fire")
            return await method(*args, **more)

        return read


PARTS: Mapping[str, tuple[str, Callable[..., bool]]] = {
    "the labels": ("store", lambda names, *_: "clusterLabel" in names),
    "the clusters of the cloud": ("store", lambda names, *_: "clusterReference" in names),
    "the provider": ("store", lambda key, *_: list(key) == ["clusterProvider"]),
    "where it is now": ("bus", lambda key, *_: key.endswith("/app/")),
}


@pytest.mark.parametrize("part", PARTS)
async def test_what_cannot_be_read_does_not_shrink_a_placement(world: Core, part: str) -> None:
    g = await fleet(world, f"unread-{[*PARTS].index(part)}")
    before, asked = await world.contexts.ids(), list(world.rsync.calls)
    where, hides = PARTS[part]
    hidden: dict[str, Any] = {where: Unreadable(getattr(world.deps, where), hides)}
    deps = replace(world.deps, **hidden)
    another = create_service(OrchestratorSettings.load("orchestrator", {}, http_port=0, grpc_port=0), deps)
    works = [asyncio.ensure_future(work()) for work in another.background[:1]]
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(another.app), base_url="http://another") as client:
            answer = await client.post(f"{g}/update")
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        assert another.closing is not None
        await another.closing()
    assert (answer.status_code, answer.text) == (503, "the disk is on fire\n")
    assert (await world.contexts.ids(), world.rsync.calls) == (before, asked)
    assert (await world.post(f"{g}/update", expect=202)).json() == 2
