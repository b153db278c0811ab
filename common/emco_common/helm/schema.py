"""Keeps a chart's values schema from making the renderer read files or fetch addresses (robustness 7 and 8)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from emco_common.helm.gzip import refused

_POINTERS = ("$ref", "$dynamicRef", "$recursiveRef")
_DIALECTS = ("http://json-schema.org/", "https://json-schema.org/")
_MAX_DEPTH = 64


def check_values_schema(name: str, content: bytes) -> None:
    """Raises ``Unprocessable`` naming the reference, if the schema refers to anything but itself."""
    try:
        schema = json.loads(content.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise refused(f"{name} is not a JSON document") from None
    for key, value in _members(schema, name, depth=0):
        if key in _POINTERS and not (isinstance(value, str) and value.startswith("#")):
            raise refused(f"{name} refers to {value!r}; a schema may refer to itself only")
        if key == "$schema" and not (isinstance(value, str) and value.startswith(_DIALECTS)):
            raise refused(f"{name} is written in the dialect {value!r}, which is not one of json-schema.org")


class _Pairs(list[tuple[str, object]]):
    """An object with all its members: of a name given twice, readers differ in which one they take."""


def _members(value: object, name: str, *, depth: int) -> Iterator[tuple[str, object]]:
    if depth > _MAX_DEPTH:
        raise refused(f"{name} is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, _Pairs):
        for key, member in value:
            yield key, member
            yield from _members(member, name, depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _members(item, name, depth=depth + 1)
