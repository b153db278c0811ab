"""Every row of the error tables of the lifecycle: code and text (spec orchestrator-lifecycle 2, 2.2, 3.1, 4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio

from emco_common.appcontext import ContextState
from emco_common.controllers import RemoveCluster
from emco_common.rsyncclient import CONTROLLER_KEY
from tests.api.orchestrator.controllers import Log, Servicer, involve, placement, serving
from tests.api.orchestrator.lifecycle import deployed, history, instances, key_of, world
from tests.support.charts import chart, profile
from tests.support.core import GROUPS, Core, form, named
from tests.support.program import free_ports

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
NAME_RULE = "Invalid Input:\nDoes not match pattern '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$'"
NO_STATE = "DeploymentIntentGroup StateInfo not found"
NO_STATE_OF = f"DeploymentIntentGroup has no state info: none: {NO_STATE}"
LACKING = "The specified Logical Cloud doesn't provide the mandatory clusters"
NO_CLUSTERS = "No compatible clusters have been provided to the Deployment Intent Group"
TO_V2 = named("x", targetCompositeAppVersion="v2", targetDeploymentIntentGroup="none")
BACK = named("x", revision="1")


def row(text: str) -> pytest.MarkDecorator:
    return pytest.mark.conforms(f"orchestrator-lifecycle {text}")


def case(text: str, *given: Any) -> Any:
    return pytest.param(*given, marks=row(text), id=f"{text} {given[0]}")


async def refused(world: Core, path: str, status: int, text: str, body: Any = None) -> None:
    """The request is refused with the whole text, and leaves nothing on the bus."""
    before = await world.contexts.ids()
    answer = await world.call("POST", path, body)
    assert (answer.status_code, answer.text) == (status, f"{text}\n")
    assert await world.contexts.ids() == before


@pytest.mark.parametrize(
    ("verb", "body", "status", "text"),
    [
        case("2: migrate or rollback without a body", "migrate", None, 400, "Empty body"),
        case("2: migrate or rollback without a body", "rollback", None, 400, "Empty body"),
        case("2: migrate to a target that is not named", "migrate", named("x"), 400, f"{NAME_RULE}\n{NAME_RULE[15:]}"),
        case("2.2: approve, group missing", "approve", None, 404, NO_STATE_OF),
        case("2.2: instantiate, group missing", "instantiate", None, 404, "DeploymentIntentGroup not found"),
        case("2.2: terminate, group missing", "terminate", None, 404, NO_STATE_OF),
        case("2.2: stop, group missing", "stop", None, 404, NO_STATE_OF),
        case("2.2: update, group missing", "update", None, 404, NO_STATE),
        case("2.2: migrate, group missing", "migrate", TO_V2, 404, NO_STATE),
        case("2.2: rollback, group missing", "rollback", BACK, 404, NO_STATE),
    ],
)
async def test_a_request_about_no_group_or_without_its_body(
    world: Core, verb: str, body: Any, status: int, text: str
) -> None:
    await refused(world, f"{GROUPS}/none/{verb}", status, text, body)


@pytest.mark.parametrize(
    ("state", "verb", "body", "text"),
    [
        case(
            "2.2: instantiate before approve", "Created", "instantiate", None, "must be Approved before instantiating"
        ),
        case("2.2: approve while instantiated", "Instantiated", "approve", None, "has already been instantiated"),
        case(
            "2.2: instantiate while instantiated", "Instantiated", "instantiate", None, "has already been instantiated"
        ),
        case(
            "2.2: instantiate while stopped",
            "InstantiateStopped",
            "instantiate",
            None,
            "has already been instantiated and stopped",
        ),
        case("2.2: terminate in a wrong state", "Approved", "terminate", None, "is not instantiated :"),
        case("2.2: stop while approved", "Approved", "stop", None, "has not been instantiated:"),
        case("2.2: stop while created", "Created", "stop", None, "have not been approved: "),
        case("2.2: stop while stopped", "InstantiateStopped", "stop", None, "instantiation already stopped: "),
        case("2.2: stop while stopped", "TerminateStopped", "stop", None, "termination already stopped: "),
        case("2.2: update or migrate while not instantiated", "Approved", "update", None, "is not instantiated :"),
        case("2.2: update or migrate while not instantiated", "Terminated", "migrate", TO_V2, "is not instantiated :"),
    ],
)
async def test_what_the_state_forbids(world: Core, state: str, verb: str, body: Any, text: str) -> None:
    path = await in_state(world, f"{verb}-{state}".lower(), state)
    await refused(world, f"{path}/{verb}", 409, f"DeploymentIntentGroup {text}{path.rpartition('/')[2]}", body)


@pytest.mark.parametrize(
    ("state", "verb", "text"),
    [
        case("2.2: approve while stopped", "InstantiateStopped", "approve", "is in an unknown stateInstantiateStopped"),
        case("2.2: approve while stopped", "TerminateStopped", "approve", "is in an unknown stateTerminateStopped"),
        case("2.2: stop in another state", "Updated", "stop", "is in an invalid state: stop-updated Updated"),
    ],
)
async def test_what_a_state_forbids_in_words_that_name_it(world: Core, state: str, verb: str, text: str) -> None:
    path = await in_state(world, f"{verb}-{state}".lower(), state)
    await refused(world, f"{path}/{verb}", 409, f"DeploymentIntentGroup {text}")


async def in_state(world: Core, name: str, state: str) -> str:
    """A group whose history ends in a state; nothing else of its life is there."""
    path = await world.group(name)
    await world.put_state(key_of(path), ("Created", ""), *([] if state == "Created" else [(state, "")]))
    return path


@row("2.2: stop while nothing is under way")
async def test_there_is_nothing_to_stop_in_what_has_ended(world: Core) -> None:
    path = await deployed(world, "idle")
    await refused(world, f"{path}/stop", 409, "DeploymentIntentGroup is not instantiating or terminating:idle")


@row("2.2: terminate, context lost")
async def test_what_is_lost_cannot_be_removed(world: Core) -> None:
    path = await deployed(world, "forgotten")
    (instance,) = await instances(world, path)
    await world.contexts.delete(instance)
    answer = await world.call("POST", f"{path}/terminate")
    assert answer.status_code == 409
    assert answer.text.startswith(f"Error getting AppContext with Id: {instance}: Error finding the context id")
    assert (await world.call("POST", f"{path}/update")).status_code == 409


@row("2.2: migrate, target missing")
async def test_a_migration_to_nowhere(world: Core) -> None:
    path = await deployed(world, "nowhere")
    await refused(world, f"{path}/migrate", 404, "DeploymentIntentGroup not found", TO_V2)


@row("2.2: migrate, target not approved")
async def test_a_migration_to_a_group_that_is_not_approved(world: Core) -> None:
    path = await deployed(world, "hasty")
    await world.group("hasty-v2", version="v2")
    to = named("x", targetCompositeAppVersion="v2", targetDeploymentIntentGroup="hasty-v2")
    await refused(world, f"{path}/migrate", 409, "DeploymentIntentGroup is not approved :hasty-v2", to)


@pytest.mark.parametrize(
    ("revision", "status", "text"),
    [
        case("2.2: rollback to what is no number", "abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        case("2.2: rollback to what is no number", "1_0", 400, 'strconv.ParseInt: parsing "1_0": invalid syntax'),
        case("2.2: rollback to what is no number", "-1", 400, NAME_RULE),
        case("2.2: rollback to what is no number", "", 400, NAME_RULE),
        case("2.2: rollback to revision 0", "0", 409, "No matching ContextId found"),
        case("2.2: rollback to revision 0", "00", 409, "No matching ContextId found"),
        case("2.2: rollback to an unknown revision", "7", 409, "No matching ContextId found"),
        case("2.2: rollback to an unknown revision", "9" * 100, 409, "No matching ContextId found"),
    ],
)
async def test_a_rollback_to_no_revision(world: Core, revision: str, status: int, text: str) -> None:
    name = f"back-to-{revision[:5] or 'empty'}".replace("_", "-")
    path = await deployed(world, name)
    await world.post(f"{path}/update", expect=202)
    await refused(world, f"{path}/rollback", status, text, named("x", revision=revision))
    number = await world.call("POST", f"{path}/rollback", named("x", revision=1))
    assert number.status_code == 422


class TestRsync:
    """Whoever is asked for anything while rsync is away, or says no, finds the group as it was."""

    @row("2.2: rsync not registered")
    async def test_that_nobody_registered(self, world: Core) -> None:
        going, coming = await self._pair(world, "unregistered")
        record = await world.deps.store.get(CONTROLLER_KEY)
        assert record is not None
        await world.deps.store.delete(CONTROLLER_KEY)
        try:
            for path in (f"{going}/update", f"{going}/terminate", f"{coming}/instantiate"):
                answer = await world.call("POST", path)
                assert answer.status_code == 409
                assert answer.text.startswith("queryRsyncInfoInMCODB Failed - Could not get find rsync by name : rsync")
        finally:
            await world.deps.store.create(record)
        await self._unchanged(world, going, coming)

    @row("2.2: rsync unreachable")
    async def test_that_is_away(self, world: Core) -> None:
        going, coming = await self._pair(world, "away")
        record = await world.deps.store.get(CONTROLLER_KEY)
        assert record is not None
        (port,) = free_ports(1)
        present, record.body["spec"]["port"] = record.body["spec"]["port"], port
        record = await world.deps.store.replace(record)
        try:
            for path, called in (
                (f"{coming}/instantiate", "InstallApp"),
                (f"{going}/update", "UpdateApp"),
                (f"{going}/terminate", "UninstallApp"),
            ):
                answer = await world.call("POST", path)
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
                assert answer.text.startswith(f"{called} Failed - Could not get InstallAppClient: rsync")
        finally:
            record.body["spec"]["port"] = present
            await world.deps.store.replace(record)
        await self._unchanged(world, going, coming)

    @row("2.2: rsync refuses")
    async def test_that_says_no(self, world: Core) -> None:
        going, coming = await self._pair(world, "refusing")
        await world.post(f"{going}/update", expect=202)
        world.rsync.accepts, world.rsync.message = False, "the queue is full"
        try:
            await refused(world, f"{coming}/instantiate", 409, "InstallApp Failed: the queue is full")
            await refused(world, f"{going}/update", 409, "UpdateApp Failed: the queue is full")
            await refused(world, f"{going}/rollback", 409, "UpdateApp Failed: the queue is full", BACK)
            await refused(world, f"{going}/terminate", 409, "UninstallApp Failed: the queue is full")
        finally:
            world.rsync.accepts = True
        assert (await history(world, going))[-1] == ("Instantiated", "B", 2)
        assert (await history(world, coming))[-1] == ("Approved", "", 0)

    async def _pair(self, world: Core, name: str) -> tuple[str, str]:
        coming = await world.group(f"{name}-coming")
        await world.post(f"{coming}/approve", expect=202)
        return await deployed(world, f"{name}-going"), coming

    async def _unchanged(self, world: Core, going: str, coming: str) -> None:
        assert (await history(world, going))[-1] == ("Instantiated", "A", 1)
        assert (await history(world, coming))[-1] == ("Approved", "", 0)
        await world.post(f"{going}/terminate", expect=202)


class TestInputs:
    """What is missing or makes no sense is named, for instantiate and update alike."""

    @row("3.1: no placement intent in any group intent")
    async def test_no_intent_names_a_placement(self, world: Core) -> None:
        path = await approved(world, "unplaced", placed=False)
        await refused(world, f"{path}/instantiate", 404, "Intent not found")

    @row("3.1: app without a profile")
    async def test_an_app_has_no_profile(self, world: Core) -> None:
        base = await version(world, "bare", chart(), profiled=False)
        path = await approved(world, "bare", version="bare")
        answer = await world.call("POST", f"{path}/instantiate")
        assert (answer.status_code, answer.text.split(":")[0]) == (409, "AppProfileContent not found")
        await world.upload(f"{base}/composite-profiles/prod/profiles", named("web", app="web"), profile())
        await world.post(f"{path}/instantiate", expect=202)

    @row("3.1: chart that does not render")
    @pytest.mark.parametrize(
        ("name", "template", "has"),
        [
            ("fails", '{{ fail "no colour is given" }}', "no colour is given"),
            ("requires", '{{ required "a size is needed" .Values.size }}', "a size is needed"),
            ("unclosed", "{{ if }}", "missing value for if"),
            ("bad-yaml", "a: [", "YAML parse error on web/templates/a.yaml"),
            ("anonymous", "apiVersion: v1\nkind: ConfigMap", "metadata.name"),
        ],
    )
    async def test_a_chart_does_not_render(self, world: Core, name: str, template: str, has: str) -> None:
        await version(world, name, chart("web", {"a.yaml": template}))
        path = await approved(world, name, version=name)
        answer = await world.call("POST", f"{path}/instantiate")
        assert answer.status_code == 422
        assert has in answer.text

    @row("3.1: chart that does not render")
    async def test_a_release_has_a_name_that_helm_does_not_take(self, world: Core) -> None:
        path = await approved(world, "r1.0")
        answer = await world.call("POST", f"{path}/instantiate")
        assert answer.status_code == 422
        assert answer.text.startswith("release name r1.0 is not a valid DNS label: ")

    @row("3.1: chart that renders to nothing")
    async def test_a_chart_renders_to_nothing(self, world: Core) -> None:
        """There is no crash, and nothing to do for rsync."""
        await version(world, "empty", chart("web", {"a.yaml": "{{/* nothing */}}"}))
        path = await approved(world, "empty", version="empty")
        await world.post(f"{path}/instantiate", expect=202)
        (instance,) = await instances(world, path)
        assert [c.resources for c in (await world.contexts.read(instance)).apps[0].clusters] == [()]
        await world.post(f"{path}/terminate", expect=202)

    @row("3.1: app without placement")
    async def test_an_app_is_not_placed(self, world: Core) -> None:
        path = await approved(world, "nowhere-to-go", placed=False)
        await world.post(f"{path}/generic-placement-intents", named("place"))
        await world.post(f"{path}/intents", named("i", intent={"genericPlacementIntent": "place"}))
        await refused(world, f"{path}/instantiate", 422, NO_CLUSTERS)

    @row("3.1: labels that match no cluster")
    @pytest.mark.parametrize("kind", ["allOf", "anyOf"])
    async def test_a_label_matches_nothing(self, world: Core, kind: str) -> None:
        rule = {kind: [{"clusterProvider": "acme", "clusterLabel": "moon"}]}
        path = await approved(world, f"moon-{kind.lower()}", rule=rule)
        why = "app web: label moon matches no cluster of provider acme; label a cluster or change the intent"
        await refused(world, f"{path}/instantiate", 422, f"{NO_CLUSTERS}: {why}")

    async def test_a_label_is_of_a_provider_that_is_not_there(self, world: Core) -> None:
        path = await approved(world, "no-provider", rule={"allOf": [{"clusterProvider": "no", "clusterLabel": "x"}]})
        await refused(world, f"{path}/instantiate", 409, "Cluster provider not found")

    @row("3.1: cloud lacks a mandatory cluster")
    async def test_the_cloud_lacks_a_cluster(self, world: Core) -> None:
        path = await approved(world, "outside", rule={"allOf": [{"clusterProvider": "acme", "cluster": "outer"}]})
        await refused(world, f"{path}/instantiate", 400, LACKING)
        optional = await approved(
            world, "outside-any", rule={"anyOf": [{"clusterProvider": "acme", "cluster": "outer"}]}
        )
        await refused(world, f"{optional}/instantiate", 400, f"{LACKING}: app web needs one of acme+outer")

    async def test_two_placements_are_named(self, world: Core) -> None:
        path = await approved(world, "two-placements")
        await world.post(f"{path}/generic-placement-intents", named("other"))
        await world.post(f"{path}/intents", named("j", intent={"genericPlacementIntent": "other"}))
        text = "The intents of two-placements name several placement intents: other, place; keep one"
        await refused(world, f"{path}/instantiate", 409, text)

    async def test_an_update_meets_the_same_refusals_and_leaves_what_is_there(self, world: Core) -> None:
        path = await deployed(world, "moved")
        body = named("web", app="web", intent={"allOf": [{"clusterProvider": "acme", "cluster": "outer"}]})
        await world.call("PUT", f"{path}/generic-placement-intents/place/app-intents/web", body, expect=200)
        await refused(world, f"{path}/update", 400, LACKING)
        assert (await history(world, path))[-1] == ("Instantiated", "A", 1)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def outer(world: Core) -> AsyncIterator[None]:
    """A cluster that the cloud does not have."""
    await world.cluster("outer")
    yield


class TestControllers:
    @row("3.1: placement controller unreachable")
    async def test_that_places_is_away(self, world: Core) -> None:
        path = await self._with_none(world, "place-away", "placement")
        answer = await world.call("POST", f"{path}/instantiate")
        text = "FilterClusters Failed - Could not get client connection. controllerName[place-away] appContextId["
        assert (answer.status_code, answer.text.startswith(text)) == (503, True)
        assert (await history(world, path))[-1] == ("Approved", "", 0)

    @row("3.1: action controller unreachable")
    async def test_that_acts_is_away(self, world: Core) -> None:
        path = await self._with_none(world, "act-away", "action")
        await refused(
            world, f"{path}/instantiate", 503, "ContextUpdate Failed - Could not get ContextupdateClient: act-away"
        )

    @row("3.1: placement controller refuses")
    async def test_that_places_says_no(self, world: Core) -> None:
        path, servicer = await approved(world, "place-no"), Servicer("place-no", Log(), says="no room")
        async with serving(world, "place-no", "placement", servicer.register):
            await involve(world, path, "c", **{"place-no": "x"})
            answer = await world.call("POST", f"{path}/instantiate")
        instance = servicer.log.calls[0][2]
        where = f"controllerName[place-no] appContextId[{instance}]"
        text = f"FilterClusters UnSuccessful - Received message[no room] for {where}\n"
        assert (answer.status_code, answer.text) == (422, text)
        assert not await world.contexts.exists(instance)

    @row("3.1: action controller refuses")
    async def test_that_acts_says_no(self, world: Core) -> None:
        path, servicer = await approved(world, "act-no"), Servicer("act-no", Log(), says="no intent x")
        async with serving(world, "act-no", "action", servicer.register):
            await involve(world, path, "c", **{"act-no": "x"})
            await refused(world, f"{path}/instantiate", 422, "ContextUpdate Failed: no intent x")
            servicer.aborts = grpc.StatusCode.INTERNAL
            text = "rpc error: code = Internal desc = no intent x"
            await refused(world, f"{path}/instantiate", 422, text)

    @row("3.1: no cluster is left after placement")
    async def test_that_places_leaves_nothing(self, world: Core) -> None:
        path = await approved(world, "place-none")
        made = placement(world, "place-none", Log(), RemoveCluster("web", "acme+hq"))
        async with serving(world, "place-none", "placement", made):
            await involve(world, path, "c", **{"place-none": "x"})
            text = "No Qualified Clusters to deploy App web: the placement controllers left none"
            await refused(world, f"{path}/instantiate", 422, text)

    @row("2.2: terminate, a controller refuses")
    async def test_that_objects_to_a_termination(self, world: Core) -> None:
        path, servicer = await approved(world, "keeps"), Servicer("keeps", Log())
        async with serving(world, "keeps", "action", servicer.register):
            await involve(world, path, "c", keeps="x")
            await world.post(f"{path}/instantiate", expect=202)
            servicer.says = "a child context is in use"
            text = "Error in callTerminateScheduler: a child context is in use"
            await refused(world, f"{path}/terminate", 422, text)
            assert (await history(world, path))[-1] == ("Instantiated", "A", 1)
            servicer.says = ""
            await world.post(f"{path}/terminate", expect=202)

    async def _with_none(self, world: Core, name: str, kind: str) -> str:
        path = await approved(world, name)
        (port,) = free_ports(1)
        await world.post("/v2/controllers", named(name, host="127.0.0.1", port=port, type=kind, priority=1))
        await involve(world, path, "c", **{name: "x"})
        return path


@dataclass(frozen=True)
class Unfit:
    row: str
    status: str
    text: str


CLOUDS = [
    Unfit("terminated", ContextState.TERMINATED, "is not currently instantiated (has been terminated)."),
    Unfit("instantiating", ContextState.INSTANTIATING, "is still instantiating, please wait and try again."),
    Unfit("terminating", ContextState.TERMINATING, "is terminating, so it can no longer receive DIGs."),
    Unfit(
        "failed instantiating",
        ContextState.INSTANTIATE_FAILED,
        "has failed instanting, so it can't receive DIGs.",
    ),
    Unfit(
        "failed terminating",
        ContextState.TERMINATE_FAILED,
        "has failed terminating, so for safety it can no longer receive DIGs.",
    ),
    Unfit("in another situation", ContextState.CREATED, "isn't in an expected status so not taking any action."),
    Unfit("in another situation", ContextState.UPDATING, "isn't in an expected status so not taking any action."),
]


@pytest.mark.parametrize(
    "unfit", [pytest.param(c, marks=row(f"4: cloud {c.row}"), id=f"{c.row} {c.status}") for c in CLOUDS]
)
async def test_a_cloud_in_no_state_to_take_a_group(world: Core, unfit: Unfit) -> None:
    path = await approved(world, f"cloud-{unfit.status}".lower())
    state = await world.state_of({"project": "p", "logicalCloud": "lc"})
    instance = state["actions"][-1]["instance"]
    with_status = await world.contexts.get_status(instance)
    await world.set_status(instance, unfit.status)
    try:
        await refused(world, f"{path}/instantiate", 409, f"The Logical Cloud {unfit.text}")
    finally:
        await world.set_status(instance, with_status or "")


@row("3.1: logical cloud never instantiated")
async def test_a_cloud_that_never_was_there(world: Core) -> None:
    await world.cloud("cold", "hq")
    path = await approved(world, "cold", logicalCloud="cold")
    await refused(world, f"{path}/instantiate", 409, "The Logical Cloud has never been instantiated")


async def approved(world: Core, name: str, *, rule: Any = None, placed: bool = True, **more: Any) -> str:
    path = await world.group(name, placed=False, **more)
    if placed:
        await world.placed(path, rule)
    await world.post(f"{path}/approve", expect=202)
    return path


async def version(world: Core, name: str, packed: bytes, *, profiled: bool = True) -> str:
    """A version of the composite app whose app ``web`` has this chart."""
    await world.post("/v2/projects/p/composite-apps", named("shop", compositeAppVersion=name))
    base = f"/v2/projects/p/composite-apps/shop/{name}"
    await world.post(f"{base}/apps", **form(named("web"), packed))
    await world.post(f"{base}/composite-profiles", named("prod"))
    if profiled:
        await world.upload(f"{base}/composite-profiles/prod/profiles", named("web", app="web"), profile())
    return base
