"""Lost clusters are given up when something is installed, changed or taken back, and while that is under way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emco_common.appcontext import ContextState
from tests.api.orchestrator.lifecycle import deployed, history, instances, key_of, world
from tests.support.core import GROUPS, Core, named

__all__ = ["world"]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.robustness(57)]
HQ = "acme%2Bhq"
EDGE = {"allOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]}


async def given_up(world: Core, instance: str) -> list[str]:
    entry = await world.deps.bus.get(f"/context/{instance}/givenup/")
    return [] if entry is None else list(json.loads(entry.value))


async def reasons(world: Core, path: str) -> list[str]:
    """Of the history, as the status shows it; empty ones left out."""
    status = (await world.call("GET", f"{path}/status", expect=200)).json()
    return [action["reason"] for action in status["states"]["actions"] if action.get("reason")]


async def under_way(world: Core, name: str, status: str = ContextState.INSTANTIATING) -> tuple[str, str]:
    """A group whose first revision is not done."""
    g = await deployed(world, name)
    (instance,) = await instances(world, g)
    await world.set_status(instance, status)
    return g, instance


async def test_an_installation_can_go_without_a_cluster_from_the_beginning(world: Core) -> None:
    g = await world.group("without")
    await world.post(f"{g}/approve", expect=202)
    await world.post(f"{g}/instantiate?giveUp={HQ}", expect=202)
    (instance,) = await instances(world, g)
    assert await given_up(world, instance) == ["acme+hq"]
    assert await reasons(world, g) == ["gave up acme+hq"]
    (revision,) = (await world.call("GET", f"{g}/revisions", expect=200)).json()
    assert revision["reason"] == "gave up acme+hq"


async def test_an_update_and_a_rollback_can_go_without_a_cluster_and_each_for_itself(world: Core) -> None:
    g = await deployed(world, "changed")
    await world.post(f"{g}/update", params={"giveUp": ["acme+hq"]}, expect=202)
    first, second = await instances(world, g)
    assert (await given_up(world, first), await given_up(world, second)) == ([], ["acme+hq"])
    await world.post(f"{g}/rollback?giveUp={HQ}", named("x", revision="1"), expect=202)
    assert await given_up(world, first) == ["acme+hq"]
    assert await reasons(world, g) == ["gave up acme+hq", "gave up acme+hq"]
    assert (await history(world, g))[-1] == ("Instantiated", "A", 3)


async def test_rsync_is_told_of_an_update_before_of_what_to_give_up_for_it(world: Core) -> None:
    """It forgets with an update what was given up for an earlier one."""
    g = await deployed(world, "in-order")
    seen: list[list[str]] = []
    taken = world.rsync.then

    async def look(operation: str, context: str) -> None:
        seen.append(await given_up(world, context.rpartition(">")[2]))
        await taken(operation, context)

    world.rsync.then = look
    try:
        await world.post(f"{g}/update?giveUp={HQ}", expect=202)
    finally:
        world.rsync.then = taken
    assert seen == [[]]
    assert await given_up(world, (await instances(world, g))[1]) == ["acme+hq"]


async def test_a_cluster_that_the_update_leaves_can_be_given_up_as_well_as_one_where_it_goes(world: Core) -> None:
    g = await world.group("moving", placed=False)
    await world.placed(g, EDGE)
    await world.post(f"{g}/approve", expect=202)
    await world.post(f"{g}/instantiate", expect=202)
    rule = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
    intent = named("web", app="web", intent=rule)
    await world.call("PUT", f"{g}/generic-placement-intents/place/app-intents/web", intent, expect=200)
    await world.post(f"{g}/update?giveUp=acme%2Beast&giveUp={HQ}", expect=202)
    assert await given_up(world, (await instances(world, g))[1]) == ["acme+east", "acme+hq"]


@pytest.mark.parametrize("verb", ["instantiate", "update", "rollback", "give-up"])
async def test_only_what_the_group_is_on_or_goes_to_can_be_given_up(world: Core, verb: str) -> None:
    name = f"astray-{verb}"
    if verb == "instantiate":
        g = await world.group(name)
        await world.post(f"{g}/approve", expect=202)
    else:
        g = await deployed(world, name)
    body = None
    if verb == "rollback":
        await world.post(f"{g}/update", expect=202)
        body = named("x", revision="1")
    if verb == "give-up":
        await world.set_status((await instances(world, g))[0], ContextState.INSTANTIATING)
    kept, asked, told = await history(world, g), list(world.rsync.calls), await world.contexts.ids()
    answer = await world.post(f"{g}/{verb}?giveUp=acme%2Bmoon", body, expect=400)
    assert answer.text == f"giveUp acme+moon: {name} is not on this cluster; it is on acme+hq\n"
    assert (await history(world, g), world.rsync.calls, await world.contexts.ids()) == (kept, asked, told)


@pytest.mark.parametrize("status", [ContextState.CREATED, ContextState.INSTANTIATING, ContextState.UPDATING])
async def test_what_is_under_way_goes_on_without_a_cluster(world: Core, status: str) -> None:
    g, instance = await under_way(world, f"waits-{status}".lower(), status)
    asked, before = list(world.rsync.calls), await history(world, g)
    for _ in range(2):
        await world.post(f"{g}/give-up?giveUp={HQ}", expect=202)
    assert await given_up(world, instance) == ["acme+hq"]
    assert (world.rsync.calls, await history(world, g)) == (asked, before), "it hears of it by itself"
    assert await reasons(world, g) == ["gave up acme+hq"]
    assert (await world.post(f"{g}/update", expect=202)).json() == 2


async def test_a_removal_that_is_under_way_goes_on_without_a_cluster_too(world: Core) -> None:
    g = await deployed(world, "removed-without")
    del world.outcome["uninstall"]
    await world.post(f"{g}/terminate", expect=202)
    world.outcome["uninstall"] = ContextState.TERMINATED
    (instance,) = await instances(world, g)
    await world.set_status(instance, ContextState.TERMINATING)
    await world.post(f"{g}/give-up?giveUp={HQ}", expect=202)
    assert await given_up(world, instance) == ["acme+hq"]
    assert (await history(world, g))[-1] == ("Terminated", "A", 0)


async def test_a_termination_waits_for_what_an_installation_went_without(world: Core) -> None:
    g, instance = await under_way(world, "waited-for")
    await world.post(f"{g}/give-up?giveUp={HQ}", expect=202)
    await world.post(f"{g}/terminate", expect=202)
    assert await given_up(world, instance) == []


@pytest.mark.parametrize("status", [ContextState.INSTANTIATED, ContextState.INSTANTIATE_FAILED])
async def test_nothing_is_given_up_where_nothing_is_waited_for(world: Core, status: str) -> None:
    g, instance = await under_way(world, f"idle-{status}".lower(), status)
    refused = await world.post(f"{g}/give-up?giveUp={HQ}", expect=409)
    assert refused.text == f"DeploymentIntentGroup is not instantiating or terminating:{g.rpartition('/')[2]}\n"
    assert await given_up(world, instance) == []


@pytest.mark.parametrize("state", ["Created", "Approved", "InstantiateStopped", "TerminateStopped", "Updated"])
async def test_nor_in_a_state_where_nothing_can_be_under_way(world: Core, state: str) -> None:
    g = await world.group(f"still-{state}".lower())
    await world.put_state(key_of(g), ("Created", ""), (state, ""))
    refused = await world.post(f"{g}/give-up?giveUp={HQ}", expect=409, headers={"accept": "application/problem+json"})
    assert refused.json()["detail"].endswith("give-up is possible in Instantiated, Terminated")


async def test_a_call_that_names_nothing_and_one_about_nothing(world: Core) -> None:
    g, _ = await under_way(world, "nameless")
    refused = await world.post(f"{g}/give-up", expect=400)
    assert refused.text == "giveUp is missing: name the clusters that nameless is not to wait for\n"
    missing: Any = await world.post(f"{GROUPS}/none/give-up?giveUp={HQ}", expect=404)
    assert missing.text == (
        "DeploymentIntentGroup has no state info: none: DeploymentIntentGroup StateInfo not found\n"
    )
