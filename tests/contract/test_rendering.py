"""One suite for both ways to render: what goes in (lifecycle 5.1-5.5) and what comes out (5.6-5.10)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml

from emco_common.helm.api import RenderedApp, RenderError
from emco_common.helm.pool import PooledRenderer
from tests.contract.rendering import ENGINES, renderer_of
from tests.unit.helm.builders import chart, config_map, object_of, profile, request, tarball

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOW = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: show\ndata:\n  text: {{ %s | quote }}\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=ENGINES)
async def renderer(request: pytest.FixtureRequest) -> AsyncIterator[PooledRenderer]:
    async with renderer_of(request.param, kube_version="1.31.2") as found:
        yield found


async def shown(renderer: PooledRenderer, expression: str, *, more: dict[str, str] | None = None, **fields: Any) -> str:
    """What a template prints for an expression."""
    archive = chart({"show.yaml": SHOW % expression}, **(more or {}))
    app = await renderer.render(request(archive, **fields))
    text: str = yaml.safe_load(app.regular[0].text)["data"]["text"]
    return text


async def failure(renderer: PooledRenderer, archive: bytes, **fields: Any) -> str:
    with pytest.raises(RenderError) as caught:
        await renderer.render(request(archive, **fields))
    assert "/tmp" not in str(caught.value)
    assert "emco-helm-" not in str(caught.value)
    return str(caught.value)


def names(app: RenderedApp) -> list[str]:
    return [manifest.name for manifest in app.regular]


async def test_override_beats_profile_beats_chart(renderer: PooledRenderer) -> None:
    values = "a: chart\nb: chart\nc: chart\nd: {one: 1, two: chart}\n"
    printed = await shown(
        renderer,
        'printf "%v %v %v %v %v" .Values.a .Values.b .Values.c .Values.d.one .Values.d.two',
        more={"values_yaml": values},
        profile=profile("b: profile\nc: profile\nd: {two: profile}\n"),
        overrides=(("c", "override"), ("d.one", "2")),
    )
    assert printed == "chart profile override 2 profile"


async def test_an_empty_values_file_changes_nothing(renderer: PooledRenderer) -> None:
    assert await shown(renderer, ".Values.a", more={"values_yaml": "a: chart"}, profile=profile("")) == "chart"
    assert await shown(renderer, ".Values.a", more={"values_yaml": "a: chart"}, profile=profile("# a: b\n")) == "chart"


async def test_a_null_takes_the_charts_value_away(renderer: PooledRenderer) -> None:
    more = {"values_yaml": "a: {b: 1, c: 2}"}
    assert await shown(renderer, ".Values.a | toJson", more=more, overrides=(("a.b", "null"),)) == '{"c":2}'
    assert await shown(renderer, ".Values.a | toJson", more=more, profile=profile("a: {c: null}")) == '{"b":1}'


@pytest.mark.parametrize(
    ("override", "expression", "expected"),
    [
        (("a", "1000000"), 'printf "%v %s" .Values.a (kindOf .Values.a)', "1000000 int64"),
        (("a.b.c", "1000000"), 'printf "%v %s" .Values.a.b.c (kindOf .Values.a.b.c)', "1000000 int64"),
        (("a", "{1,1000000,x}"), 'printf "%v" .Values.a', "[1 1000000 x]"),
        (("l[1]", "1000000"), 'printf "%v" .Values.l', "[x 1000000 z]"),
        (("m[0].port", "1000000"), 'printf "%v" .Values.m', "[map[name:first port:1000000]]"),
        (("a", "9007199254740993"), ".Values.a", "9007199254740993"),
        (("a", "99999999999999999999"), "kindOf .Values.a", "string"),
        (("a", "0123"), 'printf "%v %s" .Values.a (kindOf .Values.a)', "0123 string"),
        (("a", "true"), "kindOf .Values.a", "bool"),
        (("a", "1.5"), "kindOf .Values.a", "string"),
        (("a", r"1\,2"), ".Values.a", "1,2"),
        (("a", "1,b=2"), 'printf "%v%v" .Values.a .Values.b', "12"),
        ((r"a\.b", "ü\"'}}{{ $x"), 'index .Values "a.b"', "ü\"'}}{{ $x"),
        (("a", "$(touch /tmp/x) `id` ;|&<>\n!"), ".Values.a", "$(touch /tmp/x) `id` ;|&<>\n!"),
        (("global.a.b", "1000000"), 'printf "%v %s" .Values.global.a.b (kindOf .Values.global.a.b)', "1000000 int64"),
    ],
)
async def test_overrides_are_read_as_helm_reads_its_flag(
    renderer: PooledRenderer, override: tuple[str, str], expression: str, expected: str
) -> None:
    more = {"values_yaml": "l: [x, y, z]\nm: [{name: first, port: 1}]\n"}
    values = profile("l: [x, y, z]\nm: [{name: first, port: 1}]\n")
    assert await shown(renderer, expression, more=more, profile=values, overrides=(override,)) == expected


async def test_overrides_apply_in_the_order_of_their_keys(renderer: PooledRenderer) -> None:
    overrides = (("a[1]", "second"), ("a", "{first,x,y}"))
    assert await shown(renderer, ".Values.a | toJson", overrides=overrides) == '["first","second","y"]'


async def test_integers_reach_sub_charts_own_and_global(renderer: PooledRenderer) -> None:
    text = config_map("sub", own='"{{ .Values.size }}"', shared='"{{ .Values.global.size }}"')
    more = {
        "charts__sub__Chart_yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        "charts__sub__values_yaml": "size: 5",
    }
    more["charts__sub__templates__a_yaml"] = text
    overrides = (("sub.size", "2000000"), ("global.size", "3000000"))
    app = await renderer.render(request(chart({"a.yaml": config_map("top")}, **more), overrides=overrides))
    found = {item.name: yaml.safe_load(item.text)["data"] for item in app.regular if item.name.startswith("sub")}
    assert found == {"sub+ConfigMap": {"own": "2000000", "shared": "3000000"}}


async def test_files_of_the_profile_replace_files_of_the_chart(renderer: PooledRenderer) -> None:
    manifest = "type:\n  values: v.yaml\n  configresource:\n  - {filepath: new.conf, chartpath: web/files/app.conf}\n"
    override = tarball({"manifest.yaml": manifest, "v.yaml": "", "new.conf": "new"})
    more = {"files__app_conf": "old"}
    assert await shown(renderer, '.Files.Get "files/app.conf"', more=more, profile=override) == "new"


async def test_the_release_is_what_the_group_says(renderer: PooledRenderer) -> None:
    printed = (
        'printf "%s %s %v %v %s" .Release.Name .Release.Namespace .Release.Revision .Release.IsInstall .Release.Service'
    )
    assert await shown(renderer, printed, release="r2", namespace="shop") == "r2 shop 1 true Helm"
    assert await shown(renderer, ".Release.Namespace", namespace="") == "default"
    assert await shown(renderer, ".Capabilities.KubeVersion.Version") == "v1.31.2"
    assert await shown(renderer, '.Capabilities.APIVersions.Has "apps/v1"') == "true"


async def test_the_folder_of_the_chart_need_not_bear_the_apps_name(renderer: PooledRenderer) -> None:
    app = await renderer.render(request(chart({"a.yaml": config_map("a")}), folder="another"))
    assert app.regular[0].text.startswith("# Source: web/templates/a.yaml\n")


async def test_of_several_folders_the_one_named_like_the_app_is_rendered(renderer: PooledRenderer) -> None:
    files: dict[str, str | bytes] = {}
    for name in ("web", "shop"):
        files[f"{name}/Chart.yaml"] = f"apiVersion: v2\nname: chart-of-{name}\nversion: 1.0.0\n"
        files[f"{name}/templates/a.yaml"] = config_map(name)
    assert names(await renderer.render(request(tarball(files), folder="shop"))) == ["shop+ConfigMap"]
    assert "none is named 'bar'" in await failure(renderer, tarball(files), folder="bar")


async def test_objects_definitions_and_hooks_come_apart_and_in_order(renderer: PooledRenderer) -> None:
    crd = object_of("CustomResourceDefinition", "ovens.example.com", api="apiextensions.k8s.io/v1", body="spec: {}\n")
    hook = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  annotations: {helm.sh/hook: %s}\n"
    templates = {
        "z.yaml": object_of("Oven", "o", api="example.com/v1"),
        "b.yaml": object_of("Service", "s") + "---\n" + object_of("Secret", "t"),
        "a.yaml": object_of("Deployment", "d", api="apps/v1") + "---\n\n---\n# nothing\n",
        "h.yaml": hook % ("h2", "post-install") + "---\n" + hook % ("h1", '"pre-install,post-install"'),
        "t.yaml": hook % ("t1", "test") + "---\n" + hook % ("t2", "crd-install"),
        "_partial.tpl": "never shown",
        "NOTES.txt": "neither: {{ .Release.Name }}",
    }
    app = await renderer.render(request(chart(templates, crds__o_yaml=crd)))
    assert names(app) == ["t+Secret", "s+Service", "d+Deployment", "o+Oven"]
    assert [item.text for item in app.crds] == [f"# Source: crds/o.yaml\n{crd.strip()}"]
    assert {event: [item.name for item in items] for event, items in app.hooks.items()} == {
        "pre-install": ["h1+Pod"],
        "post-install": ["h1+Pod", "h2+Pod"],
    }
    assert app.hooks["pre-install"][0].text.startswith("apiVersion: v1\n")
    assert not any(item.text.endswith("\n") for item in (*app.regular, *app.crds))


async def test_a_chart_of_nothing_renders_to_nothing(renderer: PooledRenderer) -> None:
    app = await renderer.render(request(chart({"a.yaml": "{{ if false }}x{{ end }}\n"})))
    assert app == RenderedApp(regular=(), crds=(), hooks={})


async def test_sub_charts_follow_their_condition_and_a_missing_one_is_not_reported(renderer: PooledRenderer) -> None:
    top = "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n"
    top += "- {name: sub, version: 1.0.0, condition: sub.enabled}\n- {name: gone, version: 1.0.0}\n"
    files: dict[str, str | bytes] = {
        "web/Chart.yaml": top,
        "web/values.yaml": "sub: {enabled: false}",
        "web/templates/a.yaml": config_map("top"),
        "web/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        "web/charts/sub/templates/a.yaml": config_map("sub"),
        "web/charts/sub/crds/c.yaml": object_of("CustomResourceDefinition", "c", api="apiextensions.k8s.io/v1"),
    }
    off = await renderer.render(request(tarball(files)))
    assert (names(off), off.crds) == (["top+ConfigMap"], ())
    on = await renderer.render(request(tarball(files), overrides=(("sub.enabled", "true"),)))
    assert sorted(names(on)) == ["sub+ConfigMap", "top+ConfigMap"]
    assert [item.text.partition("\n")[0] for item in on.crds] == ["# Source: crds/c.yaml"]


async def test_a_sub_chart_may_be_packed(renderer: PooledRenderer) -> None:
    sub = tarball(
        {"sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "sub/templates/a.yaml": config_map("s")}
    )
    files: dict[str, str | bytes] = {"web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}
    files["web/charts/sub-1.0.0.tgz"] = sub
    app = await renderer.render(request(tarball(files)))
    assert app.regular[0].text.startswith("# Source: web/charts/sub/templates/a.yaml\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{{ fail "no way" }}', "execution error at (web/templates/a.yaml:1:3): no way"),
        ('{{ required "name it" .Values.none }}', "execution error at (web/templates/a.yaml:1:3): name it"),
        ("{{ if }}", "parse error at (web/templates/a.yaml:1): missing value for if"),
        ("{{ .Values.a.b.c }}", "nil pointer evaluating interface {}.b"),
        ('{{ include "none" . }}', 'no template "none"'),
        ('{{ env "HOME" }}', 'function "env" not defined'),
        ("a: b: c", "YAML parse error on web/templates/a.yaml"),
        ("just text", "web/templates/a.yaml"),
        (config_map("a") + "---\n" + config_map("a"), "two objects are ConfigMap 'a'"),
        ("kind: ConfigMap\nmetadata: {name: a}", "web/templates/a.yaml renders an object without apiVersion"),
    ],
)
async def test_what_is_wrong_with_a_template_is_told_in_helms_words(
    renderer: PooledRenderer, text: str, reason: str
) -> None:
    message = await failure(renderer, chart({"a.yaml": text}))
    assert reason in message
    assert "--debug" not in message


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("name: web", "chart.metadata.version is required"),
        ("apiVersion: v2\nname: web\nversion: one", 'chart.metadata.version "one" is invalid'),
        ("apiVersion: v2\nname: a/b\nversion: 1.0.0", "a name that cannot be one: 'a/b'"),
        ("apiVersion: v2\nname: ..\nversion: 1.0.0", "a name that cannot be one: '..'"),
        ("apiVersion: v2\nname: web\nversion: 1.0.0\ntype: library", "library charts are not installable"),
        ("apiVersion: v2\nname: web\nversion: 1.0.0\ntype: odd", "chart.metadata.type must be application or library"),
        (
            "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>= 1.99'",
            "chart requires kubeVersion: >= 1.99 which is incompatible with Kubernetes v1.31.2",
        ),
    ],
)
async def test_what_is_wrong_with_a_chart_is_told_in_helms_words(
    renderer: PooledRenderer, metadata: str, reason: str
) -> None:
    assert reason in await failure(renderer, tarball({"web/Chart.yaml": metadata}))


async def test_a_chart_that_fits_the_kubernetes_version_is_rendered(renderer: PooledRenderer) -> None:
    metadata = "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>= 1.25.0-0'"
    app = await renderer.render(request(tarball({"web/Chart.yaml": metadata, "web/templates/a.yaml": config_map("a")})))
    assert names(app) == ["a+ConfigMap"]


async def test_values_are_held_against_the_charts_schema(renderer: PooledRenderer) -> None:
    schema = '{"properties": {"replicas": {"type": "integer", "maximum": 3}}, "required": ["replicas"]}'
    archive = chart({"a.yaml": config_map("a")}, values__schema_json=schema)
    archive = tarball(
        {
            "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
            "web/values.schema.json": schema,
            "web/templates/a.yaml": config_map("a"),
        }
    )
    assert "replicas" in await failure(renderer, archive)
    assert "replicas" in await failure(renderer, archive, overrides=(("replicas", "4"),))
    assert names(await renderer.render(request(archive, overrides=(("replicas", "3"),)))) == ["a+ConfigMap"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"release": "r1.0"}, "release name r1.0 is not a valid DNS label: a lowercase RFC 1123 label must consist"),
        ({"release": "R1"}, "release name R1 is not a valid DNS label"),
        ({"release": "a" * 60}, "53"),
        ({"profile": tarball({"v.yaml": ""})}, "a profile holds a file manifest.yaml in its root"),
        ({"profile": b"no archive"}, "Error in file format: not a gzip file"),
        ({"profile": profile("a: [")}, "yaml"),
        ({"profile": profile("- a")}, "cannot unmarshal array"),
        ({"overrides": (("a[", "1"),)}, "error parsing index"),
        ({"overrides": (("a", "b\0c"),)}, "NUL character"),
    ],
)
async def test_what_is_wrong_with_the_inputs_is_told(
    renderer: PooledRenderer, fields: dict[str, Any], reason: str
) -> None:
    assert reason in await failure(renderer, chart({"a.yaml": config_map("a")}), **fields)


async def test_what_is_no_chart_is_told(renderer: PooledRenderer) -> None:
    assert "one folder with a Chart.yaml" in await failure(renderer, profile())
    assert "Error in file format: not a gzip file" in await failure(renderer, b"hello")
    assert "leaves the archive" in await failure(renderer, tarball({"../x": "", "web/Chart.yaml": "name: web"}))


async def test_a_template_sees_no_cluster_no_names_of_the_network_and_no_files(renderer: PooledRenderer) -> None:
    assert await shown(renderer, 'lookup "v1" "Secret" "" "" | toJson') == "{}"
    assert await shown(renderer, 'getHostByName "localhost"') == ""
    assert await shown(renderer, '.Files.Get "/etc/passwd"') == ""
    assert await shown(renderer, '.Files.Get "../../../../../../../etc/passwd"') == ""
