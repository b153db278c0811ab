"""When a plan is to be had and when not; what it says is tested where there are clusters."""

from __future__ import annotations

import pytest

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
