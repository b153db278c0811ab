"""Bodies against schemas, compared with another reader of JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emco_emcoctl import catalogue
from emco_emcoctl.schema import problems

SCHEMAS = [kind.schema for kind in catalogue.kinds() if kind.schema]


def _parts(schema: Any) -> Iterator[Any]:
    """A schema and those inside it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    for one in [
        *inner,
        *(schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)),
    ]:
        yield from _parts(one)


PARTS = {json.dumps(part, sort_keys=True): part for schema in SCHEMAS for part in _parts(schema)}
SCALARS = st.one_of(
    st.booleans(), st.integers(-3, 70_000), st.floats(-2, 2), st.sampled_from(["", "a", "a b", "x" * 129, "9", "\n"])
)


def _near(schema: Any) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema."""
    if "anyOf" in schema:
        return st.one_of([_near(one) for one in schema["anyOf"] if one.get("type") != "null"])
    return st.one_of(*[_fitting(schema)] * 9, SCALARS)


def _fitting(schema: Any) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "object" if "properties" in schema:
            members = {name: _near(one) for name, one in schema["properties"].items()}
            needed = {name: members.pop(name) for name in schema.get("required", ())}
            whole = st.fixed_dictionaries(needed, optional=members)
            return st.one_of(whole, whole, whole, st.fixed_dictionaries({}, optional=needed | members))
        case "object":
            return st.dictionaries(st.just("k"), SCALARS)
        case "array":
            return st.lists(_near(schema.get("items", {})), max_size=2)
        case "string":
            longest = schema.get("maxLength", 8)
            words = ["a", "edge-1", "", "10.0.0.0/24", "x" * longest, "x" * (longest + 1), *schema.get("enum", ())]
            return st.sampled_from(words)
        case "integer":
            least, most = schema.get("minimum", 0), schema.get("maximum", 9)
            return st.sampled_from([least - 1, least, most, most + 1])
    return SCALARS


@pytest.mark.parametrize("schema", PARTS.values(), ids=range(len(PARTS)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_body_is_wrong_exactly_where_its_schema_says_so(schema: Any, data: st.DataObject) -> None:
    body = data.draw(_near(schema))

    assert (not list(problems(body, schema))) == jsonschema.Draft202012Validator(schema).is_valid(body)


def _keywords(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key
            for inner in value.values() if key == "properties" else [value]:
                yield from _keywords(inner)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)


def test_every_keyword_in_the_catalogue_is_one_that_is_checked() -> None:
    known = {"anyOf", "type", "items", "properties", "required", "additionalProperties"}
    known |= {"pattern", "maxLength", "minimum", "maximum", "enum"}

    assert {word for schema in SCHEMAS for word in _keywords(schema)} <= known


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"Metadata": {"NAME": "p"}}, []),
        ({"metadata": {"name": None}}, [("metadata.name", "is missing")]),
        ({"metadata": {"name": "p", "colour": 1}, "x": 1}, []),
        ({"metadata": {"name": 7}}, [("metadata.name", "must be a text, not 7")]),
        ([], [("", "must be a mapping, not []")]),
    ],
)
def test_members_are_found_as_services_find_them(body: Any, said: list[tuple[str, str]]) -> None:
    project = catalogue.kind_of("projects")

    assert project is not None
    assert list(problems(body, project.schema)) == said
