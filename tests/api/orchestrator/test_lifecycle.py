"""The lifecycle of a deployment intent group over HTTP: revisions, rollback, stop, and what is kept of them."""

import asyncio
import re

import pytest

from emco_common.appcontext import ContextState
from tests.api.orchestrator.lifecycle import deployed, history, instances, key_of, world
from tests.support.charts import chart
from tests.support.core import APPS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_example_of_the_specification_leaves_the_history_it_says(world: Core) -> None:
    g = await world.group("example")
    await world.post(f"{g}/approve", expect=202)
    await world.post(f"{g}/instantiate", expect=202)
    updated = await world.post(f"{g}/update", expect=202)
    assert (updated.headers["content-type"], updated.content) == ("application/json", b"2\n")
    rolled = await world.post(f"{g}/rollback", named("x", revision="1"), expect=202)
    assert rolled.content == b""
    await world.post(f"{g}/terminate", expect=202)

    assert await history(world, g) == [
        ("Created", "", 0),
        ("Approved", "", 0),
        ("Instantiated", "A", 1),
        ("Updated", "A", 1),
        ("Instantiated", "B", 2),
        ("Updated", "B", 2),
        ("Instantiated", "A", 3),
        ("Terminated", "A", 0),
    ]
    a, b = await instances(world, g)
    of_group = [call for call in world.rsync.calls if a in call[1] or b in call[1]]
    assert of_group == [("install", a), ("update", f"{a}>{b}"), ("rollback", f"{b}>{a}"), ("uninstall", a)]
    assert (await world.state_of(key_of(g)))["statusctxid"] == a
    assert await world.contexts.status_context_id(b) == a


async def test_revisions_go_on_over_a_termination_and_a_rollback_stays_in_the_present_deployment(world: Core) -> None:
    g = await deployed(world, "again")
    assert (await world.post(f"{g}/update", expect=202)).json() == 2
    await world.post(f"{g}/terminate", expect=202)
    await world.post(f"{g}/instantiate", expect=202)
    assert (await history(world, g))[-1] == ("Instantiated", "C", 3)
    assert (await world.state_of(key_of(g)))["statusctxid"] == (await instances(world, g))[2]
    assert (await world.post(f"{g}/update", expect=202)).json() == 4

    for revision in ("1", "2", "5"):
        answer = await world.post(f"{g}/rollback", named("x", revision=revision), expect=409)
        assert answer.text == "No matching ContextId found\n"
    problem = await world.post(
        f"{g}/rollback", named("x", revision="1"), expect=409, headers={"accept": "application/problem+json"}
    )
    assert problem.json()["detail"] == "again has no revision 1 in its present deployment to go back to; it has 3"
    await world.post(f"{g}/rollback", named("x", revision="03"), expect=202)
    assert (await history(world, g))[-2:] == [("Updated", "D", 4), ("Instantiated", "C", 5)]


async def test_a_rollback_to_what_is_there_already_is_refused(world: Core) -> None:
    g = await deployed(world, "there")
    answer = await world.post(f"{g}/rollback", named("x", revision="1"), expect=409)
    assert answer.text == "DeploymentIntentGroup there is at revision 1 already\n"


async def test_a_rollback_needs_the_context_of_its_revision(world: Core) -> None:
    g = await deployed(world, "lost-revision")
    await world.post(f"{g}/update", expect=202)
    first, _ = await instances(world, g)
    await world.contexts.delete(first)
    answer = await world.post(f"{g}/rollback", named("x", revision="1"), expect=409)
    assert answer.text == "No matching ContextId found: revision 1 is not kept any more\n"


async def test_an_update_takes_the_charts_and_intents_as_they_are_now(world: Core) -> None:
    g = await deployed(world, "newer")
    packed = form(named("web"), chart(values="colour: blue\n"))
    assert (await world.call("PUT", f"{APPS}/apps/web", **packed)).status_code == 200
    intent = named("web", app="web", intent={"allOf": [{"clusterProvider": "acme", "clusterLabel": "edge"}]})
    await world.call("PUT", f"{g}/generic-placement-intents/place/app-intents/web", intent, expect=200)
    await world.post(f"{g}/update", expect=202)

    first, second = [await world.contexts.read(instance) for instance in await instances(world, g)]
    assert [c.name for c in first.apps[0].clusters] == ["acme+hq"]
    assert [c.name for c in second.apps[0].clusters] == ["acme+east", "acme+hq"]
    assert "colour: red" in first.apps[0].clusters[0].resources[0].manifest
    assert "colour: blue" in second.apps[0].clusters[0].resources[0].manifest


async def test_the_revisions_say_what_each_was_made_from(world: Core) -> None:
    g = await deployed(world, "listed")
    await world.call("PUT", f"{APPS}/apps/web", **form(named("web"), chart(values="colour: green\n")))
    await world.post(f"{g}/update", expect=202)
    await world.post(f"{g}/rollback", named("x", revision="1"), expect=202)

    first, second, third = (await world.call("GET", f"{g}/revisions", expect=200)).json()
    assert [(r["revision"], r["verb"]) for r in (first, second, third)] == [
        (1, "instantiate"),
        (2, "update"),
        (3, "rollback"),
    ]
    assert [(r["current"], r["reachable"]) for r in (first, second, third)] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert first["instance"] == third["instance"] != second["instance"]
    assert third["deployedStatus"] == "Instantiated"
    assert (first["release"], first["logicalCloud"], first["compositeProfile"]) == ("listed", "lc", "prod")
    before, after = first["apps"][0], second["apps"][0]
    assert before["name"] == "web"
    assert before["chart"] != after["chart"]
    assert {**before, "chart": ""} == {**after, "chart": ""}
    assert all(re.fullmatch("[0-9a-f]{12}", before[part]) for part in ("chart", "profile", "intents"))
    await world.call("GET", f"{g}-none/revisions", expect=404)


async def test_what_is_still_terminating_is_neither_instantiated_nor_deleted_even_if_it_was_approved_again(
    world: Core,
) -> None:
    g = await deployed(world, "leaving")
    (instance,) = await instances(world, g)
    del world.outcome["uninstall"]
    await world.post(f"{g}/terminate", expect=202)
    world.outcome["uninstall"] = ContextState.TERMINATED
    await world.set_status(instance, ContextState.TERMINATING)
    for _ in range(2):
        refused = await world.post(f"{g}/instantiate", expect=409)
        assert refused.text.startswith("DeploymentIntentGroup leaving is still terminating; wait until")
        await world.post(f"{g}/approve", expect=202)
    await TestWhatIsKept.delete(world, g, expect=409)
    await world.set_status(instance, ContextState.TERMINATED)
    await world.call("DELETE", g, expect=204)


async def test_of_several_at_once_each_makes_a_revision_of_its_own_or_none(world: Core) -> None:
    g = await deployed(world, "crowded")
    answers = await asyncio.gather(*(world.call("POST", f"{g}/update") for _ in range(6)))
    made = sorted(answer.json() for answer in answers if answer.status_code == 202)
    assert made == list(range(2, 2 + len(made)))
    assert made
    assert all("is busy" in a.text or "others" in a.text for a in answers if a.status_code != 202)
    assert [revision for state, _, revision in await history(world, g) if state == "Instantiated"] == [1, *made]


class TestStop:
    async def test_an_installation_that_is_under_way_is_left_where_it_is(self, world: Core) -> None:
        g = await deployed(world, "stopped")
        (instance,) = await instances(world, g)
        await world.set_status(instance, ContextState.INSTANTIATING)
        await world.post(f"{g}/stop", expect=202)
        assert (await history(world, g))[-1] == ("InstantiateStopped", "A", 0)
        assert (await world.contexts.read_status(instance)).stop is True

    async def test_an_update_that_is_under_way_can_be_stopped_and_the_next_one_goes_on(self, world: Core) -> None:
        g = await deployed(world, "stopped-update")
        del world.outcome["update"]
        await world.post(f"{g}/update", expect=202)
        world.outcome["update"] = ContextState.INSTANTIATED
        _first, second = await instances(world, g)
        await world.set_status(second, ContextState.UPDATING)
        await world.post(f"{g}/stop", expect=202)
        assert (await world.contexts.read_status(second)).stop is True

        assert (await world.post(f"{g}/update", expect=202)).json() == 3
        assert (await history(world, g))[-3:] == [
            ("InstantiateStopped", "B", 0),
            ("Updated", "B", 2),
            ("Instantiated", "C", 3),
        ]
        assert (await world.contexts.read_status(second)).stop is False
        await world.post(f"{g}/rollback", named("x", revision="1"), expect=202)
        assert (await history(world, g))[-1] == ("Instantiated", "A", 4)

    async def test_a_termination_clears_the_stop_first(self, world: Core) -> None:
        g = await deployed(world, "stopped-then-gone")
        (instance,) = await instances(world, g)
        await world.set_status(instance, ContextState.INSTANTIATING)
        await world.post(f"{g}/stop", expect=202)
        await world.post(f"{g}/terminate", expect=202)
        assert (await world.contexts.read_status(instance)).stop is False
        assert (await history(world, g))[-1] == ("Terminated", "A", 0)

    async def test_what_a_stopped_termination_has_left_is_taken_over_by_the_next_instantiation(
        self, world: Core
    ) -> None:
        g = await deployed(world, "half-gone")
        (first,) = await instances(world, g)
        del world.outcome["uninstall"]
        await world.post(f"{g}/terminate", expect=202)
        world.outcome["uninstall"] = ContextState.TERMINATED
        await world.set_status(first, ContextState.TERMINATING)
        await world.post(f"{g}/stop", expect=202)
        refused = await world.post(f"{g}/instantiate", expect=409)
        assert refused.text.startswith("DeploymentIntentGroup half-gone is still terminating")
        await world.set_status(first, ContextState.TERMINATE_FAILED)

        await world.post(f"{g}/instantiate", expect=202)
        _, second = await instances(world, g)
        assert world.rsync.calls[-1] == ("update", f"{first}>{second}")
        assert (await history(world, g))[-2:] == [("TerminateStopped", "A", 0), ("Instantiated", "B", 2)]
        assert (await world.state_of(key_of(g)))["statusctxid"] == first


class TestGivingUp:
    """A cluster that is lost keeps nobody for ever (defect 33)."""

    async def test_a_termination_that_is_under_way_waits_no_longer_for_it(self, world: Core) -> None:
        g, instance = await self._leaving(world, "lost", ContextState.TERMINATING)
        asked = len(world.rsync.calls)
        await world.post(f"{g}/terminate?giveUp=acme%2Bhq", expect=202)
        assert len(world.rsync.calls) == asked, "the removal hears of it by itself"
        actions = (await world.state_of(key_of(g)))["actions"]
        assert (actions[-1]["state"], actions[-1]["reason"]) == ("Terminated", "gave up acme+hq")
        assert (await world.deps.bus.get(f"/context/{instance}/givenup/")).value == b'["acme+hq"]'

    async def test_a_termination_that_was_stopped_is_begun_again(self, world: Core) -> None:
        g, instance = await self._leaving(world, "lost-stopped", ContextState.TERMINATING)
        await world.post(f"{g}/stop", expect=202)
        await world.set_status(instance, ContextState.TERMINATE_FAILED)
        refused = await world.post(f"{g}/terminate", expect=409)
        assert refused.text == "DeploymentIntentGroup is not instantiated :lost-stopped\n"
        await world.post(f"{g}/terminate", params={"giveUp": ["acme+hq"]}, expect=202)
        assert world.rsync.calls[-1] == ("uninstall", instance)
        assert (await world.contexts.read_status(instance)).stop is False
        assert (await history(world, g))[-2:] == [("TerminateStopped", "A", 0), ("Terminated", "A", 0)]

    async def test_one_that_failed_may_simply_be_asked_for_again_and_one_that_ended_well_not(self, world: Core) -> None:
        g, instance = await self._leaving(world, "refused-once", ContextState.TERMINATE_FAILED)
        await world.post(f"{g}/terminate", expect=202)
        assert world.rsync.calls[-1] == ("uninstall", instance)
        assert (await history(world, g))[-2:] == [("Terminated", "A", 0), ("Terminated", "A", 0)]
        refused = await world.post(f"{g}/terminate", expect=409)
        assert refused.text == "DeploymentIntentGroup is not instantiated :refused-once\n"

    async def test_only_what_the_group_is_on_can_be_given_up(self, world: Core) -> None:
        g = await deployed(world, "named-wrongly")
        answer = await world.post(f"{g}/terminate?giveUp=acme%2Bmoon", expect=400)
        assert answer.text == "giveUp acme+moon: named-wrongly is not on this cluster; it is on acme+hq\n"
        await world.post(f"{g}/terminate?giveUp=acme%2Bhq", expect=202)
        over = await world.post(f"{g}/terminate?giveUp=acme%2Bhq", expect=409)
        assert over.text.startswith("DeploymentIntentGroup named-wrongly is terminated already")

    async def test_a_deployment_whose_context_is_lost_can_be_got_rid_of(self, world: Core) -> None:
        g = await deployed(world, "lost-context")
        (instance,) = await instances(world, g)
        await world.contexts.delete(instance)
        await world.post(f"{g}/terminate?giveUp=acme%2Bhq", expect=202)
        await TestWhatIsKept.delete(world, g)

    @staticmethod
    async def _leaving(world: Core, name: str, status: str) -> tuple[str, str]:
        g = await deployed(world, name)
        del world.outcome["uninstall"]
        await world.post(f"{g}/terminate", expect=202)
        world.outcome["uninstall"] = ContextState.TERMINATED
        (instance,) = await instances(world, g)
        await world.set_status(instance, status)
        return g, instance


class TestWhatIsKept:
    async def test_nothing_is_left_on_the_bus_of_a_group_that_is_deleted(self, world: Core) -> None:
        before = await world.contexts.ids()
        g = await deployed(world, "removed")
        for _ in range(2):
            await world.post(f"{g}/update", expect=202)
        await world.post(f"{g}/terminate", expect=202)
        await world.post(f"{g}/instantiate", expect=202)
        await world.post(f"{g}/terminate", expect=202)
        await self.delete(world, g)
        assert await world.contexts.ids() == before

    async def test_contexts_that_no_rollback_reaches_are_removed(self, world: Core) -> None:
        g = await deployed(world, "kept")
        for _ in range(12):
            for instance in (await instances(world, g))[:-1]:
                if await world.contexts.exists(instance):
                    await world.set_status(instance, ContextState.UPDATED)
            await world.post(f"{g}/update", expect=202)
        known = await instances(world, g)
        assert len(known) == 13
        # The first holds the status; the last but one is not known to be settled, and the last is there.
        await _until_gone(world, known[1])
        await _until_gone(world, known[2])
        kept = [instance for instance in known if await world.contexts.exists(instance)]
        assert kept == [known[0], *known[3:]]

    async def test_the_contexts_of_an_earlier_deployment_are_removed_when_a_new_one_has_begun(
        self, world: Core
    ) -> None:
        g = await deployed(world, "earlier")
        await world.post(f"{g}/terminate", expect=202)
        (first,) = await instances(world, g)
        assert await world.contexts.exists(first)
        await world.post(f"{g}/instantiate", expect=202)
        await _until_gone(world, first)

    @staticmethod
    async def delete(world: Core, g: str, *, expect: int = 204) -> None:
        for child in (
            "generic-placement-intents/place/app-intents/web",
            "generic-placement-intents/place",
            "intents/i",
        ):
            await world.call("DELETE", f"{g}/{child}", expect=204)
        await world.call("DELETE", g, expect=expect)


async def _until_gone(world: Core, instance: str) -> None:
    async with asyncio.timeout(5):
        while await world.contexts.exists(instance):  # noqa: ASYNC110  # removed in the background, which tells nobody
            await asyncio.sleep(0.01)
