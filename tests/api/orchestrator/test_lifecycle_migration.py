"""A deployment goes over to a group of another version (spec orchestrator-lifecycle 9.3)."""

from __future__ import annotations

import asyncio

import pytest

from emco_common.appcontext import ContextState
from tests.api.orchestrator.lifecycle import deployed, history, instances, key_of, world
from tests.support.core import Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


def to(target: str) -> dict[str, object]:
    key = key_of(target)
    spec = {
        "targetCompositeAppVersion": key["compositeAppVersion"],
        "targetDeploymentIntentGroup": key["deploymentIntentGroup"],
    }
    return named("to v2", **spec)


async def approved(world: Core, name: str, version: str = "v2") -> str:
    path = await world.group(name, version=version)
    await world.post(f"{path}/approve", expect=202)
    return path


async def migrated(world: Core, name: str) -> tuple[str, str]:
    source, target = await deployed(world, name), await approved(world, f"{name}-v2")
    await world.post(f"{source}/migrate", to(target), expect=202)
    return source, target


async def test_the_target_takes_over_the_deployment_with_its_status(world: Core) -> None:
    source, target = await deployed(world, "east"), await approved(world, "east-v2")
    await world.post(f"{source}/update", expect=202)
    answer = await world.post(f"{source}/migrate", to(target), expect=202)
    assert answer.content == b""

    assert (await history(world, source))[-1] == ("Updated", "B", 2)
    assert (await history(world, target))[-1] == ("Instantiated", "A", 1)
    first, second = await instances(world, source)
    (new,) = await instances(world, target)
    assert (await world.state_of(key_of(target)))["statusctxid"] == first
    context = await world.contexts.read(new)
    assert context.status_context == first
    assert context.meta is not None
    assert (context.meta.version, context.meta.deployment_intent_group) == ("v2", "east-v2")
    assert world.rsync.calls[-1] == ("update", f"{second}>{new}")
    reasons = [(await world.state_of(key_of(path)))["actions"][-1]["reason"] for path in (source, target)]
    assert reasons == ["migrated to v2/east-v2", "migrated from v1/east"]
    assert [r["verb"] for r in (await world.call("GET", f"{target}/revisions")).json()] == ["migrate"]


async def test_the_target_goes_on_as_any_other_and_the_source_begins_anew(world: Core) -> None:
    source, target = await migrated(world, "north")
    assert (await world.post(f"{target}/update", expect=202)).json() == 2
    await world.post(f"{target}/rollback", named("x", revision="1"), expect=202)
    await world.post(f"{source}/approve", expect=202)
    await world.post(f"{source}/instantiate", expect=202)
    assert (await history(world, source))[-1] == ("Instantiated", "B", 2)
    await world.post(f"{target}/terminate", expect=202)
    assert (await history(world, target))[-1][0] == "Terminated"


@pytest.mark.parametrize("first", ["source", "target"])
async def test_nothing_is_left_on_the_bus_whichever_group_is_deleted_first(world: Core, first: str) -> None:
    before = await world.contexts.ids()
    source, target = await migrated(world, f"gone-{first}")
    await world.post(f"{target}/update", expect=202)
    if first == "source":
        await _delete(world, source)
        assert (await world.call("GET", f"{target}/status", expect=200)).json()["apps"]
        await world.post(f"{target}/terminate", expect=202)
        await _delete(world, target)
    else:
        await world.post(f"{target}/terminate", expect=202)
        await _delete(world, target)
        await _delete(world, source)
    assert await world.contexts.ids() == before


async def test_a_source_that_begins_anew_leaves_what_the_target_needs(world: Core) -> None:
    source, target = await migrated(world, "shared")
    (first,) = await instances(world, source)
    await world.set_status(first, ContextState.UPDATED)
    await world.post(f"{source}/approve", expect=202)
    await world.post(f"{source}/instantiate", expect=202)
    await world.post(f"{source}/update", expect=202)
    assert await world.contexts.exists(first)
    await world.call("GET", f"{target}/status", expect=200)


async def test_nothing_is_built_for_a_target_that_cannot_take_it(world: Core) -> None:
    source = await deployed(world, "picky")
    created = await world.group("picky-v2", version="v2")
    before = await world.contexts.ids()
    refused = await world.post(f"{source}/migrate", to(created), expect=409)
    assert refused.text == "DeploymentIntentGroup is not approved :picky-v2\n"
    missing = await world.post(f"{source}/migrate", to(f"{created}-none"), expect=404)
    assert missing.text == "DeploymentIntentGroup not found\n"
    itself = await world.post(f"{source}/migrate", to(source), expect=409)
    assert itself.text == "DeploymentIntentGroup is not approved :picky\n"
    assert await world.contexts.ids() == before


async def test_what_rsync_refuses_leaves_both_groups_as_they_were(world: Core) -> None:
    source, target = await deployed(world, "refused"), await approved(world, "refused-v2")
    before = (await history(world, source), await history(world, target), await world.contexts.ids())
    world.rsync.accepts, world.rsync.message = False, "queue is full"
    try:
        answer = await world.post(f"{source}/migrate", to(target), expect=409)
    finally:
        world.rsync.accepts = True
    assert answer.text == "UpdateApp Failed: queue is full\n"
    assert (await history(world, source), await history(world, target), await world.contexts.ids()) == before
    await world.post(f"{source}/migrate", to(target), expect=202)


async def test_both_groups_are_busy_while_it_lasts(world: Core) -> None:
    source, target = await deployed(world, "busy"), await approved(world, "busy-v2")
    asked, go_on = asyncio.Event(), asyncio.Event()
    usual = world.rsync.then

    async def held(operation: str, context: str) -> None:
        asked.set()
        await go_on.wait()
        await usual(operation, context)

    world.rsync.then = held
    try:
        migration = asyncio.create_task(world.call("POST", f"{source}/migrate", to(target)))
        async with asyncio.timeout(5):
            await asked.wait()
        for path, verb in ((source, "terminate"), (source, "update"), (target, "instantiate"), (target, "approve")):
            answer = await world.post(f"{path}/{verb}", expect=409)
            assert "is busy" in answer.text
        assert (await world.call("DELETE", target)).status_code == 409
        go_on.set()
        assert (await migration).status_code == 202
    finally:
        world.rsync.then = usual


async def test_of_two_sources_for_one_target_one_wins(world: Core) -> None:
    one, other, target = await deployed(world, "one"), await deployed(world, "other"), await approved(world, "both-v2")
    answers = await asyncio.gather(*(world.call("POST", f"{path}/migrate", to(target)) for path in (one, other)))
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    states = {(await history(world, path))[-1][0] for path in (one, other)}
    assert states == {"Updated", "Instantiated"}


async def _delete(world: Core, path: str) -> None:
    for child in ("generic-placement-intents/place/app-intents/web", "generic-placement-intents/place", "intents/i"):
        await world.call("DELETE", f"{path}/{child}", expect=204)
    await world.call("DELETE", path, expect=204)
