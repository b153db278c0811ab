"""Values of a wrong type, and members that do not exist. Pure.

Apply refuses both; the other writes refuse wrong types, and drop unknown members unless they are asked to be strict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from emco_simcluster.fields import Path, element_of, show
from emco_simcluster.shapes import Shape

_GO_TYPES = {"string": "string", "integer": "int32", "boolean": "bool", "map": "map[string]string", "list": "[]string"}


@dataclass(frozen=True, slots=True)
class Flaw:
    """A value at a path that is not what its kind says. ``expected`` is empty for a member that does not exist."""

    path: Path
    expected: str
    value: Any

    def of_apply(self) -> str:
        """As a server-side apply reports it."""
        where = show(self.path)
        if not self.expected:
            return f"{where}: field not declared in schema"
        if self.expected == "integer":
            return f"{where}: expected numeric (int or float), got {_json_type(self.value)}"
        if self.expected in ("map", "list"):
            return f"{where}: expected {self.expected}, got &{{{json.dumps(self.value)}}}"
        return f"{where}: expected {self.expected}, got &value.valueUnstructured{{Value:{json.dumps(self.value)}}}"

    def of_decoding(self, kind: str) -> str:
        """As a server reports it that decodes a body."""
        dotted = ".".join(e.removeprefix("f:") for e in self.path if e.startswith("f:"))
        if not self.expected:
            return f'strict decoding error: unknown field "{dotted}"'
        got = _json_type(self.value)
        return f"json: cannot unmarshal {got} into Go struct field {kind}.{dotted} of type {_GO_TYPES[self.expected]}"


def flaws(value: Any, shape: Shape) -> list[Flaw]:
    """What is wrong with a value, in document order."""
    if value is None:
        return []
    if shape.type and not _fits(value, shape.type):
        return [Flaw((), shape.type, value)]
    found: list[Flaw] = []
    if isinstance(value, dict):
        for name, child in value.items():
            if shape.closed and name not in shape.fields:
                found.append(Flaw((f"f:{name}",), "", child))
            elif below := flaws(child, shape.member(name)):
                found += [replace(flaw, path=(f"f:{name}", *flaw.path)) for flaw in below]
    elif isinstance(value, list) and shape.item is not None:
        for place, item in enumerate(value):
            if below := flaws(item, shape.item):
                element = element_of(item, shape) if shape.keyed else f"i:{place}"
                found += [replace(flaw, path=(element, *flaw.path)) for flaw in below]
    return found


def without_unknown(value: Any, shape: Shape) -> Any:
    """The value without members that do not exist."""
    if isinstance(value, dict):
        return {
            name: without_unknown(child, shape.member(name))
            for name, child in value.items()
            if not shape.closed or name in shape.fields
        }
    if isinstance(value, list) and shape.item is not None:
        return [without_unknown(item, shape.item) for item in value]
    return value


def _fits(value: Any, type_: str) -> bool:
    if type_ == "string":
        return isinstance(value, str)
    if type_ == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ == "boolean":
        return isinstance(value, bool)
    return isinstance(value, dict if type_ == "map" else list)


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"
