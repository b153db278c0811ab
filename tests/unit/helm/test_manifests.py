"""Rendered text becomes named, ordered objects (lifecycle 5.6-5.10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.helm.api import RenderedApp, RenderError
from emco_common.helm.limits import RenderLimits
from emco_common.helm.manifests import Document, RenderedChart, arrange, split, split_with_sources
from tests.unit.helm.builders import config_map, object_of

CRD = object_of("CustomResourceDefinition", "ovens.example.com", api="apiextensions.k8s.io/v1")
LIMITS = RenderLimits()


def arranged(*texts: str, crds: tuple[str, ...] = (), limits: RenderLimits = LIMITS) -> RenderedApp:
    templates = [Document(f"web/templates/{number}.yaml", text.strip()) for number, text in enumerate(texts)]
    return arrange(
        RenderedChart(crds=[Document("crds/a.yaml", text.strip()) for text in crds], templates=templates),
        limits=limits,
    )


def names(app: RenderedApp) -> list[str]:
    return [manifest.name for manifest in app.regular]


def hook(name: str, events: str, weight: str = "0", kind: str = "Job") -> str:
    return (
        f"apiVersion: batch/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  annotations:\n"
        f'    helm.sh/hook: {events}\n    helm.sh/hook-weight: "{weight}"\n'
    )


def test_a_regular_object_carries_its_source_and_no_line_end() -> None:
    app = arranged(config_map("a"))
    assert app.regular[0].text == f"# Source: web/templates/0.yaml\n{config_map('a').strip()}"


def test_an_object_is_named_by_name_and_kind_and_tells_group_and_namespace() -> None:
    app = arranged("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}", config_map("b"))
    assert [(item.name, item.api_group, item.namespace) for item in app.regular] == [
        ("b+ConfigMap", "", ""),
        ("a+Deployment", "apps", "shop"),
    ]


def test_objects_come_in_install_order_and_unknown_kinds_last_by_kind() -> None:
    kinds = [
        "Zebra",
        "Ingress",
        "Deployment",
        "Service",
        "Apple",
        "Secret",
        "Namespace",
        "IngressClass",
        "ServiceAccount",
    ]
    app = arranged(*(object_of(kind, "x") for kind in kinds))
    assert [name.split("+")[1] for name in names(app)] == [
        "Namespace",
        "ServiceAccount",
        "Secret",
        "Service",
        "Deployment",
        "IngressClass",
        "Ingress",
        "Apple",
        "Zebra",
    ]


def test_objects_of_one_kind_keep_the_order_of_file_and_position() -> None:
    app = arranged(config_map("z"), config_map("a"), config_map("m"))
    assert names(app) == ["z+ConfigMap", "a+ConfigMap", "m+ConfigMap"]


def test_definitions_are_apart_wherever_they_came_from_and_those_of_crds_come_first() -> None:
    other = object_of("CustomResourceDefinition", "cups.example.com", api="apiextensions.k8s.io/v1")
    app = arranged(config_map("a"), other, crds=(CRD,))
    assert [item.name.split("+")[0] for item in app.crds] == ["ovens.example.com", "cups.example.com"]
    assert app.crds[0].text.startswith("# Source: crds/a.yaml\n")
    assert names(app) == ["a+ConfigMap"]


def test_hooks_come_by_event_in_order_of_weight_and_name_without_source() -> None:
    app = arranged(hook("b", "pre-install"), hook("a", "pre-install"), hook("z", "pre-install,post-delete", "-5"))
    assert [item.name for item in app.hooks["pre-install"]] == ["z+Job", "a+Job", "b+Job"]
    assert [item.name for item in app.hooks["post-delete"]] == ["z+Job"]
    assert app.hooks["pre-install"][1].text == hook("a", "pre-install").strip()
    assert app.regular == ()


@pytest.mark.parametrize("events", ["test", "test-success", "crd-install", "pre-install,never-heard-of", '""'])
def test_a_hook_that_only_tests_or_has_an_unknown_event_is_dropped(events: str) -> None:
    app = arranged(hook("a", events))
    assert app.hooks == {}
    assert app.regular == ()


def test_a_weight_that_is_no_number_counts_as_none() -> None:
    app = arranged(hook("a", "pre-install", "heavy"), hook("b", "pre-install", "-1"))
    assert [item.name for item in app.hooks["pre-install"]] == ["b+Job", "a+Job"]


def test_a_document_of_comments_alone_is_no_object() -> None:
    assert names(arranged("# nothing here", config_map("a"))) == ["a+ConfigMap"]


def test_a_list_without_a_name_is_called_by_its_position() -> None:
    app = arranged(config_map("a"), "apiVersion: v1\nkind: List\nitems: []")
    assert names(app) == ["a+ConfigMap", "manifest-1+List"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: ConfigMap\nmetadata: {name: a}", "without apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "without kind"),
        ("apiVersion: v1\nkind: ConfigMap", "without metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}", "without metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 12}", "without metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no}", "without metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a/b}", "cannot be in a name"),
        ("apiVersion: v1\nkind: Role\nmetadata: {name: a+b}", "cannot be in a name"),
        ("- a\n- b", "not an object"),
        ("just text", "not an object"),
        ("a: [", "YAML parse error"),
        ("a: b: c", "YAML parse error"),
        ("a:\n\tb: c", "YAML parse error"),
    ],
)
def test_a_document_that_is_no_object_is_reported_with_its_template(text: str, reason: str) -> None:
    with pytest.raises(RenderError, match=reason) as caught:
        arranged(config_map("fine"), text)
    assert "web/templates/1.yaml" in str(caught.value)


def test_a_selector_that_is_text_and_a_port_that_is_a_name_are_objects_like_others() -> None:
    odd = "apiVersion: example.com/v1\nkind: Oven\nmetadata: {name: a}\nspec: {selector: hot, ports: [{port: door}]}"
    assert names(arranged(odd)) == ["a+Oven"]


def test_two_objects_of_one_kind_and_name_are_refused_with_both_templates() -> None:
    with pytest.raises(RenderError, match=r"ConfigMap 'a': one in web/templates/0\.yaml, one in web/templates/1\.yaml"):
        arranged(config_map("a"), config_map("a") + "data: {b: c}")


def test_the_same_name_in_two_namespaces_is_refused_as_the_context_has_one_key_for_both() -> None:
    one = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: n1}"
    with pytest.raises(RenderError, match="two objects are Secret 'a'"):
        arranged(one, one.replace("n1", "n2"))


def test_a_hook_counts_for_the_names_as_well() -> None:
    with pytest.raises(RenderError, match="two objects are Job 'a'"):
        arranged(hook("a", "pre-install"), object_of("Job", "a", api="batch/v1"))


def test_an_alias_bomb_is_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(RenderError, match="expands to more than"):
        arranged(config_map("a") + "\n".join(levels))


def test_an_alias_to_itself_and_deep_nesting_are_refused() -> None:
    with pytest.raises(RenderError, match="alias to itself"):
        arranged(config_map("a") + "x: &x [*x]")
    with pytest.raises(RenderError, match="nested deeper"):
        arranged(config_map("a") + "x: " + "[" * 5000 + "]" * 5000)


def test_a_python_tag_builds_nothing() -> None:
    assert names(arranged(config_map("a") + 'x: !!python/object/apply:os.system ["true"]')) == ["a+ConfigMap"]


def test_limits_on_number_and_size_name_the_limit() -> None:
    with pytest.raises(RenderError, match="3 objects, more than the limit of 2"):
        arranged(*(config_map(f"a{n}") for n in range(3)), limits=RenderLimits(objects=2))
    with pytest.raises(RenderError, match=r"0\.yaml renders an object of \d+ bytes, more than the limit of 60"):
        arranged(config_map("a", big="x" * 100), limits=RenderLimits(object_bytes=60))


def test_text_is_cut_where_helm_cuts_it() -> None:
    assert split("---\na: 1\n--- # more\nb: 2\n\n---\n  \n---c: 3\n") == ["a: 1", "# more\nb: 2", "c: 3"]


def test_the_output_of_the_command_line_keeps_its_sources() -> None:
    output = "---\n# Source: web/crds/a.yaml\nx: 1\n---\ny: 2\n---\n# Source: web/templates/b.yaml\nz: 3\n"
    assert split_with_sources(output) == [
        Document("web/crds/a.yaml", "x: 1"),
        Document("web/crds/a.yaml", "y: 2"),
        Document("web/templates/b.yaml", "z: 3"),
    ]


@given(st.lists(st.from_regex(r"[a-z]: [0-9]+(\n[a-z]: [a-z]+){0,3}", fullmatch=True)))
def test_documents_put_together_come_apart_again(texts: list[str]) -> None:
    assert split("\n---\n".join(texts)) == texts


@given(st.permutations(["ConfigMap", "Secret", "Service", "Deployment", "Widget", "Gadget", "Namespace"]))
def test_the_order_of_kinds_does_not_depend_on_the_order_of_templates(kinds: list[str]) -> None:
    app = arranged(*(object_of(kind, "x") for kind in kinds))
    assert names(app) == [
        "x+Namespace",
        "x+Secret",
        "x+ConfigMap",
        "x+Service",
        "x+Deployment",
        "x+Gadget",
        "x+Widget",
    ]
