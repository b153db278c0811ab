"""What is rendered from which inputs, and how it lies in the context (spec orchestrator-lifecycle 5, 6, 8)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from emco_common.appcontext import Cluster
from emco_common.helm.api import RenderRequest
from emco_orchestrator.app import renderer_of
from emco_orchestrator.settings import OrchestratorSettings
from tests.api.orchestrator.controllers import Log, Servicer, involve, serving
from tests.api.orchestrator.lifecycle import instances, world
from tests.support.charts import archive, chart
from tests.support.core import Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
EVENTS = [f"{when}-{what}" for what in ("delete", "install", "rollback", "upgrade") for when in ("post", "pre")]
VALUES = """apiVersion: v1
kind: ConfigMap
metadata: {name: values}
data: {{ toJson (dict "seen" (toJson .Values)) }}
"""
FILE = """apiVersion: v1
kind: ConfigMap
metadata: {name: file}
data: {{ toJson (dict "text" (.Files.Get "files/banner.txt")) }}
"""


def hook(name: str, events: str, weight: int = 0) -> str:
    notes = f'{{helm.sh/hook: "{events}", helm.sh/hook-weight: "{weight}"}}'
    return f"apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {notes}\n"


def crd(name: str) -> str:
    return (
        f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}.example.com}}\n"
    )


def thing(kind: str, name: str, version: str = "v1") -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n"


async def cluster_of(
    world: Core, name: str, templates: dict[str, str], *, files: dict[str, str] | None = None, **spec: Any
) -> Cluster:
    """What one cluster gets of a version of the app ``web``; ``files`` are added to its profile."""
    await world.post("/v2/projects/p/composite-apps", named("shop", compositeAppVersion=name))
    base = f"/v2/projects/p/composite-apps/shop/{name}"
    manifest = {"version": "v1", "type": {"values": "values.yaml"}}
    if files and "banner" in files:
        copied = [{"filepath": "banner", "chartpath": "web/files/banner.txt"}]
        manifest["type"] = {"values": "values.yaml", "ConfigResource": copied}
    values = "a: {b: of the profile}\nonly: {profile: true}\n"
    profiled = archive({"manifest.yaml": yaml.safe_dump(manifest), "values.yaml": values, **(files or {})})
    plain = {f"templates/{file}": text for file, text in templates.items() if not file.startswith("crds/")}
    packed = archive(
        {
            "web/Chart.yaml": "apiVersion: v2\nname: of-another-name\nversion: 0.1.0\n",
            "web/values.yaml": "a: {b: of the chart, c: of the chart}\n",
            "web/files/banner.txt": "of the chart",
            **{
                f"web/{file}": text
                for file, text in (plain | {f: t for f, t in templates.items() if "crds/" in f}).items()
            },
        }
    )
    await world.post(f"{base}/apps", **form(named("web"), packed))
    await world.post(f"{base}/composite-profiles", named("prod"))
    await world.upload(f"{base}/composite-profiles/prod/profiles", named("web", app="web"), profiled)
    path = await world.group(name, version=name, **spec)
    await world.post(f"{path}/approve", expect=202)
    await world.post(f"{path}/instantiate", expect=202)
    (instance,) = await instances(world, path)
    (cluster,) = (await world.contexts.read(instance)).apps[0].clusters
    return cluster


async def test_objects_are_in_install_order_with_definitions_and_hooks_apart(world: Core) -> None:
    templates = {
        "a.yaml": "---\n".join(
            [thing("Deployment", "web", "apps/v1"), thing("Widget", "w", "x/v1"), thing("Secret", "s")]
        ),
        "b.yaml": "---\n".join(
            [thing("Service", "web"), thing("ConfigMap", "b"), crd("seats"), thing("ConfigMap", "a")]
        ),
        "crds/rooms.yaml": crd("rooms"),
        "hooks.yaml": "---\n".join(
            [
                *(hook(event, event) for event in EVENTS),
                hook("both", "pre-install,pre-upgrade", 5),
                hook("first", "pre-install", -5),
                hook("trial", "test"),
                hook("odd", "crd-install"),
            ]
        ),
    }
    cluster = await cluster_of(world, "sorted", templates)

    names = [resource.name for resource in cluster.resources]
    assert names == ["s+Secret", "b+ConfigMap", "a+ConfigMap", "web+Service", "web+Deployment", "w+Widget"]
    definition = "CustomResourceDefinition"
    assert [r.name for r in cluster.crds] == [f"rooms.example.com+{definition}", f"seats.example.com+{definition}"]
    hooks = {event: [r.name.removesuffix("+Job") for r in found] for event, found in cluster.hooks.items()}
    assert hooks == {
        **{event: [event] for event in EVENTS},
        "pre-install": ["first", "pre-install", "both"],
        "pre-upgrade": ["pre-upgrade", "both"],
    }
    assert cluster.resources[0].manifest.startswith("# Source: of-another-name/templates/a.yaml\napiVersion: v1")
    assert cluster.crds[0].manifest.startswith("# Source: crds/rooms.yaml\n")
    assert cluster.hooks["pre-install"][0].manifest.startswith("apiVersion: batch/v1")
    assert not any(resource.manifest.endswith("\n") for resource in cluster.all_resources())


async def test_overrides_beat_the_profile_which_beats_the_chart_in_the_grammar_of_helm(world: Core) -> None:
    pairs = {
        "a.b": "of the group",
        "list[1].name": "second",
        "several": "1,more=true",
        "escaped": r"x\,y",
        "nothing": "null",
        "big": "1000000",
    }
    others = [{"app": "web", "values": pairs}, {"app": "web", "values": {"a.b": "too late"}}]
    cluster = await cluster_of(world, "valued", {"v.yaml": VALUES}, overrideValues=others)
    seen = yaml.safe_load(yaml.safe_load(cluster.resources[0].manifest)["data"]["seen"])
    assert seen["a"] == {"b": "of the group", "c": "of the chart"}
    assert seen["only"] == {"profile": True}
    assert seen["list"] == [None, {"name": "second"}]
    assert (seen["several"], seen["more"], seen["escaped"], seen["big"]) == (1, True, "x,y", 1000000)
    assert seen.get("nothing") is None


async def test_the_profile_puts_its_files_over_those_of_the_chart(world: Core) -> None:
    cluster = await cluster_of(world, "filed", {"f.yaml": FILE}, files={"banner": "of the profile"})
    assert yaml.safe_load(cluster.resources[0].manifest)["data"] == {"text": "of the profile"}


async def test_charts_see_the_kubernetes_version_of_the_settings() -> None:
    text = thing("ConfigMap", "seen") + "data: {version: {{ .Capabilities.KubeVersion }}}\n"
    renderer = renderer_of(OrchestratorSettings(kube_version="1.27.3"))
    try:
        app = await renderer.render(RenderRequest("web", chart("web", {"v.yaml": text}), None, "r", "default"))
    finally:
        await renderer.close()
    assert "version: v1.27.3" in app.regular[0].text
    with pytest.raises(ValueError, match="kube_version"):
        OrchestratorSettings(kube_version="newest")


async def test_the_example_of_the_specification_gets_its_groups_in_the_context(world: Core) -> None:
    await world.post("/v2/cluster-providers/acme/clusters/east/labels", {"clusterLabel": "west"})
    for name in ("w1", "e1", "e2", "g1"):
        await world.cluster(name, *({"w1": ["west"], "g1": ["fast"]}.get(name, [])))
    await world.cloud("wide", "hq", "east", "w1", "e1", "e2", "g1")
    await world.post("/v2/projects/p/logical-clouds/wide/instantiate", expect=202)
    provider = {"clusterProvider": "acme"}
    rule = {
        "allOf": [
            provider | {"clusterLabel": "west"},
            provider | {"cluster": "hq"},
            {"anyOf": [provider | {"cluster": "e1"}, provider | {"cluster": "e2"}]},
        ],
        "anyOf": [provider | {"clusterLabel": "fast"}],
    }
    seen: dict[str, str] = {}

    class Looking(Servicer):
        async def FilterClusters(self, request: Any, context: Any) -> Any:
            for cluster in (await world.contexts.read(request.appContext)).apps[0].clusters:
                seen[cluster.name.partition("+")[2]] = cluster.group
            return await super().FilterClusters(request, context)

    path = await world.group("grouped", placed=False, logicalCloud="wide")
    await world.placed(path, rule)
    await world.post(f"{path}/approve", expect=202)
    async with serving(world, "looking", "placement", Looking("looking", Log()).register):
        await involve(world, path, "look", looking="x")
        await world.post(f"{path}/instantiate", expect=202)
    assert seen == {"east": "1", "w1": "2", "hq": "3", "e1": "4", "e2": "4", "g1": "5"}
    (instance,) = await instances(world, path)
    left = [cluster.name for cluster in (await world.contexts.read(instance)).apps[0].clusters]
    assert left == ["acme+e1", "acme+east", "acme+g1", "acme+hq", "acme+w1"]
