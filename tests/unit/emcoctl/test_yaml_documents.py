"""Documents of a resource file: fields, types, and what is refused with file and line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_emcoctl.errors import YamlError
from emco_emcoctl.resources import resources, unknown_fields


def bodies(text: str) -> list[str]:
    return [resource.body() for resource in resources(text, name="r.yaml")]


def refusal(text: str) -> str:
    with pytest.raises(YamlError) as caught:
        resources(text, name="r.yaml")
    return str(caught.value)


def test_a_full_document_has_its_members_in_the_order_of_the_original() -> None:
    text = """
        spec: {b: 1, a: x}
        metadata: {userData2: u2, userData1: u1, description: d, name: n}
        clusterLabel: edge
        resourceContext: {anchor: projects}
    """

    assert bodies(text) == [
        '{"metadata":{"name":"n","description":"d","userData1":"u1","userData2":"u2"},'
        '"clusterLabel":"edge","spec":{"a":"x","b":1}}'
    ]


def test_a_document_with_only_an_anchor_sends_an_empty_name() -> None:
    assert bodies("resourceContext: {anchor: projects/p/x/instantiate}") == ['{"metadata":{"name":""}}']


def test_a_space_before_a_colon_is_ordinary() -> None:
    assert bodies("metadata :\n   name : rsync\n") == ['{"metadata":{"name":"rsync"}}']


@pytest.mark.parametrize("written", ["123", "0123", "1.50", "true", "2020-01-02", "1e3", "0x1F", ".inf", "1_000"])
def test_a_name_keeps_the_text_as_written(written: str) -> None:
    assert resources(f"metadata: {{name: {written}}}", name="r")[0].name == written


def test_a_null_name_is_empty() -> None:
    assert resources("metadata: {name: ~, description: x}", name="r")[0].name == ""


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "---\n", "---\nnull\n---\n~\n---\n{}\n", "---\n---\n# c\n---\n"]
)
def test_empty_documents_are_left_out(text: str) -> None:
    assert resources(text, name="r") == []


def test_anchors_stay_defined_in_later_documents() -> None:
    found = resources("metadata: {name: &n p}\n---\nmetadata: {name: *n}\n", name="r")

    assert [one.name for one in found] == ["p", "p"]


@pytest.mark.parametrize(
    "text",
    [
        "%YAML 1.1\n---\nmetadata: {name: p}\n",
        "%YAML 1.2\n---\nmetadata: {name: p}\n",
        "\r\nmetadata:\r\n  name: p\r\n",
    ],
)
def test_directives_and_line_ends_do_not_matter(text: str) -> None:
    assert bodies(text) == ['{"metadata":{"name":"p"}}']


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("metadata: p", "r.yaml:1: metadata must be a mapping, not the text `p`"),
        ("\nhello", "r.yaml:2: a document must be a mapping, not the text `hello`"),
        ("- a", "r.yaml:1: a document must be a mapping, not the list"),
        ("metadata:\n  name: [a]", "r.yaml:2: metadata.name must be a text, not a list"),
        ("files: a", "r.yaml:1: files must be a list of paths, not a text"),
        ("spec: text", "r.yaml:1: spec must be a mapping, not the text `text`"),
        ("version: {a: b}", "r.yaml:1: version must be a text, not a mapping"),
        ("resourceContext: {anchor: *x}", "r.yaml:1: the anchor 'x' is not known"),
        ("spec: &x {a: *x}", "r.yaml:1: the anchor 'x' contains itself"),
        ("a: 1\na: 2", "r.yaml:2: the key 'a' is already defined at line 1"),
        ("foo: {a: 1, a: 2}", "r.yaml:1: the key 'a' is already defined at line 1"),
        ("spec: {m: {1: a}}", "r.yaml:1: spec: the key 1 is not a text"),
        ("spec: {a: .nan}", "r.yaml:1: spec: nan has no form in JSON"),
        ("metadata: {name: p\n", "r.yaml:2: did not find expected ',' or '}'"),
        ("a: \x07", "r.yaml"),
        ("spec: {<<: 1}", "r.yaml:1: only mappings can be merged"),
        ("spec: {a: !!int x}", "r.yaml:1: `x` is not a int"),
        ("a:\n\tb: 1", "r.yaml:2: found character that cannot start any token"),
        ("spec: " + "[" * 200 + "]" * 200, "nested deeper than 100 levels"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_wrong_document_is_refused_with_file_and_line(text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_aliases_cannot_multiply_without_bound() -> None:
    levels = [f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]

    assert "unfolds to more than" in refusal("spec:\n  l0: &l0 [x]\n" + "\n".join(levels))


def test_unknown_fields_are_named_with_their_place() -> None:
    text = "---\nresourceContext: {anchor: projects, other: 1}\nmetadata: {labels: {a: b}}\nMetadata: {name: x}\n"

    assert list(unknown_fields(resources(text, name="r.yaml"))) == [
        "r.yaml:2: the field 'Metadata' is unknown and not sent",
        "r.yaml:2: the field 'resourceContext.other' is unknown and not sent",
        "r.yaml:2: the field 'metadata.labels' is unknown and not sent",
    ]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        resources(text, name="r.yaml")
    except YamlError as error:
        refused = str(error)
    else:
        refused = "r.yaml"
    assert refused.startswith("r.yaml")
