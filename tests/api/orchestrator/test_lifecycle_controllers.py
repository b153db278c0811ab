"""Placement and action controllers are asked in their order, with what they need, and told what became of it (10)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest

from emco_common.appcontext import Resource
from emco_common.controllers import PutResource, RemoveCluster
from tests.api.orchestrator.controllers import Log, Servicer, action, involve, placement, serving
from tests.api.orchestrator.lifecycle import history, instances, world
from tests.support.core import Core, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
EVERYWHERE = {"anyOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]}
MOTD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: motd}"


async def group(world: Core, name: str, rule: object = None) -> str:
    path = await world.group(name, placed=False)
    await world.placed(path, rule)
    await world.post(f"{path}/approve", expect=202)
    return path


async def test_all_of_placement_come_before_all_of_action_and_each_by_priority_then_by_name(world: Core) -> None:
    g, log = await group(world, "ordered", EVERYWHERE), Log()
    named_so = {"late": ("placement", 9), "early": ("placement", 1), "five": ("action", 5), "one": ("action", 1)}
    named_so |= {"b-one": ("action", 1)}
    async with AsyncExitStack() as stack:
        for name, (kind, priority) in named_so.items():
            made = placement(world, name, log) if kind == "placement" else action(world, name, log)
            await stack.enter_async_context(serving(world, name, kind, made, priority=priority))
        await involve(world, g, "all", **{name: f"intent-of-{name}" for name in named_so})
        await world.post(f"{g}/instantiate", expect=202)

    (instance,) = await instances(world, g)
    assert log.calls == [
        ("early", "filter", instance),
        ("late", "filter", instance),
        ("b-one", "update", instance, "intent-of-b-one"),
        ("one", "update", instance, "intent-of-one"),
        ("five", "update", instance, "intent-of-five"),
    ]


async def test_of_every_group_the_first_cluster_that_placement_left_stays(world: Core) -> None:
    g, log = await group(world, "narrowed", EVERYWHERE), Log()
    made = placement(world, "narrow", log, RemoveCluster("web", "acme+east"))
    async with serving(world, "narrow", "placement", made):
        await involve(world, g, "narrow", narrow="n")
        await world.post(f"{g}/instantiate", expect=202)
        (instance,) = await instances(world, g)
        assert [c.name for c in (await world.contexts.read(instance)).apps[0].clusters] == ["acme+hq"]
    without = await group(world, "wide", EVERYWHERE)
    await world.post(f"{without}/instantiate", expect=202)
    (instance,) = await instances(world, without)
    assert [c.name for c in (await world.contexts.read(instance)).apps[0].clusters] == ["acme+east"]


async def test_what_an_action_controller_adds_goes_to_the_clusters_that_are_left(world: Core) -> None:
    g, log = await group(world, "motd"), Log()
    made = action(world, "motd", log, PutResource("web", "acme+hq", Resource("motd+ConfigMap", MOTD)))
    async with serving(world, "motd", "action", made):
        await involve(world, g, "motd", motd="m")
        await world.post(f"{g}/instantiate", expect=202)
    (instance,) = await instances(world, g)
    (cluster,) = (await world.contexts.read(instance)).apps[0].clusters
    assert [resource.name for resource in cluster.resources] == ["motd-web+ConfigMap", "motd+ConfigMap"]


async def test_the_whole_life_of_a_group_as_its_controllers_see_it(world: Core) -> None:
    g, log = await group(world, "lived"), Log()
    target = await world.group("lived-v2", version="v2")
    await world.post(f"{target}/approve", expect=202)
    async with AsyncExitStack() as stack:
        for name, kind in (("placer", "placement"), ("actor", "action")):
            await stack.enter_async_context(serving(world, name, kind, Servicer(name, log).register))
        for path in (g, target):
            await involve(world, path, "both", placer="p", actor=f"a-{path.rpartition('/')[2]}")
        await world.post(f"{g}/instantiate", expect=202)
        await _told(log, 4)
        await world.post(f"{g}/update", expect=202)
        await _told(log, 8)
        await world.post(f"{g}/rollback", named("x", revision="1"), expect=202)
        await _told(log, 10)
        to = named("x", targetCompositeAppVersion="v2", targetDeploymentIntentGroup="lived-v2")
        await world.post(f"{g}/migrate", to, expect=202)
        await _told(log, 14)
        await world.post(f"{target}/terminate", expect=202)
        await _told(log, 17)

    a, b = await instances(world, g)
    (c,) = await instances(world, target)
    assert [call for call in log.calls if call[0] == "actor"] == [
        ("actor", "update", a, "a-lived", ""),
        ("actor", "event", a, "INSTANTIATE"),
        ("actor", "update", b, "a-lived", a),
        ("actor", "event", b, "UPDATE"),
        ("actor", "event", a, "UPDATE"),
        ("actor", "update", c, "a-lived-v2", a),
        ("actor", "event", c, "UPDATE"),
        ("actor", "terminate", c),
        ("actor", "event", c, "TERMINATE"),
    ]
    assert [call for call in log.calls if call[0] == "placer"] == [
        ("placer", "filter", a),
        ("placer", "event", a, "INSTANTIATE"),
        ("placer", "filter", b),
        ("placer", "event", b, "UPDATE"),
        ("placer", "event", a, "UPDATE"),
        ("placer", "filter", c),
        ("placer", "event", c, "UPDATE"),
        ("placer", "event", c, "TERMINATE"),
    ]


async def test_a_controller_that_two_intents_name_is_asked_once_about_the_last(world: Core) -> None:
    g, log = await group(world, "twice"), Log()
    async with serving(world, "doubled", "action", Servicer("doubled", log).register):
        await involve(world, g, "first", doubled="one")
        await involve(world, g, "second", doubled="two")
        await world.post(f"{g}/instantiate", expect=202)
        await _told(log, 2)
    (instance,) = await instances(world, g)
    assert log.calls == [("doubled", "update", instance, "two", ""), ("doubled", "event", instance, "INSTANTIATE")]


async def test_those_after_one_that_has_no_ear_for_events_are_told_all_the_same(world: Core) -> None:
    g, log = await group(world, "deaf"), Log()
    async with (
        serving(world, "a-deaf", "placement", placement(world, "a-deaf", log)),
        serving(world, "z-hears", "action", Servicer("z-hears", log).register),
    ):
        await involve(world, g, "both", **{"a-deaf": "d", "z-hears": "h"})
        await world.post(f"{g}/instantiate", expect=202)
        await _told(log, 3)
    assert log.methods()[-1] == ("z-hears", "event")


async def test_one_without_the_method_does_not_keep_a_group_from_being_terminated(world: Core) -> None:
    g, log = await group(world, "old-one"), Log()
    for code, text in (
        (grpc.StatusCode.UNIMPLEMENTED, "whatever"),
        (grpc.StatusCode.UNKNOWN, "method TerminateAppContext not implemented"),
    ):
        servicer = Servicer("old", log)
        async with serving(world, "old", "action", servicer.register):
            if not (await world.call("GET", f"{g}/intents/old")).is_success:
                await involve(world, g, "old", old="o")
            await world.post(f"{g}/instantiate", expect=202)
            servicer.aborts, servicer.says = code, text
            await world.post(f"{g}/terminate", expect=202)
        assert (await history(world, g))[-1][0] == "Terminated"


async def _told(log: Log, count: int) -> None:
    """Events are posted in the background."""
    async with asyncio.timeout(5):
        while len(log.calls) < count:  # noqa: ASYNC110  # the servers of a test tell nobody
            await asyncio.sleep(0.005)
