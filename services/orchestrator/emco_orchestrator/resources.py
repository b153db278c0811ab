"""The orchestrator's resources, each declared once (spec orchestrator-api 4, 5, 8.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emco_common.helm.archive import check_chart, check_profile
from emco_common.resources.declaration import Body, Query, Reference, Resource, Texts, Upload
from emco_common.resources.model import Named
from emco_common.store.api import Key
from emco_orchestrator import schemas

PLACEMENT_INTENT = "genericPlacementIntent"
CONTROLLER_GROUP = "orchestrator"
CHART_TAG = "chart"
"""The tag of an app that tells which folder of the archive holds its chart."""


def _name_and_version(body: Body) -> tuple[str, ...]:
    return body["metadata"]["name"], body["spec"]["compositeAppVersion"]


def _app_alias(body: Body) -> dict[str, str]:
    return {"app": body["spec"]["app"]} if body["spec"]["app"] else {}


def _composite(key: Key) -> dict[str, str]:
    return {name: key[name] for name in ("project", "compositeApp", "compositeAppVersion")}


def _app_of(body: Body, key: Key) -> Iterable[Key]:
    if body["spec"]["app"]:
        yield {**_composite(key), "app": body["spec"]["app"]}


def _choices(rule: Body) -> Iterable[dict[str, Any]]:
    for entry in rule.get("allOf", []):
        yield from entry.get("anyOf", [entry])
    yield from rule.get("anyOf", [])


def _clusters_of(body: Body, _key: Key) -> Iterable[Key]:
    named = {(c["clusterProvider"], c["cluster"]) for c in _choices(body["spec"]["intent"]) if c.get("cluster")}
    return [{"clusterProvider": provider, "cluster": cluster} for provider, cluster in sorted(named)]


def _needs_of_group(body: Body, key: Key) -> Iterable[Key]:
    spec = body["spec"]
    yield {"project": key["project"], "logicalCloud": spec["logicalCloud"]}
    yield {**_composite(key), "compositeProfile": spec["compositeProfile"]}


def _controllers_of(body: Body, _key: Key) -> Iterable[Key]:
    for name in body["spec"]["intent"]:
        if name != PLACEMENT_INTENT:
            yield {"controller": name, "controllerGroup": CONTROLLER_GROUP}


PROJECT = Resource(
    path="projects",
    elements=("project",),
    model=Named,
    title="Project",
    put_created=200,
    texts=Texts(delete_not_found="Project not found", unnamed="Missing name in PUT request"),
)
COMPOSITE_APP = Resource(
    path="composite-apps",
    elements=("compositeApp", "compositeAppVersion"),
    model=schemas.CompositeApp,
    title="App",
    parent=PROJECT,
    names=_name_and_version,
    list_requires=(PROJECT,),
)
APP = Resource(
    path="apps",
    elements=("app",),
    model=Named,
    title="App",
    parent=COMPOSITE_APP,
    upload=Upload(check=check_chart, filename="fileContent"),
)
APP_DEPENDENCY = Resource(
    path="dependency",
    elements=("appDependency",),
    model=schemas.AppDependency,
    title="AppDependency",
    parent=APP,
    texts=Texts(undecodable="Invalid Body", delete_not_found="AppDependency not found"),
)
COMPOSITE_PROFILE = Resource(
    path="composite-profiles",
    elements=("compositeProfile",),
    model=Named,
    title="CompositeProfile",
    parent=COMPOSITE_APP,
)
APP_PROFILE = Resource(
    path="profiles",
    elements=("appProfile",),
    model=schemas.AppProfile,
    title="AppProfile",
    parent=COMPOSITE_PROFILE,
    references=(Reference(_app_of),),
    alias=_app_alias,
    upload=Upload(check=check_profile),
    queries={"app": Query("Answer the one profile of this app instead of the list", schemas.AppProfile)},
    slashed=True,
)
GROUP = Resource(
    path="deployment-intent-groups",
    elements=("deploymentIntentGroup",),
    model=schemas.DeploymentIntentGroup,
    title="DeploymentIntentGroup",
    parent=COMPOSITE_APP,
    references=(Reference(_needs_of_group),),
    list_requires=(PROJECT, COMPOSITE_APP),
    texts=Texts(exists="Intent already exists"),
)
GROUP_INTENT = Resource(
    path="intents",
    elements=("groupIntent",),
    model=schemas.GroupIntent,
    title="Intent",
    parent=GROUP,
    references=(Reference(_controllers_of),),
    queries={"intent": Query("Answer the controllers of this one intent", schemas.GroupIntentSpec)},
    listed=schemas.GroupIntents,
    slashed=True,
)
PLACEMENT = Resource(
    path="generic-placement-intents",
    elements=(PLACEMENT_INTENT,),
    model=Named,
    title="Intent",
    parent=GROUP,
    list_requires=(PROJECT, COMPOSITE_APP),
)
APP_PLACEMENT = Resource(
    path="app-intents",
    elements=("genericAppPlacementIntent",),
    model=schemas.AppPlacementIntent,
    title="Intent",
    parent=PLACEMENT,
    references=(Reference(_app_of), Reference(_clusters_of)),
    alias=_app_alias,
    queries={
        "app": Query("Answer the placement of this app", schemas.AppPlacementSpec | schemas.NoPlacement),
        "app-name": Query("The same, as the original calls it"),
    },
    slashed=True,
)
CONTROLLER = Resource(
    path="controllers",
    elements=("controller",),
    model=schemas.Controller,
    title="Controller",
    fixed={"controllerGroup": CONTROLLER_GROUP},
    texts=Texts(unnamed="Missing name in POST request"),
)

RESOURCES = (
    PROJECT,
    COMPOSITE_APP,
    APP,
    APP_DEPENDENCY,
    COMPOSITE_PROFILE,
    APP_PROFILE,
    GROUP,
    GROUP_INTENT,
    PLACEMENT,
    APP_PLACEMENT,
    CONTROLLER,
)
