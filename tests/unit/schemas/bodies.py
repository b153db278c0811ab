"""Bodies made from a JSON schema: most of them after its rules, some beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_NAMES = st.from_regex(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,5}[A-Za-z0-9]", fullmatch=True)
_TEXTS = st.one_of(
    _NAMES, st.text(max_size=4), st.sampled_from(["", "x" * 128, "x" * 129, "ready", "Deployed", "0", "1"])
)
_BESIDE = st.one_of(st.none(), st.booleans(), st.integers(-2, 70_000), st.just([]), st.just({}), _TEXTS)
_Schema = Mapping[str, Any]


def bodies(schema: _Schema) -> st.SearchStrategy[Any]:
    return st.one_of(_made(schema, schema), _BESIDE)


def _made(schema: _Schema, root: _Schema) -> st.SearchStrategy[Any]:
    """One value in five or so is not what the schema asks for."""
    if "$ref" in schema:
        return _made(root["definitions"][schema["$ref"].rpartition("/")[2]], root)
    sound = _sound(schema, root)
    return st.one_of(sound, sound, sound, sound, _BESIDE)


def _sound(schema: _Schema, root: _Schema) -> st.SearchStrategy[Any]:
    match schema.get("type", "object" if "properties" in schema else None):
        case "string":
            return st.sampled_from(schema["enum"]) if "enum" in schema else _TEXTS
        case "integer":
            return st.integers(schema.get("minimum", 0) - 1, schema.get("maximum", 70_000) + 1)
        case "array":
            return st.lists(_made(schema.get("items", {}), root), max_size=3)
        case "object" | None:
            return _object(schema, root)
    raise ValueError(f"no values are made of type {schema['type']}")


def _object(schema: _Schema, root: _Schema) -> st.SearchStrategy[Any]:
    """Members may lack, be shouted, or be of nobody's."""
    known = {name: _made(inner, root) for name, inner in schema.get("properties", {}).items()}
    shouted = {name.upper(): _made(inner, root) for name, inner in schema.get("properties", {}).items()}
    whole = st.fixed_dictionaries(known)
    partly = st.fixed_dictionaries({}, optional={**known, **shouted, "nobody's": _BESIDE})
    if "additionalProperties" in schema:
        return st.dictionaries(_TEXTS, _made(schema["additionalProperties"], root), max_size=3)
    return st.one_of(whole, whole, partly)
