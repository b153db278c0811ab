"""When a plan is to be had and when not; what it says is tested where there are clusters."""

from __future__ import annotations

import pytest

from emco_common.rpc import planapp_pb2
from tests.api.orchestrator.controllers import Log, action, involve, placement, serving
from tests.api.orchestrator.lifecycle import deployed, world
from tests.support.core import GROUPS, Core

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_there_is_none_of_a_group_that_is_not_there(world: Core) -> None:
    answer = await world.call("POST", f"{GROUPS}/nobody/plan", expect=404)
    assert answer.text == "DeploymentIntentGroup not found\n"


async def test_it_is_of_an_instantiation_or_an_update_and_of_nothing_else(world: Core) -> None:
    g = await world.group("else")
    answer = await world.call("POST", f"{g}/plan?for=terminate", expect=400)
    assert answer.text == "for must be instantiate or update, and is 'terminate'\n"


@pytest.mark.parametrize("verb", ["instantiate", "update"])
async def test_it_is_refused_where_the_verb_is(world: Core, verb: str) -> None:
    g = await deployed(world, verb) if verb == "instantiate" else await world.group(verb)
    refused = await world.call("POST", f"{g}/{verb}", expect=409)
    answer = await world.call("POST", f"{g}/plan?for={verb}", expect=409)
    assert answer.text == refused.text


async def test_a_resource_synchronizer_without_plans_is_named(world: Core) -> None:
    g = await world.group("old")
    before = await world.contexts.ids()
    answer = await world.call("POST", f"{g}/plan", expect=409)
    assert "knows no plans" in answer.text
    assert await world.contexts.ids() == before


async def test_what_keeps_a_group_from_being_built_is_told(world: Core) -> None:
    g = await world.group("unplaced", placed=False)
    await world.call("POST", f"{g}/plan", expect=404)


async def test_controllers_are_named_and_not_asked_and_places_are_told_in_order(world: Core) -> None:
    g, log = await world.group("advised"), Log()

    def place(app: str, cluster: str, action: str, reason: str = "") -> planapp_pb2.PlanAppPlace:
        one = planapp_pb2.PlanAppObject(api_version="v1", kind="ConfigMap", name=action, action=action)
        return planapp_pb2.PlanAppPlace(
            app=app, cluster=cluster, reason=reason, objects=[one], leaves=action == "delete"
        )

    world.rsync.foresees = (
        place("web", "acme+hq", "delete"),
        place("gone", "acme+hq", "delete"),
        place("web", "acme+hq", "create", "away"),
        place("web", "acme+east", "create"),
        planapp_pb2.PlanAppPlace(reason="context 7, which knows it, does not exist"),
    )
    try:
        async with (
            serving(world, "advisor", "placement", placement(world, "advisor", log)),
            serving(world, "actor", "action", action(world, "actor", log)),
        ):
            await involve(world, g, "both", advisor="a", actor="a")
            plan = (await world.call("POST", f"{g}/plan", expect=200)).json()
    finally:
        world.rsync.foresees = None
    assert log.calls == []
    unapproved, unheard, lost = plan["notes"]
    assert unapproved == "advised is not approved yet"
    assert ("actor" in unheard, "advisor" in unheard, lost) == (True, True, "context 7, which knows it, does not exist")
    web, gone = plan["apps"]
    assert [(one["cluster"], one["reason"]) for one in web["clusters"]] == [("east", ""), ("hq", "away")]
    assert [one["action"] for one in web["clusters"][1]["resources"]] == ["create", "delete"]
    assert gone["name"] == "gone"
    assert (plan["counts"]["create"], plan["counts"]["delete"]) == (2, 2)
