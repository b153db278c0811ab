"""What holds for the orchestrator's resources beyond one request: defaults, replacement, references, controllers."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import aio

from emco_common.rpc.serving import GrpcServer
from emco_common.store.api import Document
from tests.conformance.cases import HAS_CHILDREN, IS_REFERENCED, NAME_RULE, world
from tests.support.charts import chart, profile
from tests.support.core import APPS, GROUP_KEY, GROUPS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

EMPTY = {"description": "", "userData1": "", "userData2": ""}
PROBLEM = {"Accept": "application/problem+json"}
G = f"{GROUPS}/g"
HQ = {"clusterProvider": "acme", "cluster": "hq"}
CONTROLLERS = "/v2/controllers"


@pytest.mark.parametrize(
    ("path", "body", "shown"),
    [
        ("/v2/projects", {"metadata": {"name": "least"}}, {}),
        (
            "/v2/projects/p/composite-apps",
            {"METADATA": {"NAME": "least", "surplus": 1}, "Spec": {"COMPOSITEAPPVERSION": "1.0.0+build.7"}},
            {"spec": {"compositeAppVersion": "1.0.0+build.7"}},
        ),
        (f"{APPS}/composite-profiles", {"metadata": {"name": "least", "description": None}, "spec": {"a": 1}}, {}),
        (
            GROUPS,
            named("least", compositeProfile="prod", version="r", logicalCloud="lc", overrideValues=None),
            {"spec": {"compositeProfile": "prod", "version": "r", "overrideValues": [], "logicalCloud": "lc"}},
        ),
        (f"{G}/intents", named("least", intent={}), {"spec": {"intent": {}}}),
        (f"{G}/generic-placement-intents", named("least", logicalCloud="dropped"), {}),
        (CONTROLLERS, {"metadata": {"name": "least"}}, {"spec": {"host": "", "port": 0, "type": "", "priority": 0}}),
    ],
    ids=["project", "composite app", "composite profile", "group", "group intent", "placement intent", "controller"],
)
async def test_what_is_not_given_has_its_default_and_what_is_not_known_is_dropped(
    world: Core, path: str, body: Any, shown: Any
) -> None:
    made = await world.post(path, body)
    assert made.json() == {"metadata": {"name": "least", **EMPTY}} | shown
    item = f"{path}/least" + ("/1.0.0+build.7" if path.endswith("composite-apps") else "")
    assert (await world.call("GET", item)).json() == made.json()
    await world.call("DELETE", item, expect=204)


@pytest.mark.parametrize(
    ("raw", "status", "text"),
    [
        (b" \n", 400, "Empty body"),
        (b"{}", 400, NAME_RULE),
        (b"null", 400, NAME_RULE),
        (b'{"metadata":{"name":null}}', 400, NAME_RULE),
        (b'{"metadata":{"name":"a/b"}}', 400, NAME_RULE),
        (b'{"metadata":{"name":"a\\n"}}', 400, NAME_RULE),
        (b'{"metadata":{"name":"\xd0\xb0"}}', 400, NAME_RULE),
        (b'{"metadata":{"name":"%s"}}' % (b"x" * 129), 400, "String length must be less than or equal to 128"),
        (b'{"metadata":{"name":"a","userData2":"%s"}}' % (b"x" * 513), 400, "must be less than or equal to 512"),
        (b'{"metadata":[]}', 422, "metadata"),
        (b'[{"metadata":{"name":"a"}}]', 422, "cannot unmarshal array"),
        (b"[" * 5000, 422, ""),
        (b'{"metadata":{"name":NaN}}', 422, "NaN is not JSON"),
        (b'{"metadata":{"name":"a"', 422, "unexpected EOF"),
        (b"\xff\xfe", 422, "not UTF-8"),
    ],
)
@pytest.mark.parametrize("path", ["/v2/projects", f"{APPS}/composite-profiles", f"{G}/generic-placement-intents"])
async def test_a_body_that_is_none_is_refused(world: Core, path: str, raw: bytes, status: int, text: str) -> None:
    answer = await world.call("POST", path, content=raw)
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


async def test_what_follows_a_body_and_a_second_spelling_of_a_key_are_passed_over(world: Core) -> None:
    raw = b'{"metadata":{"NAME":"loud","name":"exact"}} and more'
    assert (await world.call("POST", "/v2/projects", content=raw, expect=201)).json()["metadata"]["name"] == "exact"
    await world.call("DELETE", "/v2/projects/exact", expect=204)


async def test_two_versions_of_a_composite_app_are_two(world: Core) -> None:
    path = "/v2/projects/p/composite-apps"
    await world.post(path, named("shop", compositeAppVersion="v2"))
    versions = [one["spec"]["compositeAppVersion"] for one in (await world.call("GET", path)).json()]
    assert versions == ["v1", "v2"]
    assert (await world.call("GET", f"{path}/shop/v2/apps")).json() == []
    await world.call("DELETE", f"{path}/shop/v2", expect=204)


async def test_what_has_no_members_is_an_empty_list(world: Core) -> None:
    path = await world.group("lonely", placed=False)
    assert (await world.call("GET", f"{path}/intents")).json() == {"intent": []}
    for empty in (f"{path}/generic-placement-intents", f"{APPS}/apps/web/dependency"):
        assert (await world.call("GET", empty)).json() == []
    unknown = f"{GROUPS}/none/generic-placement-intents"
    assert (await world.call("GET", unknown, expect=200)).json() == []
    await world.call("DELETE", path, expect=204)


async def test_an_app_intent_is_answered_without_what_is_empty(world: Core) -> None:
    path = f"{G}/generic-placement-intents/place/app-intents"
    rule = {"allOf": [{**HQ, "clusterLabel": "", "anyOf": []}], "anyOf": []}
    body = {"metadata": {"name": "sparse", "description": ""}, "spec": {"app": "web", "intent": rule}}
    made = await world.post(path, body)
    assert made.json() == {"metadata": {"name": "sparse"}, "spec": {"app": "web", "intent": {"allOf": [HQ]}}}
    bare = await world.call("PUT", f"{path}/sparse", named("sparse", app="web"), expect=200)
    assert bare.json() == {"metadata": {"name": "sparse"}, "spec": {"app": "web", "intent": {}}}
    await world.call("DELETE", f"{path}/sparse", expect=204)


@pytest.mark.parametrize(
    ("path", "body", "created"),
    [
        ("/v2/projects/put", named("put"), 200),
        ("/v2/projects/p/composite-apps/put/v2", named("put", compositeAppVersion="v2"), 201),
        (f"{APPS}/composite-profiles/put", named("put"), 201),
        (f"{GROUPS}/put", named("put", compositeProfile="prod", version="r", logicalCloud="lc"), 201),
        (f"{G}/intents/put", named("put", intent={}), 201),
        (f"{G}/generic-placement-intents/put", named("put"), 201),
        (f"{G}/generic-placement-intents/place/app-intents/put", named("put", app="web"), 201),
        (f"{CONTROLLERS}/put", named("put", host="h", port=1), 201),
    ],
    ids=lambda value: value.split("/")[-2] if isinstance(value, str) else "",
)
async def test_put_makes_what_is_not_there_and_replaces_what_is(
    world: Core, path: str, body: Any, created: int
) -> None:
    await world.call("PUT", path, body, expect=created)
    changed = {**body, "metadata": {"name": "put", "description": "changed"}}
    assert (await world.call("PUT", path, changed, expect=200)).json()["metadata"]["description"] == "changed"
    assert (await world.call("GET", path)).json()["metadata"]["description"] == "changed"
    await world.call("DELETE", path, expect=204)


async def test_a_put_is_checked_like_a_post(world: Core) -> None:
    long = {"metadata": {"name": "p", "description": "x" * 1025}}
    answer = await world.call("PUT", "/v2/projects/p", long, expect=400, headers=PROBLEM)
    assert answer.json()["detail"] == "metadata.description: String length must be less than or equal to 1024"
    port = named("rsync", host="h", port=-1)
    assert "greater than or equal to 0" in (await world.call("PUT", f"{CONTROLLERS}/rsync", port, expect=400)).text


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/v2/projects/p", "Below it is project p, "),
        (APPS, "Below it is project p, compositeApp shop, compositeAppVersion v1, "),
        (f"{APPS}/apps/web", "Below it is "),
        (f"{APPS}/composite-profiles/prod", "appProfile web-prod"),
        (G, "deploymentIntentGroup g, "),
        (f"{G}/generic-placement-intents/place", "genericAppPlacementIntent web"),
    ],
)
async def test_what_stands_in_the_way_of_a_deletion_is_named(world: Core, path: str, who: str) -> None:
    answer = await world.call("DELETE", path, headers=PROBLEM)
    assert answer.status_code == 409
    assert answer.json()["title"] == HAS_CHILDREN
    assert who in answer.json()["detail"]


async def test_who_refers_to_what_is_to_be_deleted_is_named(world: Core) -> None:
    await world.post(f"{APPS}/composite-profiles", named("bare"))
    body = named("of-bare", compositeProfile="bare", version="r", logicalCloud="lc")
    await world.post(GROUPS, body)
    answer = await world.call("DELETE", f"{APPS}/composite-profiles/bare", expect=409, headers=PROBLEM)
    assert answer.json()["title"] == IS_REFERENCED
    assert answer.json()["detail"].endswith("deploymentIntentGroup of-bare")
    # What a replacement no longer names is free again.
    await world.call("PUT", f"{GROUPS}/of-bare", named("of-bare", **body["spec"] | {"compositeProfile": "prod"}))
    await world.call("DELETE", f"{APPS}/composite-profiles/bare", expect=204)
    await world.call("DELETE", f"{GROUPS}/of-bare", expect=204)


async def test_profiles_of_no_composite_profile_are_an_empty_list(world: Core) -> None:
    for path in ("composite-profiles/none/profiles", "composite-profiles/none/profiles/"):
        assert (await world.call("GET", f"{APPS}/{path}", expect=200)).json() == []


async def test_profiles_for_no_app_do_not_exclude_each_other(world: Core) -> None:
    path = f"{APPS}/composite-profiles/prod/profiles"
    for name in ("first", "second"):
        await world.upload(path, named(name), profile())
    for name in ("first", "second"):
        await world.call("DELETE", f"{path}/{name}", expect=204)


async def test_a_put_gives_no_app_two_profiles(world: Core) -> None:
    path = f"{APPS}/composite-profiles/prod/profiles/web-second"
    answer = await world.call(
        "PUT", path, expect=409, headers=PROBLEM, **form(named("web-second", app="web"), profile())
    )
    assert answer.json() | {"instance": ""} == {
        "type": "about:blank",
        "status": 409,
        "title": "App already has an AppProfile",
        "detail": "It is web-prod",
        "instance": "",
    }


@pytest.mark.parametrize("slash", ["", "/"])
async def test_queries_are_answered_with_and_without_a_slash(world: Core, slash: str) -> None:
    profiles = f"{APPS}/composite-profiles/prod/profiles{slash}"
    assert (await world.call("GET", f"{profiles}?app=web")).json()["metadata"]["name"] == "web-prod"
    assert [one["metadata"]["name"] for one in (await world.call("GET", f"{profiles}?app=")).json()] == ["web-prod"]
    intents = f"{G}/intents{slash}"
    assert (await world.call("GET", f"{intents}?intent=i")).json() == {"intent": {"genericPlacementIntent": "place"}}
    placed = f"{G}/generic-placement-intents/place/app-intents{slash}"
    for query in ("app=web", "app-name=web", "app=web&app-name=web"):
        assert (await world.call("GET", f"{placed}?{query}")).json()["app"] == "web"
    assert (await world.call("GET", f"{placed}?app=none")).json() == {"intent": {}}


@pytest.mark.parametrize("state", ["Approved", "Instantiated", "InstantiateStopped", "Terminated", "Updated"])
async def test_the_intents_of_a_group_may_change_in_any_state(world: Core, state: str) -> None:
    path = await world.group(state.lower())
    await world.put_state(
        {**GROUP_KEY, "deploymentIntentGroup": state.lower()}, ("Created", ""), ("Approved", ""), (state, "")
    )
    placed = f"{path}/generic-placement-intents/place/app-intents"
    await world.call("PUT", f"{placed}/web", named("web", app="web", intent={"anyOf": [HQ]}), expect=200)
    await world.call("DELETE", f"{placed}/web", expect=204)
    await world.post(placed, named("web", app="web", intent={"allOf": [HQ]}))
    await world.call("PUT", f"{path}/generic-placement-intents/place", named("place"), expect=200)
    await world.call("PUT", f"{path}/intents/i", named("i", intent={}), expect=200)
    await world.call("DELETE", f"{path}/intents/i", expect=204)
    own = named(state.lower(), compositeProfile="prod", version="r", logicalCloud="lc")
    refused = await world.call("PUT", path, own, expect=409)
    assert refused.text == "The specified DeploymentIntentGroup is not in Created status\n"


async def test_values_of_an_app_that_went_do_not_hold_up_the_group(world: Core) -> None:
    await world.upload(f"{APPS}/apps", named("leaving"), chart("leaving"))
    values = [{"app": "web", "values": {"a.b": "1"}}, {"app": "leaving", "values": {}}]
    body = named("overriding", compositeProfile="prod", version="r", logicalCloud="lc", overrideValues=values)
    made = await world.post(GROUPS, body)
    assert made.json()["spec"]["overrideValues"] == values
    await world.call("DELETE", f"{APPS}/apps/leaving", expect=204)
    assert (await world.call("GET", f"{GROUPS}/overriding")).json() == made.json()
    await world.call("DELETE", f"{GROUPS}/overriding", expect=204)


async def test_a_name_in_override_values_refers_to_nothing(world: Core) -> None:
    names = {"project": "none", "logicalCloud": "none", "compositeApp": "none", "cluster": "none"}
    body = named(
        "misleading",
        compositeProfile="prod",
        version="r",
        logicalCloud="lc",
        overrideValues=[{"app": "web", "values": names}],
    )
    await world.post(GROUPS, body)
    await world.call("DELETE", f"{GROUPS}/misleading", expect=204)


class TestControllers:
    async def test_of_other_groups_do_not_collide(self, world: Core) -> None:
        key = {"controller": "twin", "controllerGroup": "dtc"}
        await world.deps.store.create(Document(key, named("twin", host="dtc", port=1)))
        await world.call("GET", f"{CONTROLLERS}/twin", expect=404)
        await world.post(CONTROLLERS, named("twin", host="127.0.0.1", port=9))
        assert "twin" in [one["metadata"]["name"] for one in (await world.call("GET", CONTROLLERS)).json()]
        await world.call("DELETE", f"{CONTROLLERS}/twin", expect=204)
        assert await world.deps.store.get(key) is not None

    async def test_that_move_or_go_are_not_spoken_to_at_the_old_address(self, world: Core) -> None:
        async with Listening() as old, Listening() as new:
            await world.post(CONTROLLERS, named("mover", host="127.0.0.1", port=old, type="action"))
            await world.post(CONTROLLERS, named("neighbour", host="127.0.0.1", port=old, type="action"))
            first = await world.deps.channels.ready("127.0.0.1", old)

            moved = named("mover", host="127.0.0.1", port=new, type="action")
            await world.call("PUT", f"{CONTROLLERS}/mover", moved, expect=200)
            assert await world.deps.channels.ready("127.0.0.1", old) is first, "the neighbour still lives there"

            await world.call("DELETE", f"{CONTROLLERS}/neighbour", expect=204)
            assert await world.deps.channels.ready("127.0.0.1", old) is not first

            kept = await world.deps.channels.ready("127.0.0.1", new)
            await world.call("PUT", f"{CONTROLLERS}/mover", moved, expect=200)
            assert await world.deps.channels.ready("127.0.0.1", new) is kept, "nothing has changed"
            await world.call("DELETE", f"{CONTROLLERS}/mover", expect=204)
            assert await world.deps.channels.ready("127.0.0.1", new) is not kept


class Listening:
    """A gRPC server that serves nothing; its port."""

    def __init__(self) -> None:
        self._server = GrpcServer("127.0.0.1", 0, _serve_nothing)

    async def __aenter__(self) -> int:
        await self._server.start()
        return self._server.port

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)


def _serve_nothing(_server: aio.Server) -> None:
    """A peer that can be reached is all that is needed."""
