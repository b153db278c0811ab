"""What strangers send to the orchestrator: names, paths, forms, charts. Each gets its reason and leaves nothing behind
(robustness 1 to 14, 37, 38)."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any

import pytest

from emco_common.appcontext import keys
from tests.conformance.cases import world
from tests.support.charts import archive, chart, profile
from tests.support.core import APPS, GROUPS, Core, form, named

__all__ = ["world"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = f"{APPS}/apps"
HQ = {"clusterProvider": "acme", "cluster": "hq"}
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: '%s'}\n"


async def refused(world: Core, status: int, method: str, path: str, **sent: Any) -> str:
    """The reason; and there are the same apps as before."""
    before = (await world.call("GET", APP)).json()
    answer = await world.call(method, path, expect=status, **sent)
    assert (await world.call("GET", APP)).json() == before
    assert "Traceback" not in answer.text
    return answer.text


@pytest.mark.parametrize("name", ["%2e%2e", "..%2f..", "%00", "а", "x" * 300, "%ff%fe", "a%0d%0ab", "a;b", "*", "$ne"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_strange_name_in_a_path_names_nothing(world: Core, method: str, name: str) -> None:
    for path in (f"/v2/projects/{name}", f"{APP}/{name}", f"{GROUPS}/{name}/intents/{name}", f"/v2/controllers/{name}"):
        answer = await world.call(method, path)
        assert answer.status_code in (301, 400, 404), f"{path}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\u0000b", "а", "a b", "-a", "a-", "$ne", "x" * 129, "a\r\nb", ""])
async def test_a_strange_name_in_a_body_is_refused(world: Core, name: str) -> None:
    body = named(name)
    for path in ("/v2/projects", GROUPS, "/v2/controllers"):
        answer = await world.call("POST", path, body, expect=400)
        assert answer.text.startswith("Invalid Input:\n")
    assert "Invalid Input" in await refused(world, 400, "POST", APP, **form(body, chart()))


async def test_ten_thousand_parts_are_too_many(world: Core) -> None:
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="p%d"\r\n\r\n1\r\n' % n for n in range(10_000))
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert "Too many" in await refused(world, 422, "POST", APP, content=parts + b"--b--\r\n", headers=headers)


async def test_more_than_ten_thousand_entries_are_too_many(world: Core) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(10_001):
            tar.addfile(tarfile.TarInfo(f"web/{number}"))
    text = await refused(world, 413, "POST", APP, **form(named("many"), gzip.compress(out.getvalue(), 1)))
    assert "more than 10000 entries" in text


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("name: .", "cannot be one: '.'"),
        ("name: ..", "cannot be one: '..'"),
        ("name: a/b", "cannot be one: 'a/b'"),
        (f"name: {'x' * 10_000}", "cannot be one: 'xxx"),
        ("name: ''", "gives the chart no name"),
        ("name: null", "gives the chart no name"),
        ("name: {a: b}", "gives the chart no name"),
        ("- a list", "Chart.yaml"),
        ("name: &a [*a]", "Chart.yaml"),
        ("name: !!python/object/apply:os.system [id]", "Chart.yaml"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nname: [*b]", "gives the chart no name"),
    ],
)
async def test_what_a_chart_says_of_itself_is_checked_at_upload(world: Core, metadata: str, reason: str) -> None:
    packed = archive({"web/Chart.yaml": f"apiVersion: v2\nversion: 1.0.0\n{metadata}\n"})
    assert reason in await refused(world, 422, "POST", APP, **form(named("odd"), packed))


@pytest.mark.parametrize(
    "metadata",
    [
        "apiVersion: v2\nname: odd\nversion: not-a-version",
        "apiVersion: v2\nname: odd",
        "apiVersion: v2\nname: odd\nversion: 1.0.0\ndependencies: [null]",
        "apiVersion: v2\nname: odd\nversion: 1.0.0\nmaintainers: [null]",
        "apiVersion: null\nname: odd\nversion: 1.0.0\ntype: library",
    ],
    ids=["no semantic version", "no version", "a dependency that is null", "a maintainer that is null", "a library"],
)
async def test_what_helm_says_of_a_chart_is_told_and_nothing_is_built(world: Core, metadata: str) -> None:
    packed = archive({"odd/Chart.yaml": metadata, "odd/templates/a.yaml": CONFIG % ("a", 1)})
    group = await deployable(world, {"odd": packed})
    before = await world.contexts.ids()
    answer = await world.call("POST", f"{group}/instantiate", expect=422)
    assert "Traceback" not in answer.text
    assert await world.contexts.ids() == before


@pytest.mark.parametrize(
    ("templates", "reason"),
    [
        ({"a.yaml": "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a,*a]\n" for n in range(3))}, "a.yaml"),
        ({"a.yaml": CONFIG % ("big", "x" * 1_600_000)}, "1500000"),
        ({"a.yaml": "{{ range until 5001 }}\n---\n" + CONFIG % ("c{{ . }}", 1) + "{{ end }}"}, "5000"),
        ({"a.yaml": CONFIG % ("twin", 1), "b.yaml": CONFIG % ("twin", 2)}, "twin"),
        ({"a.yaml": "\tkind: ConfigMap"}, "a.yaml"),
        ({"a.yaml": '{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}'}, ""),
    ],
    ids=["no object", "an object too large", "too many objects", "twins", "tabs", "endless recursion"],
)
async def test_what_a_chart_renders_to_is_checked_before_anything_is_applied(
    world: Core, templates: dict[str, str], reason: str
) -> None:
    group = await deployable(world, {"bad": chart("bad", templates)})
    before, asked = await world.contexts.ids(), list(world.rsync.calls)
    answer = await world.call("POST", f"{group}/instantiate", expect=422)
    assert reason in answer.text
    assert await world.contexts.ids() == before
    assert world.rsync.calls == asked


async def test_two_apps_that_bring_one_object_are_refused_with_both_named(world: Core) -> None:
    same = {"a.yaml": CONFIG % ("shared", 1)}
    group = await deployable(world, {"one": chart("one", same), "two": chart("two", same)})
    answer = await world.call("POST", f"{group}/instantiate", expect=422)
    assert answer.text.startswith("apps one and two both bring ConfigMap shared to cluster acme+hq")


async def test_values_that_would_be_paths_stay_values(world: Core) -> None:
    for override in ({"a": "file:///etc/passwd"}, {"../../a": "b"}, {"colour": "@/etc/passwd"}):
        group = await deployable(world, {"web2": chart("web2")}, overrideValues=[{"app": "web2", "values": override}])
        answer = await world.call("POST", f"{group}/instantiate")
        assert answer.status_code in (202, 422), answer.text
        assert "root:" not in answer.text
        for context in (await world.contexts.ids()).complete:
            entries = (await world.deps.bus.range(keys.root(context))).entries
            assert not any(b"root:" in entry.value for entry in entries)


async def deployable(world: Core, charts: dict[str, bytes], **spec: Any) -> str:
    """An approved group of an application of its own."""
    versions = "/v2/projects/p/composite-apps"
    own = f"v{len((await world.call('GET', versions)).json()) + 1}"
    await world.post(versions, named("hostile", compositeAppVersion=own))
    base = f"{versions}/hostile/{own}"
    await world.post(f"{base}/composite-profiles", named("plain"))
    for name, packed in charts.items():
        await world.upload(f"{base}/apps", named(name), packed)
        await world.upload(f"{base}/composite-profiles/plain/profiles", named(name, app=name), profile())
    group = f"{base}/deployment-intent-groups/g"
    body = named("g", **{"compositeProfile": "plain", "version": "r1", "logicalCloud": "lc"} | spec)
    await world.post(f"{base}/deployment-intent-groups", body)
    await world.post(f"{group}/generic-placement-intents", named("place"))
    for name in charts:
        placed = named(name, app=name, intent={"allOf": [HQ]})
        await world.post(f"{group}/generic-placement-intents/place/app-intents", placed)
    await world.post(f"{group}/intents", named("i", intent={"genericPlacementIntent": "place"}))
    await world.post(f"{group}/approve", expect=202)
    return group
