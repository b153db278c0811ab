"""YAML from strangers is read as Kubernetes reads it, within limits that hold before anything is built."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kubeyaml import BadYaml, compose, dump, load, load_all, load_mapping


def levels(first: str, following: str, *, depth: int = 8) -> str:
    """Each level names the one before nine times."""
    above = (f"a{n}: &a{n} {following % ', '.join([f'*a{n - 1}'] * 9)}" for n in range(1, depth + 1))
    return "\n".join((f"a0: &a0 {first}", *above))


BOMBS = {
    "sequences": levels("[x, x]", "[%s]"),
    "mappings": levels("{x: y}", "{k: [%s]}"),
    "merges": levels("{x: y}", "{<<: [%s]}"),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_alias_bomb_is_refused_before_it_is_built(bomb: str) -> None:
    for read in (load, load_all, compose):
        with pytest.raises(BadYaml, match="expands to more than 200000 values"):
            read(bomb)


def test_a_modest_number_of_aliases_is_fine() -> None:
    assert load("a: &a [x]\nb: [" + ",".join(["*a"] * 200) + "]") == {"a": ["x"], "b": [["x"]] * 200}


def test_merges_are_followed() -> None:
    assert load("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "in line 2: did not find expected node content"),
        ("a: b\n c: d", "in line 2: mapping values are not allowed"),
        ("[" * 101 + "]" * 101, "is nested deeper than 100 levels"),
        ("a: &a [*a]", "holds an alias to itself"),
        ("a: 1\n---\nb: 2", "is more than one YAML document"),
        ("a: .inf", "is not valid YAML"),
        ("a: .nan", "is not valid YAML"),
        ("a: !!binary aGk=", "is not valid YAML in line 1"),
        ("a: !!set {x}", "is not valid YAML in line 1"),
        ("? [a]\n: b", "is not valid YAML in line 1"),
        ("a: \ud800", "is not valid YAML"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, reason: str) -> None:
    with pytest.raises(BadYaml, match=reason):
        load(text)


@pytest.mark.parametrize(
    "text", ["a: !hunter2 x", "a: 'hunter2", "a: *hunter2", "a: 0b_hunter2\nb: [", "a: !!int hunter2"]
)
def test_a_refusal_quotes_nothing(text: str) -> None:
    with pytest.raises(BadYaml) as refused:
        load(text)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_aliases_may_be_refused_altogether() -> None:
    with pytest.raises(BadYaml, match="aliases"):
        load("a: &a 1\nb: *a", aliases=False)


def test_a_file_is_a_mapping_or_says_what_it_is_not() -> None:
    assert load_mapping(b"\xef\xbb\xbfa: 2024-01-01") == {"a": "2024-01-01"}
    for content, reason in (
        (b"\xff", "is not UTF-8"),
        (b"- a", "is not a YAML mapping"),
        (b"", "is not a YAML mapping"),
    ):
        with pytest.raises(BadYaml, match=reason):
            load_mapping(content)


@given(st.text(max_size=200))
def test_any_text_gives_what_json_can_hold_or_is_refused(text: str) -> None:
    with suppress(BadYaml):
        json.dumps(load_all(text), allow_nan=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", categories=("L", "N", "P"))),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_json_is_read_as_what_it_says(value: object) -> None:
    assert load(json.dumps(value, ensure_ascii=False)) == value


ODD = ["1e3", "0o7", "017", "1_0", "1:30", "on", "No", "~", "null", "1.", ".5e1", "0x1F", "2026-01-01", "="]
texts = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"))
documents = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=4,
)


@given(documents)
def test_what_is_written_is_read_back_as_it_was_meant(document: dict[str, object]) -> None:
    assert (load(dump(document)) or {}) == document
    assert (yaml.safe_load(dump(document)) or {}) == document


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _JSON), st.booleans())
def test_json_is_read_as_the_yaml_that_it_is(document: dict[str, object], escaped: bool) -> None:
    text = json.dumps(document, ensure_ascii=escaped)
    with suppress(BadYaml):  # the grammar of YAML does not take every character
        assert load_all(text) == load_all("--- " + text)


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1e400}', '{"a": 1} {"b": 2}', '{"a": "\\ud800"}', '{"a": "\ud800"}']
)
def test_what_is_almost_json_is_read_as_yaml(text: str) -> None:
    try:
        expected: object = load_all("--- " + text)
    except BadYaml as error:
        expected = str(error)
    try:
        found: object = load_all(text)
    except BadYaml as error:
        found = str(error)
    assert found == expected


def test_json_is_bounded_as_well() -> None:
    deep = '{"a":' * 101 + "1" + "}" * 101
    with pytest.raises(BadYaml, match="nested deeper than 100"):
        load_all(deep)
    with pytest.raises(BadYaml, match="expands to more than 200000"):
        load_all('{"a":[' + "1," * 200_000 + "1]}")
