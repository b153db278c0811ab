"""The error rows of the orchestrator's resources (spec orchestrator-api 2, 5); where its defects want another, that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emco_common.store.api import Document
from tests.conformance.cases import (
    DELETE_MISSING,
    HAS_CHILDREN,
    IS_REFERENCED,
    MISMATCH,
    NAME_RULE,
    PARENT_MISSING,
    Case,
    each,
    world,
)
from tests.support.charts import archive, chart, link_archive, profile
from tests.support.core import APPS, GROUP_KEY, GROUPS, Core, core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECTS = "/v2/projects"
VERSIONS = "/v2/projects/p/composite-apps"
G = f"{GROUPS}/g"
PROFILES = f"{APPS}/composite-profiles/prod/profiles"
NONE = f"{VERSIONS}/none/v1"
PLACED = f"{G}/generic-placement-intents/place/app-intents"
OF_WEB = {"compositeProfile": "prod", "version": "r1", "logicalCloud": "lc"}
CHOICES = "set Accept: multipart/form-data, application/json or application/octet-stream"


def accept(kind: str) -> dict[str, Any]:
    return {"headers": {"Accept": kind}}


def api(row: str) -> str:
    return f"orchestrator-api {row}"


def upload(name: str, file: bytes = b"", **spec: Any) -> dict[str, Any]:
    return form(named(name, **spec), file or chart(name))


COMMON = [
    Case(api("2: unknown path"), "GET", "/v2/nowhere", 404, "404 page not found"),
    Case(api("2: known path with another method"), "PUT", PROJECTS, 405, ""),
    Case(api("2: an encoded slash in a segment"), "GET", f"{PROJECTS}/a%2Fb", 404, "404 page not found"),
    Case(api("2.1: B1 empty body"), "POST", PROJECTS, 400, "Empty body"),
    Case(api("2.1: B2 not JSON"), "POST", PROJECTS, 422, "unexpected EOF", more={"content": b'{"metadata":'}),
    Case(
        api("2.1: B2 a value of the wrong JSON type"),
        "POST",
        PROJECTS,
        422,
        "json: cannot unmarshal number into field metadata.name of type string",
        {"metadata": {"name": 7}},
    ),
    Case(
        api("2.1: B3 a body that breaks its schema, one line a violation"),
        "POST",
        PROJECTS,
        400,
        f"{NAME_RULE}\nString length must be less than or equal to 1024",
        {"metadata": {"name": "-", "description": "x" * 1025}},
    ),
    Case(
        api("2.1: W1 the parent is missing"),
        "POST",
        f"{PROJECTS}/none/composite-apps",
        409,
        PARENT_MISSING,
        named("a", compositeAppVersion="v1"),
    ),
    Case(api("2.1: D1 delete of what is not there"), "DELETE", f"{VERSIONS}/none/v1", 404, DELETE_MISSING),
    Case(api("2.1: D2 delete of what has children"), "DELETE", APPS, 409, HAS_CHILDREN),
    Case(
        api("2.1: D3 delete of what is referred to"),
        "DELETE",
        f"{APPS}/composite-profiles/named",
        409,
        IS_REFERENCED,
        before=[
            ("POST", f"{APPS}/composite-profiles", named("named")),
            ("POST", GROUPS, named("names", **OF_WEB | {"compositeProfile": "named"})),
        ],
    ),
    Case(api("2.2: composite app missing is App not found"), "GET", NONE, 404, "App not found"),
    Case(
        api("2.2: composite app exists is App already exists"),
        "POST",
        VERSIONS,
        409,
        "App already exists",
        named("shop", compositeAppVersion="v1"),
    ),
    Case(
        api("2.2: placement intent or app intent missing is Intent not found"),
        "GET",
        f"{G}/generic-placement-intents/none",
        404,
        "Intent not found",
    ),
    Case(
        api("2.2: placement intent, app intent or group intent exists is Intent already exists"),
        "POST",
        f"{G}/generic-placement-intents",
        409,
        "Intent already exists",
        named("place"),
    ),
    Case(
        api("2.2: deployment intent group exists is Intent already exists"),
        "POST",
        GROUPS,
        409,
        "Intent already exists",
        named("g", **OF_WEB),
    ),
    Case(
        api("2.2: app dependency exists is a conflict"),
        "POST",
        f"{APPS}/apps/web/dependency",
        409,
        "AppDependency already exists",
        named("twice", app="twice", opStatus="Ready"),
        before=[
            ("POST", f"{APPS}/apps", upload("twice")),
            ("POST", f"{APPS}/apps/web/dependency", named("twice", app="twice", opStatus="Ready")),
        ],
    ),
]
PROJECT = [
    Case(api("5.1: project exists"), "POST", PROJECTS, 409, "Project already exists", named("p")),
    Case(api("5.1: project PUT without a name"), "PUT", f"{PROJECTS}/x", 400, "Missing name in PUT request", {}),
    Case(api("5.1: project PUT under another name"), "PUT", f"{PROJECTS}/x", 400, MISMATCH, named("y")),
    Case(api("5.1: project GET of a missing one"), "GET", f"{PROJECTS}/none", 404, "Project not found"),
    Case(api("5.1: project DELETE of a missing one"), "DELETE", f"{PROJECTS}/none", 404, "Project not found"),
    Case(api("5.1: project DELETE with children"), "DELETE", f"{PROJECTS}/p", 409, HAS_CHILDREN),
]
COMPOSITE_APP = [
    Case(
        api("5.2: composite app POST under a missing project"),
        "POST",
        f"{PROJECTS}/none/composite-apps",
        409,
        PARENT_MISSING,
        named("a", compositeAppVersion="v1"),
    ),
    Case(
        api("5.2: composite app exists"),
        "POST",
        VERSIONS,
        409,
        "App already exists",
        named("shop", compositeAppVersion="v1"),
    ),
    Case(
        api("5.2: composite app PUT under another name"),
        "PUT",
        f"{VERSIONS}/other/v1",
        400,
        MISMATCH,
        named("shop", compositeAppVersion="v1"),
    ),
    Case(
        api("5.2: composite app list of a missing project"),
        "GET",
        f"{PROJECTS}/none/composite-apps",
        404,
        "Project not found",
    ),
    Case(api("5.2: composite app GET of a missing one"), "GET", f"{VERSIONS}/shop/v9", 404, "App not found"),
    Case(api("5.2: composite app DELETE of a missing one"), "DELETE", f"{VERSIONS}/shop/v9", 404, DELETE_MISSING),
    Case(api("5.2: composite app DELETE with children"), "DELETE", APPS, 409, HAS_CHILDREN),
    Case(
        api("5.2: composite app without a version"),
        "POST",
        VERSIONS,
        400,
        has="Invalid Input:\nDoes not match pattern",
        body=named("unversioned"),
    ),
]
METADATA_ONLY = {"files": {"metadata": (None, '{"metadata":{"name":"nofile"}}')}}
TWO_CHARTS = archive({f"{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n" for name in "ab"})
APP = [
    Case(
        api("5.3: app with two files"),
        "POST",
        f"{APPS}/apps",
        400,
        "the form has 2 parts named file; send one",
        more={"data": {"metadata": "{}"}, "files": [("file", ("a", chart())), ("file", ("b", chart()))]},
    ),
    Case(
        api("5.3: app whose archive holds several charts and none of its name"),
        "POST",
        f"{APPS}/apps",
        422,
        has="several folders hold a Chart.yaml (a, b), and none is named 'neither'",
        more=upload("neither", TWO_CHARTS),
    ),
    Case(
        api("5.3: app body is not multipart"),
        "POST",
        f"{APPS}/apps",
        422,
        "request Content-Type isn't multipart/form-data",
        named("a"),
    ),
    Case(
        api("5.3: app without metadata"),
        "POST",
        f"{APPS}/apps",
        400,
        "Empty body",
        more={"files": {"file": ("f", b"x")}},
    ),
    Case(
        api("5.3: app with undecodable metadata"),
        "POST",
        f"{APPS}/apps",
        422,
        "unexpected EOF",
        more={"data": {"metadata": "{"}, "files": {"file": ("f", b"x")}},
    ),
    Case(
        api("5.3: app with metadata that break their schema"),
        "POST",
        f"{APPS}/apps",
        400,
        NAME_RULE,
        more=form(named("-"), chart()),
    ),
    Case(api("5.3: app without a file"), "POST", f"{APPS}/apps", 422, "Unable to process file", more=METADATA_ONLY),
    Case(
        api("5.3: app file larger than allowed"),
        "POST",
        f"{APPS}/apps",
        413,
        has="EMCO_MAX_UPLOAD",
        more={
            "content": b"x",
            "headers": {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(2**40)},
        },
    ),
    Case(
        api("5.3: app file is no archive"),
        "POST",
        f"{APPS}/apps",
        422,
        has="Error in file format",
        more=upload("bad", b"no archive"),
    ),
    Case(
        api("5.3: app file with a link"),
        "POST",
        f"{APPS}/apps",
        422,
        has="Error in file format",
        more=upload("bad", link_archive("web/a", "/etc/passwd")),
    ),
    Case(
        api("5.3: app POST under a missing composite app"),
        "POST",
        f"{NONE}/apps",
        409,
        PARENT_MISSING,
        more=upload("web"),
    ),
    Case(api("5.3: app exists"), "POST", f"{APPS}/apps", 409, "App already exists", more=upload("web")),
    Case(api("5.3: app PUT under another name"), "PUT", f"{APPS}/apps/web", 400, MISMATCH, more=upload("other")),
    Case(api("5.3: app DELETE of a missing one"), "DELETE", f"{APPS}/apps/none", 404, DELETE_MISSING),
    Case(api("5.3: app DELETE with children or references"), "DELETE", f"{APPS}/apps/web", 409, HAS_CHILDREN),
    Case(api("5.3: app GET of a missing one"), "GET", f"{APPS}/apps/none", 404, "App not found"),
    Case(api("5.3: app GET without Accept"), "GET", f"{APPS}/apps/web", 200, has='"name":"web"', more=accept("")),
    Case(
        api("5.3: app GET with a list of types"),
        "GET",
        f"{APPS}/apps/web",
        200,
        has='"name":"web"',
        more=accept("text/html, */*;q=0.8"),
    ),
    Case(
        api("5.3: app GET with a malformed Accept"), "GET", f"{APPS}/apps/none", 406, has="mime: ", more=accept("a;b")
    ),
    Case(api("5.3: app GET with another type"), "GET", f"{APPS}/apps/web", 300, CHOICES, more=accept("text/html")),
]
DEPENDENCY = f"{APPS}/apps/web/dependency"
APP_DEPENDENCY = [
    Case(api("5.4: dependency undecodable"), "POST", DEPENDENCY, 422, "Invalid Body", {"metadata": 7}),
    Case(
        api("5.4: dependency POST under a missing app"),
        "POST",
        f"{APPS}/apps/none/dependency",
        409,
        PARENT_MISSING,
        named("d", app="web", opStatus="Ready"),
    ),
    Case(
        api("5.4: dependency exists"),
        "POST",
        DEPENDENCY,
        409,
        "AppDependency already exists",
        named("dup", app="dup", opStatus="Ready"),
        before=[
            ("POST", f"{APPS}/apps", upload("dup")),
            ("POST", DEPENDENCY, named("dup", app="dup", opStatus="Ready")),
        ],
    ),
    Case(
        api("5.4: dependency PUT under another name"),
        "PUT",
        f"{DEPENDENCY}/x",
        400,
        MISMATCH,
        named("y", app="web", opStatus="Ready"),
    ),
    Case(api("5.4: dependency GET of a missing one"), "GET", f"{DEPENDENCY}/none", 404, "AppDependency not found"),
    Case(
        api("5.4: dependency DELETE of a missing one"), "DELETE", f"{DEPENDENCY}/none", 404, "AppDependency not found"
    ),
    Case(
        api("5.4: dependency without app"),
        "POST",
        DEPENDENCY,
        400,
        has="app is required",
        body=named("d", opStatus="Ready"),
    ),
    Case(
        api("5.4: dependency without opStatus"),
        "POST",
        DEPENDENCY,
        400,
        has="opStatus is required",
        body=named("d", app="dup"),
    ),
    Case(
        api("5.4: dependency waits too long"),
        "POST",
        DEPENDENCY,
        400,
        "Invalid Input:\nMust be less than or equal to 4096",
        named("d", app="dup", opStatus="Ready", wait=4097),
    ),
    Case(
        api("5.4: dependency closes a cycle"),
        "POST",
        f"{APPS}/apps/ring/dependency",
        409,
        has="ring",
        body=named("back", app="web", opStatus="Ready"),
        before=[
            ("POST", f"{APPS}/apps", upload("ring")),
            ("POST", DEPENDENCY, named("forth", app="ring", opStatus="Ready")),
        ],
    ),
]
PROFILE = f"{APPS}/composite-profiles"
COMPOSITE_PROFILE = [
    Case(
        api("5.5: composite profile POST under a missing composite app"),
        "POST",
        f"{NONE}/composite-profiles",
        409,
        PARENT_MISSING,
        named("c"),
    ),
    Case(api("5.5: composite profile exists"), "POST", PROFILE, 409, "CompositeProfile already exists", named("prod")),
    Case(api("5.5: composite profile PUT under another name"), "PUT", f"{PROFILE}/x", 400, MISMATCH, named("y")),
    Case(
        api("5.5: composite profile GET of a missing one"), "GET", f"{PROFILE}/none", 404, "CompositeProfile not found"
    ),
    Case(api("5.5: composite profile DELETE of a missing one"), "DELETE", f"{PROFILE}/none", 404, DELETE_MISSING),
    Case(api("5.5: composite profile DELETE with profiles"), "DELETE", f"{PROFILE}/prod", 409, HAS_CHILDREN),
    Case(
        api("5.5: composite profile DELETE while a group names it"),
        "DELETE",
        f"{PROFILE}/held",
        409,
        IS_REFERENCED,
        before=[
            ("POST", PROFILE, named("held")),
            ("POST", GROUPS, named("holds", **OF_WEB | {"compositeProfile": "held"})),
        ],
    ),
    Case(
        api("5.6: app profile without a name"),
        "POST",
        PROFILES,
        400,
        NAME_RULE,
        more=form({"spec": {"app": "web"}}, profile()),
    ),
    Case(
        api("5.6: app profile exists"),
        "POST",
        PROFILES,
        409,
        "AppProfile already exists",
        more=upload("web-prod", profile(), app="web"),
    ),
    Case(
        api("5.6: app profile for an app that has one"),
        "POST",
        PROFILES,
        409,
        "App already has an AppProfile",
        more=upload("second", profile(), app="web"),
    ),
    Case(
        api("5.6: app profile POST under a missing composite profile"),
        "POST",
        f"{PROFILE}/none/profiles",
        404,
        "CompositeProfile not found",
        more=upload("a", profile(), app="web"),
    ),
    Case(
        api("5.6: app profile PUT under a missing composite profile"),
        "PUT",
        f"{PROFILE}/none/profiles/a",
        404,
        "CompositeProfile not found",
        more=upload("a", profile(), app="web"),
    ),
    Case(
        api("5.6: app profile PUT under another name"),
        "PUT",
        f"{PROFILES}/web-prod",
        400,
        MISMATCH,
        more=upload("other", profile(), app="web"),
    ),
    Case(api("5.6: app profile of an app that has none"), "GET", f"{PROFILES}?app=none", 404, "AppProfile not found"),
    Case(api("5.6: app profile GET of a missing one"), "GET", f"{PROFILES}/none", 404, "AppProfile not found"),
    Case(
        api("5.6: app profile by name and by app at once"),
        "GET",
        f"{PROFILES}/web-prod?app=web",
        400,
        "Invalid query - contains both appProfile and app",
    ),
    Case(api("5.6: app profile DELETE of a missing one"), "DELETE", f"{PROFILES}/none", 404, DELETE_MISSING),
]
GROUP = [
    Case(
        api("5.7: group POST under a missing composite app"),
        "POST",
        f"{NONE}/deployment-intent-groups",
        409,
        PARENT_MISSING,
        named("h", **OF_WEB),
    ),
    Case(api("5.7: group exists"), "POST", GROUPS, 409, "Intent already exists", named("g", **OF_WEB)),
    Case(api("5.7: group PUT under another name"), "PUT", f"{GROUPS}/x", 400, MISMATCH, named("y", **OF_WEB)),
    Case(
        api("5.7: group PUT after approve"),
        "PUT",
        f"{GROUPS}/approved",
        409,
        "The specified DeploymentIntentGroup is not in Created status",
        named("approved", **OF_WEB),
        before=[("POST", GROUPS, named("approved", **OF_WEB)), ("POST", f"{GROUPS}/approved/approve", None)],
    ),
    Case(
        api("5.7: group list of a missing project"),
        "GET",
        f"{PROJECTS}/none/composite-apps/shop/v1/deployment-intent-groups",
        404,
        "Project not found",
    ),
    Case(
        api("5.7: group list of a missing composite app"),
        "GET",
        f"{NONE}/deployment-intent-groups",
        404,
        "App not found",
    ),
    Case(api("5.7: group GET of a missing one"), "GET", f"{GROUPS}/none", 404, "DeploymentIntentGroup not found"),
    Case(api("5.7: group DELETE of a missing one"), "DELETE", f"{GROUPS}/none", 404, DELETE_MISSING),
    Case(api("5.7: group DELETE with intents"), "DELETE", G, 409, HAS_CHILDREN),
    Case(
        api("5.7: group names a profile or a cloud that is not there"),
        "POST",
        GROUPS,
        409,
        has="compositeProfile none",
        body=named("h", **OF_WEB | {"compositeProfile": "none"}),
    ),
    Case(
        api("5.7: group override value that is no text"),
        "POST",
        GROUPS,
        422,
        has="cannot unmarshal number",
        body=named("h", **OF_WEB, overrideValues=[{"app": "web", "values": {"a": 1}}]),
    ),
    Case(
        api("5.7: group override values for an app that is not there"),
        "POST",
        GROUPS,
        409,
        has="Referenced resource not found: ",
        body=named("h", **OF_WEB, overrideValues=[{"app": "wbe", "values": {"a": "1"}}]),
    ),
    Case(
        api("5.7: group override values absent"),
        "POST",
        GROUPS,
        400,
        "Invalid Input:\nInvalid type. Expected: object, given: null",
        named("h", **OF_WEB, overrideValues=[{"app": "web"}]),
    ),
]
INTENTS = f"{G}/intents"
GPI = f"{G}/generic-placement-intents"
GROUP_INTENT = [
    Case(
        api("5.8: group intent POST under a missing group"),
        "POST",
        f"{GROUPS}/none/intents",
        409,
        PARENT_MISSING,
        named("i", intent={}),
    ),
    Case(api("5.8: group intent exists"), "POST", INTENTS, 409, "Intent already exists", named("i", intent={})),
    Case(api("5.8: group intent PUT under another name"), "PUT", f"{INTENTS}/x", 400, MISMATCH, named("y", intent={})),
    Case(api("5.8: group intent by query, missing"), "GET", f"{INTENTS}/?intent=none", 404, "Intent not found"),
    Case(api("5.8: group intent by query, empty"), "GET", f"{INTENTS}/?intent=", 400, "Missing appName in GET request"),
    Case(api("5.8: group intent GET of a missing one"), "GET", f"{INTENTS}/none", 404, "Intent not found"),
    Case(api("5.8: group intent DELETE of a missing one"), "DELETE", f"{INTENTS}/none", 404, DELETE_MISSING),
    Case(
        api("5.8: group intent without its map"),
        "POST",
        INTENTS,
        400,
        "Invalid Input:\nInvalid type. Expected: object, given: null",
        named("j"),
    ),
    Case(
        api("5.8: group intent names a controller that is not there"),
        "POST",
        INTENTS,
        409,
        has="controller none",
        body=named("j", intent={"none": "x"}),
    ),
    Case(
        api("5.9: placement intent POST under a missing group"),
        "POST",
        f"{GROUPS}/none/generic-placement-intents",
        409,
        PARENT_MISSING,
        named("q"),
    ),
    Case(api("5.9: placement intent exists"), "POST", GPI, 409, "Intent already exists", named("place")),
    Case(api("5.9: placement intent PUT under another name"), "PUT", f"{GPI}/x", 400, MISMATCH, named("y")),
    Case(
        api("5.9: placement intent list of a missing project"),
        "GET",
        f"{PROJECTS}/none/composite-apps/shop/v1/deployment-intent-groups/g/generic-placement-intents",
        404,
        "Project not found",
    ),
    Case(
        api("5.9: placement intent list of a missing composite app"),
        "GET",
        f"{NONE}/deployment-intent-groups/g/generic-placement-intents",
        404,
        "App not found",
    ),
    Case(api("5.9: placement intent GET of a missing one"), "GET", f"{GPI}/none", 404, "Intent not found"),
    Case(api("5.9: placement intent DELETE of a missing one"), "DELETE", f"{GPI}/none", 404, DELETE_MISSING),
    Case(api("5.9: placement intent DELETE with app intents"), "DELETE", f"{GPI}/place", 409, HAS_CHILDREN),
]
HQ = {"clusterProvider": "acme", "cluster": "hq"}


def refused(row: str, text: str, body: Any) -> Case:
    return Case(api(f"5.10: {row}"), "POST", PLACED, 400, text, body)


APP_INTENT = [
    Case(
        api("5.10: app intent POST under a missing placement intent"),
        "POST",
        f"{GPI}/none/app-intents",
        409,
        PARENT_MISSING,
        named("a", app="web", intent={}),
    ),
    Case(
        api("5.10: app intent exists"), "POST", PLACED, 409, "Intent already exists", named("web", app="web", intent={})
    ),
    Case(
        api("5.10: app intent PUT under another name"),
        "PUT",
        f"{PLACED}/x",
        400,
        MISMATCH,
        named("y", app="web", intent={}),
    ),
    Case(
        api("5.10: app intent by query without an app"),
        "GET",
        f"{PLACED}/?app=",
        400,
        "Missing appName in GET request",
    ),
    Case(api("5.10: app intent GET of a missing one"), "GET", f"{PLACED}/none", 404, "Intent not found"),
    Case(api("5.10: app intent DELETE of a missing one"), "DELETE", f"{PLACED}/none", 404, DELETE_MISSING),
    refused(
        "app intent without clusterProvider",
        "Missing clusterProvider in an intent",
        named("a", app="web", intent={"allOf": [{"cluster": "hq"}]}),
    ),
    refused(
        "app intent without cluster and clusterLabel",
        "Missing cluster or clusterLabel",
        named("a", app="web", intent={"anyOf": [{"clusterProvider": "acme"}]}),
    ),
    refused(
        "app intent with cluster and clusterLabel",
        "Only one of cluster name or cluster label allowed",
        named("a", app="web", intent={"allOf": [HQ | {"clusterLabel": "edge"}]}),
    ),
    refused("app intent without app", "Missing app for the intent", named("a", intent={"allOf": [HQ]})),
    refused("app intent without name", "Missing name for the intent", {"spec": {"app": "web"}}),
    refused(
        "app intent with an empty choice",
        "Invalid Input:\nMust validate one and only one schema (oneOf)\nanyOf is required",
        named("a", app="web", intent={"allOf": [{"anyOf": []}]}),
    ),
    refused(
        "app intent with a cluster and a choice in one element",
        "Invalid Input:\nMust validate one and only one schema (oneOf)",
        named("a", app="web", intent={"allOf": [HQ | {"anyOf": [HQ]}]}),
    ),
]
CONTROLLERS = "/v2/controllers"
GAC = {"host": "gac", "port": 9033, "type": "action", "priority": 1}
CONTROLLER = [
    Case(api("5.11: controller exists"), "POST", CONTROLLERS, 409, "Controller already exists", named("rsync", **GAC)),
    Case(
        api("5.11: controller PUT without a name"),
        "PUT",
        f"{CONTROLLERS}/x",
        400,
        "Missing name in POST request",
        {"spec": GAC},
    ),
    Case(
        api("5.11: controller of a type that is never called"),
        "POST",
        CONTROLLERS,
        400,
        'Invalid Input:\nMust be one of the following: "placement", "action"',
        named("x", **GAC | {"type": "Action"}),
    ),
    Case(api("5.11: controller PUT under another name"), "PUT", f"{CONTROLLERS}/x", 400, MISMATCH, named("y", **GAC)),
    Case(api("5.11: controller GET of a missing one"), "GET", f"{CONTROLLERS}/none", 404, "Controller not found"),
    Case(api("5.11: controller DELETE of a missing one"), "DELETE", f"{CONTROLLERS}/none", 404, DELETE_MISSING),
    Case(
        api("5.11: controller DELETE while a group intent names it"),
        "DELETE",
        f"{CONTROLLERS}/gac",
        409,
        IS_REFERENCED,
        before=[
            ("POST", CONTROLLERS, named("gac", **GAC)),
            ("POST", INTENTS, named("of-gac", intent={"gac": "x"})),
        ],
    ),
    Case(
        api("5.11: controller number out of range"),
        "POST",
        CONTROLLERS,
        400,
        "Invalid Input:\nMust be less than or equal to 65535\nMust be less than or equal to 100",
        named("x", **GAC | {"port": 65536, "priority": 101}),
    ),
]


@each(
    [
        *COMMON,
        *PROJECT,
        *COMPOSITE_APP,
        *APP,
        *APP_DEPENDENCY,
        *COMPOSITE_PROFILE,
        *GROUP,
        *GROUP_INTENT,
        *APP_INTENT,
        *CONTROLLER,
    ]
)
async def test_a_mistake_is_answered_as_the_specification_says(world: Core, case: Case) -> None:
    await case.hold(world)


@pytest.mark.conforms("orchestrator-api 2.1: X an unexpected error hides its text")
async def test_an_unexpected_error_keeps_what_it_knows_to_itself(world: Core) -> None:
    """A document that none of our processes wrote."""
    key = {**GROUP_KEY, "deploymentIntentGroup": "odd"}
    await world.deps.store.create(Document(key=key, body={}, tags={"stateInfo": "hush"}))

    answer = await world.call("POST", f"{GROUPS}/odd/approve")

    await world.deps.store.delete(key)
    text = "The server encountered an internal error and was unable to complete your request."
    assert (answer.status_code, answer.text) == (500, f"{text}\n")


@pytest.mark.conforms("orchestrator-api 2.1: W3 R1 D4 the store is away, answered 503 with Retry-After")
@pytest.mark.asyncio(loop_scope="function")
async def test_while_the_store_is_away_everybody_is_told_to_come_back(tmp_path: Path) -> None:
    async with core(tmp_path) as stranded:
        await stranded.deps.store.close()
        for method, path, body in (
            ("POST", PROJECTS, named("q")),
            ("PUT", f"{PROJECTS}/q", named("q")),
            ("GET", PROJECTS, None),
            ("DELETE", f"{PROJECTS}/q", None),
        ):
            answer = await stranded.call(method, path, body)
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
