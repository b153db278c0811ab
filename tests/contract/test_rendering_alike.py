"""Both ways to render give the same, byte for byte, and the same as was recorded of the original.

One thing is not compared, since Helm itself changed it: a null in a chart's own values stays in Helm 3 and is taken
away in Helm 4, which is what the library holds.
"""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from emco_common.helm.api import Manifest, RenderedApp, RenderRequest
from emco_common.helm.factory import EngineChoice
from examples.smartcity.package import package
from tests.contract.rendering import ENGINES, renderer_of
from tests.unit.helm.builders import chart, config_map, profile, request

SHARED = Path(os.environ.get("EMCO_SHARED") or Path(__file__).parents[3] / "shared") / "emco"
GOLDEN = SHARED / "golden" / "appcontext-hooks.json"
CLUSTER = "/context/<ac1>/app/{app}/cluster/larh+c1/resource/"

SHOW = config_map("a", v="{{ .Values | toJson | quote }}", s="{{ print .Values | quote }}")
NUMBERS = "a: 1000000\nb: 0.1\nc: 1e3\nd: 12345678901234567890\ne: -7\nf: 0x1F\ng: 0755\nh: 1_000\ni: yes\nk: 1.0\n"
VECTORS: Mapping[str, RenderRequest] = {
    "numbers of files": request(
        chart({"a.yaml": SHOW}, values_yaml=NUMBERS),
        profile=profile(NUMBERS.replace(": ", "2: ") + "j: ~\n"),
    ),
    "overrides on lists and maps": request(
        chart(
            {"a.yaml": SHOW},
            values_yaml="l: [1, {a: 2}, [3, 4]]\nm: {a: {b: 1}}\nn: [1]\n",
        ),
        profile=profile("l: [1, {a: 2}, [3, 4]]\nk: [a, b]\n"),
        overrides=(
            ("l[1].a", "5"), ("l[2][0]", "6"), ("m.a.c", "{7,8}"), ("n[0]", "9"), ("k[3]", "10"), ("o[1].p.q[0]", "11"),
            ("m.a.b", "null"), ("p", "{}"), ("q.r", ""), ("t", "1,u=2,v={3,4},w[0]=5"),
        ),
    ),
    "line ends and white space": request(
        chart(
            {
                "a.yaml": "\r\n---\r\n" + config_map("a").replace("\n", "\r\n"),
                "b.yaml": "  \n\n" + config_map("b") + "\n\n",
            }
        )
    ),
    "block scalars": request(chart({"a.yaml": config_map("a", v="|\n    x\n    ---\n    y\n\n")})),
    "an old chart": request(chart({"a.yaml": config_map("a", v="{{ .Chart.Name }}-{{ .Chart.Version }}")})),
}  # fmt: skip


@pytest_asyncio.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> EngineChoice:
    choice: EngineChoice = request.param
    return choice


async def rendered(engine: EngineChoice, *requests: RenderRequest, **options: Any) -> list[RenderedApp]:
    async with renderer_of(engine, concurrency=1, **options) as renderer:
        return [await renderer.render(wanted) for wanted in requests]


def smartcity(folder: Path) -> dict[str, RenderRequest]:
    package(folder)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {
        app: request(
            content[f"{folder}.tar.gz"], folder=app, profile=content[f"{app}-profile.tar.gz"], namespace="default"
        )
        for app, folder in (("edge", "edge"), ("web", "cloud"))
    }


async def test_both_engines_render_alike(tmp_path: Path) -> None:
    requests = {**VECTORS, **smartcity(tmp_path)}
    sdk, cli = [await rendered(engine, *requests.values()) for engine in ENGINES]
    for name, one, other in zip(requests, sdk, cli, strict=True):
        assert one == other, name


async def test_smartcity_with_one_office_is_34_objects(engine: EngineChoice, tmp_path: Path) -> None:
    apps = await rendered(engine, *smartcity(tmp_path).values())
    assert [len(app.regular) for app in apps] == [24, 10]
    assert all(not app.crds and not app.hooks for app in apps)
    assert not any(item.namespace for app in apps for item in app.regular)


async def test_smartcity_has_a_set_of_services_for_each_office(engine: EngineChoice, tmp_path: Path) -> None:
    edge = smartcity(tmp_path)["edge"]
    offices = "offices: [{name: north, cameras: 1}, {name: south, cameras: 2}, {name: west, cameras: 3}]\n"
    wanted = request(edge.chart, folder="edge", profile=profile(offices))
    (app,) = await rendered(engine, wanted)
    assert len(app.regular) == 2 + 3 * 22
    assert sum(item.name.startswith("r1-south-") for item in app.regular) == 22


def test_smartcity_packs_into_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = package(tmp_path / "one"), package(tmp_path / "two")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.skipif(
    not GOLDEN.exists(), reason=f"no record of the original: {GOLDEN} is not there (EMCO_SHARED names its folder)"
)
@pytest.mark.parametrize("app", ["hk", "db"])
async def test_a_recorded_context_is_rendered_again_byte_for_byte(engine: EngineChoice, app: str) -> None:
    record = json.loads(GOLDEN.read_text())
    (found,) = await rendered(engine, recorded_request(record["input"], app), kube_version="1.20.0")
    context = record["contexts"]["<ac1>"]
    prefix = CLUSTER.format(app=app)
    assert [item.name for item in found.regular] == inner(context, f"{prefix}instruction/order/")["resorder"]
    expected = inner(context, f"{prefix}instruction/dependency/").get("resdependency", {})
    assert {**events(found.hooks), **events({"crd-install": found.crds} if found.crds else {})} == expected
    hooks = [item for items in found.hooks.values() for item in items]
    for item in (*found.regular, *found.crds, *hooks):
        assert item.text == json.loads(context[f"{prefix}{item.name}/"])


def recorded_request(calls: list[dict[str, Any]], app: str) -> RenderRequest:
    uploads: dict[tuple[str, str], bytes] = {}
    for call in calls:
        if upload := call.get("multipart"):
            document = upload["metadata"]
            owner = document["spec"]["app"] if "spec" in document else document["metadata"]["name"]
            uploads[call["path"].rpartition("/")[2], owner] = base64.b64decode(upload["files"]["file"]["base64"])
    (group,) = [call["json"]["spec"] for call in calls if call["path"].endswith("/deployment-intent-groups")]
    overrides = [entry["values"] for entry in group["overrideValues"] if entry["app"] == app]
    return RenderRequest(
        folder=app,
        chart=uploads["apps", app],
        profile=uploads["profiles", app],
        release=group["version"],
        namespace="default",
        overrides=tuple(overrides[0].items()) if overrides else (),
    )


def inner(context: Mapping[str, str], key: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.loads(context[key])) if key in context else {}
    return value


def events(hooks: Mapping[str, tuple[Manifest, ...]]) -> dict[str, list[str]]:
    return {event: [item.name for item in items] for event, items in hooks.items()}
