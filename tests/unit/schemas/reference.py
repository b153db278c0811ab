"""The judge: what the original makes of a body. It decodes into an object, and checks that object with a JSON schema.

The schemas are applied to the decoded object written back (spec orchestrator-api 2, rules 6 and 7): keys match without
regard to case, unknown ones are dropped, ``null`` is absent; absent texts are ``""``, absent lists and maps ``null``.
The shape of that object stands in no schema, so it is given here, in a small language. One thing is judged more
strictly than by the original, which reads ``[null]`` as ``[""]``: nothing is absent from a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft7Validator, ValidationError, validators


class WrongType(Exception):
    """The original's decoder refuses the body."""


@dataclass(frozen=True)
class Leaf:
    """A text, number or flag. An ``omitted`` one is left out of the object when it is its default."""

    kind: type
    omitted: bool = False

    def decoded(self, given: Any) -> Any:
        if given is None:
            return self.kind()
        if type(given) is not self.kind:
            raise WrongType(given)
        return given


@dataclass(frozen=True)
class Struct:
    """An object of known members; always there, whatever is given of it, unless it is ``omitted`` when not given."""

    members: Mapping[str, Shape]
    omitted: bool = False

    def decoded(self, given: Any) -> Any:
        if given is not None and not isinstance(given, dict):
            raise WrongType(given)
        found = _folded(given or {}, self.members)
        values = {name: (shape, shape.decoded(found.get(name))) for name, shape in self.members.items()}
        return {name: value for name, (shape, value) in values.items() if not (shape.omitted and not value)}


@dataclass(frozen=True)
class Many:
    """A list; ``null`` when absent, or ``[]`` where ours takes absent for empty."""

    of: Shape
    omitted: bool = False
    absent: Any = None

    def decoded(self, given: Any) -> Any:
        if given is None:
            return self.absent
        if not isinstance(given, list):
            raise WrongType(given)
        return [_element(self.of, item) for item in given]


@dataclass(frozen=True)
class Map:
    """Free keys."""

    of: Shape
    omitted: bool = False

    def decoded(self, given: Any) -> Any:
        if given is None:
            return None
        if not isinstance(given, dict):
            raise WrongType(given)
        return {key: _element(self.of, value) for key, value in given.items()}


@dataclass(frozen=True)
class Anything:
    """What the decoder leaves to the schema."""

    omitted: bool = False

    def decoded(self, given: Any) -> Any:
        return given


Shape = Leaf | Struct | Many | Map | Anything
TEXT = Leaf(str)
METADATA = Struct({"name": TEXT, "description": TEXT, "userData1": TEXT, "userData2": TEXT})


def _element(shape: Shape, given: Any) -> Any:
    if given is None and not isinstance(shape, Anything):
        raise WrongType(given)
    return shape.decoded(given)


def _folded(given: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    """An exact match wins over one that differs in case."""
    found: dict[str, Any] = {}
    names = {name.lower(): name for name in members}
    for key, value in given.items():
        if key not in members and key.lower() in names and value is not None:
            found[names[key.lower()]] = value
    found.update({key: value for key, value in given.items() if key in members and value is not None})
    return found


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Without Python's licence that ``$`` may stand before a last line feed."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError("pattern")


_Validator = validators.extend(Draft7Validator, {"pattern": _pattern})


@dataclass(frozen=True)
class Judge:
    """One published schema with the shape of the object that it is applied to."""

    schema: Mapping[str, Any]
    shape: Shape

    def accepts(self, body: Any) -> bool:
        try:
            decoded = self.shape.decoded(body)
        except WrongType:
            return False
        return bool(_Validator(self.schema).is_valid(decoded))
