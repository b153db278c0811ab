"""The orchestrator's resources over HTTP (spec orchestrator-api 5 and 9)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.rpc.channels import Channels
from emco_common.runtime import Deps
from emco_common.secrets import Sealer
from emco_common.store.api import Document
from emco_common.store.sqlite import SqliteStore
from emco_orchestrator.app import create_service
from emco_orchestrator.settings import OrchestratorSettings
from tests.support.charts import chart, profile

APPS = "/v2/projects/p/composite-apps/shop/v1"
GROUP = f"{APPS}/deployment-intent-groups/g"
PARENT_MISSING = "Cannot perform requested operation. Parent resource not found\n"
NAME_RULE = "Invalid Input:\nDoes not match pattern '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$'\n"


def named(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}} | ({"spec": spec} if spec else {})


def form(body: Any, file: bytes) -> dict[str, Any]:
    return {"data": {"metadata": json.dumps(body)}, "files": {"file": ("file.tgz", file)}}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = await SqliteStore.open(tmp_path / "store.db")
    bus = await EmbeddedBus.open(":memory:")
    deps = Deps(store, bus, Sealer("key"), Channels(connect_timeout=1))
    service = create_service(OrchestratorSettings(), deps)
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    # What other services keep in the store: a cloud and a cluster to refer to.
    await store.create(Document(key={"clusterProvider": "acme"}, body={}))
    await store.create(Document(key={"clusterProvider": "acme", "cluster": "hq"}, body={}))
    async with httpx.AsyncClient(transport=transport, base_url="http://orchestrator") as client:
        await client.post("/v2/projects", json=named("p"))
        await client.post("/v2/projects/p/composite-apps", json=named("shop", compositeAppVersion="v1"))
        await store.create(Document(key={"project": "p", "logicalCloud": "lc"}, body={}))
        yield client
    await bus.close()
    await store.close()


async def with_group(client: httpx.AsyncClient) -> None:
    await client.post(f"{APPS}/apps", **form(named("web"), chart()))
    await client.post(f"{APPS}/composite-profiles", json=named("prod"))
    spec = {"compositeProfile": "prod", "version": "r1", "logicalCloud": "lc"}
    made = await client.post(f"{APPS}/deployment-intent-groups", json=named("g", **spec))
    assert made.status_code == 201, made.text


class TestProjects:
    async def test_are_echoed_with_every_member_of_their_metadata(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/projects", json=named("retail"))
        body = {"metadata": {"name": "retail", "description": "", "userData1": "", "userData2": ""}}
        assert (answer.status_code, answer.json()) == (201, body)
        assert answer.content.endswith(b"\n")

    async def test_twice_is_a_conflict(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/projects", json=named("p"))
        assert (answer.status_code, answer.text) == (409, "Project already exists\n")

    @pytest.mark.parametrize(
        ("raw", "status", "text"),
        [
            (b"", 400, "Empty body\n"),
            (b" \n", 400, "Empty body\n"),
            (b"{", 422, "unexpected EOF\n"),
            (b"{}", 400, NAME_RULE),
            (b'{"metadata":{"name":null}}', 400, NAME_RULE),
            (b'{"metadata":{"name":"a/b"}}', 400, NAME_RULE),
            (b'{"metadata":{"name":"a","description":"%s"}}' % (b"x" * 1025), 400, None),
            (b'{"metadata":{"name":7}}', 422, None),
            (b'[{"metadata":{"name":"a"}}]', 422, None),
            (b"[" * 5000, 422, None),
        ],
    )
    async def test_bad_bodies_are_refused(
        self, client: httpx.AsyncClient, raw: bytes, status: int, text: str | None
    ) -> None:
        answer = await client.post("/v2/projects", content=raw)
        assert answer.status_code == status
        assert text is None or answer.text == text

    async def test_keys_match_without_regard_to_case(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/projects", json={"METADATA": {"Name": "loud", "unknown": 1}})
        assert (answer.status_code, answer.json()["metadata"]["name"]) == (201, "loud")

    async def test_put_creates_or_replaces_with_200(self, client: httpx.AsyncClient) -> None:
        assert (await client.put("/v2/projects/q", json=named("q"))).status_code == 200
        assert (await client.put("/v2/projects/q", json=named("q"))).status_code == 200
        other = await client.put("/v2/projects/q", json=named("r"))
        assert (other.status_code, other.text) == (400, "Mismatched name in PUT request\n")

    async def test_a_stale_etag_is_refused(self, client: httpx.AsyncClient) -> None:
        etag = (await client.get("/v2/projects/p")).headers["etag"]
        assert (await client.put("/v2/projects/p", json=named("p"), headers={"If-Match": etag})).status_code == 200
        assert (await client.put("/v2/projects/p", json=named("p"), headers={"If-Match": etag})).status_code == 412

    async def test_with_children_stay(self, client: httpx.AsyncClient) -> None:
        answer = await client.delete("/v2/projects/p")
        assert (answer.status_code, answer.text) == (
            409,
            "Cannot delete parent without deleting child references first\n",
        )
        assert (await client.delete("/v2/projects/none")).text == "Project not found\n"


class TestCompositeApps:
    async def test_two_versions_of_a_name_coexist(self, client: httpx.AsyncClient) -> None:
        await client.post("/v2/projects/p/composite-apps", json=named("shop", compositeAppVersion="v2"))
        listed = (await client.get("/v2/projects/p/composite-apps")).json()
        assert [item["spec"]["compositeAppVersion"] for item in listed] == ["v1", "v2"]

    async def test_without_version_or_project_are_refused(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/v2/projects/p/composite-apps", json=named("x"))).status_code == 400
        answer = await client.post("/v2/projects/none/composite-apps", json=named("x", compositeAppVersion="v1"))
        assert (answer.status_code, answer.text) == (409, PARENT_MISSING)
        assert (await client.get("/v2/projects/none/composite-apps")).text == "Project not found\n"
        assert (await client.get("/v2/projects/p/composite-apps/none/v1")).text == "App not found\n"


class TestApps:
    async def test_come_back_as_metadata_file_or_both(self, client: httpx.AsyncClient) -> None:
        packed = chart()
        made = await client.post(f"{APPS}/apps", **form(named("web"), packed))
        assert made.status_code == 201, made.text
        read = f"{APPS}/apps/web"
        assert (await client.get(read)).json()["metadata"]["name"] == "web"
        assert (await client.get(read, headers={"Accept": "application/octet-stream"})).content == packed
        both = await client.get(read, headers={"Accept": "multipart/form-data"})
        boundary = both.headers["content-type"].partition("boundary=")[2]
        assert packed in both.content
        assert both.content.endswith(f"--{boundary}--\r\n".encode())
        assert (await client.get(read, headers={"Accept": "text/html"})).status_code == 300
        assert (await client.get(read, headers={"Accept": "a/b/c"})).status_code == 406

    async def test_replacing_one_replaces_its_file(self, client: httpx.AsyncClient) -> None:
        await client.post(f"{APPS}/apps", **form(named("web"), chart()))
        newer = chart(values="colour: blue\n")
        assert (await client.put(f"{APPS}/apps/web", **form(named("web"), newer))).status_code == 200
        read = await client.get(f"{APPS}/apps/web", headers={"Accept": "application/octet-stream"})
        assert read.content == newer

    async def test_need_a_form_with_metadata_and_a_file(self, client: httpx.AsyncClient) -> None:
        plain = await client.post(f"{APPS}/apps", json=named("web"))
        assert (plain.status_code, plain.text) == (422, "request Content-Type isn't multipart/form-data\n")
        headers = {"Content-Type": "multipart/form-data"}
        assert (await client.post(f"{APPS}/apps", content=b"x", headers=headers)).status_code == 422
        no_metadata = await client.post(f"{APPS}/apps", files={"file": ("a", b"x")})
        assert (no_metadata.status_code, no_metadata.text) == (400, "Empty body\n")
        no_file = await client.post(f"{APPS}/apps", data={"metadata": "{}"}, files={"other": ("a", b"x")})
        assert (no_file.status_code, no_file.text) == (400, NAME_RULE)
        no_file = await client.post(
            f"{APPS}/apps", data={"metadata": json.dumps(named("web"))}, files={"other": ("a", b"x")}
        )
        assert (no_file.status_code, no_file.text) == (422, "Unable to process file\n")

    async def test_used_by_a_profile_stay(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        profiles = f"{APPS}/composite-profiles/prod/profiles"
        await client.post(profiles, **form(named("web-prod", app="web"), profile()))
        answer = await client.delete(f"{APPS}/apps/web")
        assert (answer.status_code, answer.text) == (
            409,
            "Cannot delete parent without deleting child references first\n",
        )


class TestAppDependencies:
    async def test_are_checked_and_echoed(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        path = f"{APPS}/apps/web/dependency"
        assert (await client.get(path)).json() == []
        made = await client.post(path, json=named("first", app="db", opStatus="Ready"))
        assert (made.status_code, made.json()["spec"]) == (201, {"app": "db", "opStatus": "Ready"})
        again = await client.post(path, json=named("first", app="db", opStatus="Ready"))
        assert (again.status_code, again.text) == (409, "AppDependency already exists\n")
        long = await client.post(path, json=named("long", app="db", opStatus="READY", wait=4097))
        assert (long.status_code, long.text) == (400, "Invalid Input:\nMust be less than or equal to 4096\n")
        bad = await client.post(path, content=b'{"metadata":7}')
        assert (bad.status_code, bad.text) == (422, "Invalid Body\n")
        assert "opStatus is required" in (await client.post(path, json=named("x", app="db"))).text
        assert (await client.delete(f"{path}/none")).text == "AppDependency not found\n"


class TestProfiles:
    async def test_one_per_app_found_by_name_and_by_app(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        path = f"{APPS}/composite-profiles/prod/profiles"
        made = await client.post(path, **form(named("web-prod", app="web"), profile()))
        assert (made.status_code, made.json()["spec"]) == (201, {"app": "web"})
        second = await client.post(path, **form(named("web-2", app="web"), profile()))
        assert (second.status_code, second.text) == (409, "App already has an AppProfile\n")
        for found in (f"{path}?app=web", f"{path}/?app=web", f"{path}/web-prod"):
            assert (await client.get(found)).json() == made.json()
        assert (await client.get(f"{path}?app=x")).text == "AppProfile not found\n"
        both = await client.get(f"{path}/web-prod?app=web")
        assert (both.status_code, both.text) == (400, "Invalid query - contains both appProfile and app\n")

    async def test_under_a_missing_composite_profile_is_not_found(self, client: httpx.AsyncClient) -> None:
        path = f"{APPS}/composite-profiles/none/profiles"
        answer = await client.post(path, **form(named("web-prod", app="web"), profile()))
        assert (answer.status_code, answer.text) == (404, "CompositeProfile not found\n")


class TestGroups:
    async def test_name_what_they_need(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        spec = {"compositeProfile": "prod", "version": "r1", "logicalCloud": "gone"}
        answer = await client.post(f"{APPS}/deployment-intent-groups", json=named("h", **spec))
        assert answer.status_code == 409
        assert "logicalCloud gone" in answer.text

    async def test_change_only_before_they_are_approved(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        spec = {"compositeProfile": "prod", "version": "r2", "logicalCloud": "lc"}
        assert (await client.put(GROUP, json=named("g", **spec))).status_code == 200
        assert (await client.post(f"{GROUP}/approve")).status_code == 202
        late = await client.put(GROUP, json=named("g", **spec))
        assert (late.status_code, late.text) == (
            409,
            "The specified DeploymentIntentGroup is not in Created status\n",
        )

    async def test_are_not_instantiated_before_they_are_approved(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        answer = await client.post(f"{GROUP}/instantiate")
        assert (answer.status_code, answer.text) == (
            409,
            "DeploymentIntentGroup must be Approved before instantiatingg\n",
        )
        missing = await client.post(f"{APPS}/deployment-intent-groups/none/approve")
        text = "DeploymentIntentGroup has no state info: none: DeploymentIntentGroup StateInfo not found\n"
        assert (missing.status_code, missing.text) == (404, text)

    async def test_hold_the_cloud_and_the_profile_they_name(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        answer = await client.delete(f"{APPS}/composite-profiles/prod")
        known = "Cannot delete without deleting or updating referencing resources first"
        assert (answer.status_code, answer.text) == (409, f"{known}\n")

        explained = await client.delete(
            f"{APPS}/composite-profiles/prod", headers={"Accept": "application/problem+json"}
        )
        assert explained.json()["title"] == known
        assert "deploymentIntentGroup g" in explained.json()["detail"]

    async def test_problem_details_name_the_field_that_breaks_its_schema(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        answer = await client.post(
            f"{APPS}/deployment-intent-groups",
            json=named("h", compositeProfile="prod", version="r1", logicalCloud="-"),
            headers={"Accept": "application/problem+json"},
        )
        assert answer.status_code == 400
        assert answer.json()["title"] == "Invalid Input:"
        assert answer.json()["detail"].startswith("spec.logicalCloud: Does not match pattern")

    async def test_override_values_are_maps_of_text(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        spec = {"compositeProfile": "prod", "version": "r1", "logicalCloud": "lc"}
        path = f"{APPS}/deployment-intent-groups"
        absent = await client.post(path, json=named("h", **spec, overrideValues=[{"app": "web"}]))
        assert (absent.status_code, absent.text) == (
            400,
            "Invalid Input:\nInvalid type. Expected: object, given: null\n",
        )
        number = await client.post(path, json=named("h", **spec, overrideValues=[{"app": "web", "values": {"a": 1}}]))
        assert number.status_code == 422


class TestIntents:
    async def test_answer_maps_without_names(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        assert (await client.get(f"{GROUP}/intents")).json() == {"intent": []}
        intent = {"genericPlacementIntent": "place"}
        made = await client.post(f"{GROUP}/intents", json=named("i", intent=intent))
        assert made.status_code == 201, made.text
        assert (await client.get(f"{GROUP}/intents")).json() == {"intent": [intent]}
        assert (await client.get(f"{GROUP}/intents/?intent=i")).json() == {"intent": intent}
        assert (await client.get(f"{GROUP}/intents/?intent=")).text == "Missing appName in GET request\n"
        assert (await client.get(f"{GROUP}/intents/i")).json() == made.json()

    async def test_hold_the_controllers_they_name(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        missing = await client.post(f"{GROUP}/intents", json=named("i", intent={"gac": "x"}))
        assert (missing.status_code, "controller gac" in missing.text) == (409, True)
        await client.post("/v2/controllers", json=named("gac", host="gac", port=9033, type="action", priority=1))
        await client.post(f"{GROUP}/intents", json=named("i", intent={"gac": "x"}))
        assert (await client.delete("/v2/controllers/gac")).status_code == 409
        assert (await client.delete(f"{GROUP}/intents/i")).status_code == 204
        assert (await client.delete("/v2/controllers/gac")).status_code == 204

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (named("a", app="web", intent={"allOf": [{"clusterLabel": "x"}]}), "Missing clusterProvider in an intent"),
            (named("a", app="web", intent={"allOf": [{"cluster": "x"}]}), "Missing clusterProvider in an intent"),
            (named("a", app="web", intent={"allOf": [{"clusterProvider": "x"}]}), "Missing cluster or clusterLabel"),
            (
                named(
                    "a", app="web", intent={"anyOf": [{"clusterProvider": "p", "cluster": "c", "clusterLabel": "l"}]}
                ),
                "Only one of cluster name or cluster label allowed",
            ),
            (named("a", intent={"allOf": []}), "Missing app for the intent"),
            ({"spec": {"app": "web"}}, "Missing name for the intent"),
            (
                named("a", app="web", intent={"allOf": [{"anyOf": []}]}),
                "Invalid Input:\nMust validate one and only one schema (oneOf)\nanyOf is required",
            ),
        ],
    )
    async def test_of_apps_say_what_is_missing(self, client: httpx.AsyncClient, body: Any, text: str) -> None:
        await with_group(client)
        await client.post(f"{GROUP}/generic-placement-intents", json=named("place"))
        answer = await client.post(f"{GROUP}/generic-placement-intents/place/app-intents", json=body)
        assert (answer.status_code, answer.text) == (400, text + "\n")

    async def test_of_apps_are_read_by_app(self, client: httpx.AsyncClient) -> None:
        await with_group(client)
        await client.post(f"{GROUP}/generic-placement-intents", json=named("place"))
        path = f"{GROUP}/generic-placement-intents/place/app-intents"
        intent = {"allOf": [{"clusterProvider": "acme", "cluster": "hq"}]}
        made = await client.post(path, json=named("a", app="web", intent=intent))
        assert (made.status_code, made.json()) == (
            201,
            {"metadata": {"name": "a"}, "spec": {"app": "web", "intent": intent}},
        )
        assert (await client.get(f"{path}/?app=web&app-name=web")).json() == made.json()["spec"]
        assert (await client.get(f"{path}/?app=none")).json() == {"intent": {}}
        assert (await client.get(path)).json() == [made.json()]


class TestControllers:
    async def test_share_a_name_with_those_of_other_groups(self, client: httpx.AsyncClient) -> None:
        made = await client.post("/v2/controllers", json=named("gac", host="gac", port=9033, type="action"))
        assert (made.status_code, made.json()["spec"]) == (
            201,
            {"host": "gac", "port": 9033, "type": "action", "priority": 0},
        )
        again = await client.post("/v2/controllers", json=named("gac"))
        assert (again.status_code, again.text) == (409, "Controller already exists\n")
        assert (await client.get("/v2/controllers/none")).text == "Controller not found\n"
        assert (await client.post("/v2/controllers", json=named("x", port=65536))).status_code == 400
