"""Whether a body is one that a service takes, as far as its schema says. Pure.

Only the keywords that occur in ``catalogue.json`` are known. Members are found without regard to case and unknown ones
are left alone, as the services do (orchestrator-api 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Problem = tuple[str, str]
"""The dotted field, and what is wrong with it."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (Mapping,),
    "null": (type(None),),
}
_WORDS = {"string": "a text", "object": "a mapping", "array": "a list", "boolean": "true or false", "null": "nothing"}


def problems(value: Any, schema: Schema, *, field: str = "") -> Iterator[Problem]:
    """Everything about ``value`` that the schema refuses."""
    if alternatives := schema.get("anyOf"):
        found = [list(problems(value, one, field=field)) for one in alternatives]
        yield from min(found, key=len)
        return
    wanted = schema.get("type")
    if wanted and not _is(value, wanted):
        yield field, f"must be {_WORDS.get(wanted, f'an {wanted}')}, not {_shown(value)}"
        return
    for keyword, check in _CHECKS.items():
        if keyword in schema and (reason := check(value, schema[keyword])):
            yield field, reason
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], field=f"{field}[{index}]")
    if isinstance(value, Mapping):
        yield from _members(value, schema, field=field)


def _members(value: Mapping[str, Any], schema: Schema, *, field: str) -> Iterator[Problem]:
    known = schema.get("properties", {})
    folded = {name.lower(): name for name in known}
    given = {folded.get(str(key).lower(), str(key)): item for key, item in value.items() if item is not None}
    prefix = f"{field}." if field else ""
    for name in schema.get("required", ()):
        if name not in given:
            yield f"{prefix}{name}", "is missing"
    others = schema.get("additionalProperties")
    for name, item in given.items():
        if name in known:
            yield from problems(item, known[name], field=prefix + name)
        elif isinstance(others, Mapping):
            yield from problems(item, others, field=prefix + name)


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])


def _pattern(value: Any, pattern: str) -> str:
    fits = not isinstance(value, str) or re.search(pattern, value)
    return "" if fits else f"{_shown(value)} must consist of letters, digits, '-', '_' and '.' ({pattern})"


def _too_long(value: Any, most: int) -> str:
    fits = not isinstance(value, str) or len(value) <= most
    return "" if fits else f"has {len(value)} characters, at most {most} are allowed"


def _too_small(value: Any, least: float) -> str:
    return f"{value} is less than {least}" if isinstance(value, int | float) and value < least else ""


def _too_large(value: Any, most: float) -> str:
    return f"{value} is more than {most}" if isinstance(value, int | float) and value > most else ""


def _none_of(value: Any, choices: list[Any]) -> str:
    return "" if value in choices else f"{_shown(value)} must be one of {', '.join(map(str, choices))}"


_CHECKS: Mapping[str, Callable[[Any, Any], str]] = {
    "pattern": _pattern,
    "maxLength": _too_long,
    "minimum": _too_small,
    "maximum": _too_large,
    "enum": _none_of,
}


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
