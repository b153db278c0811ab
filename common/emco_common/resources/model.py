"""Bodies: how JSON from a user becomes a checked model (spec orchestrator-api 2 and 3, clm 2).

Decoding is as lenient as clients of the original rely on: keys match without regard to case (an exact match wins),
unknown keys are ignored, ``null`` means absent, bytes after the first value are ignored. What is decoded is then
checked strictly; an absent string is ``""`` and fails by its pattern.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from emco_common import jsontext
from emco_common.errors import BadRequest, EmcoError, Unprocessable

NAME_PATTERN = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"
MAX_DEPTH = 64

Name = Annotated[str, Field(max_length=128, pattern=NAME_PATTERN)]
Text128 = Annotated[str, Field(max_length=128)]


class InvalidInput(BadRequest):
    """The body breaks its schema. ``violations`` pairs each dotted field with what is wrong with it."""

    def __init__(self, violations: tuple[tuple[str, str], ...]) -> None:
        super().__init__(
            "\n".join(["Invalid Input:", *(text for _, text in violations)]),
            detail="\n".join(f"{field}: {text}" for field, text in violations),
        )
        self.violations = violations


class EmptyBody(BadRequest):
    """No body, or only white space."""


class Undecodable(Unprocessable):
    """Not JSON, or a value of the wrong JSON type."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The fields of a model by their names on the wire, and those names by their lower case."""

    fields: Mapping[str, FieldInfo]
    folded: Mapping[str, str]

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is absent as if it had been given, so that a refused default is named as the user would write it."""
        return {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in self.fields.items()
            if name not in given and not field.is_required()
        }


@cache
def _known_names(model: type[BaseModel]) -> _Names:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    return _Names(fields, {name.lower(): name for name in fields})


def _what_must_be_given(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Every field has a default, but one that breaks the rules of its field is none: that field is required."""
    shown = {name: field.alias or name for name, field in model.model_fields.items()}
    lacking = {shown.get(name, name) for name in _missing_from_nothing(model)}
    for name, described in schema.get("properties", {}).items():
        given, pattern = described.get("default"), described.get("pattern")
        if name in lacking or (given == "" and pattern is not None and re.search(pattern, given) is None):
            described.pop("default", None)
            schema["required"] = sorted({*schema.get("required", ()), name})


def _missing_from_nothing(model: type[BaseModel]) -> set[str]:
    """The fields without which an otherwise empty body is refused, as far as the rules of fields say so."""
    try:
        model.model_validate({})
    except ValidationError as error:
        return {str(problem["loc"][0]) for problem in error.errors(include_url=False) if problem["loc"]}
    except EmcoError:  # a rule of the whole body spoke first
        return set()
    return set()


class Wire(BaseModel):
    """Base of all bodies. Field names are camel case on the wire; every default is checked like a given value."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        validate_default=True,
        populate_by_name=True,
        alias_generator=to_camel,
        frozen=True,
        json_schema_extra=_what_must_be_given,
    )

    lenient_keys: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or not cls.lenient_keys:
            return raw
        known = _known_names(cls)
        found: dict[str, Any] = {}
        for key, value in raw.items():
            if value is not None and key not in known.fields and key.lower() in known.folded:
                found[known.folded[key.lower()]] = value
        found.update({key: value for key, value in raw.items() if key in known.fields and value is not None})
        return {**known.defaults(found), **found}

    @classmethod
    def refused(cls, violations: tuple[tuple[str, str], ...]) -> EmcoError:
        """The error for a body that breaks its schema; a resource whose clients match on other words overrides it."""
        return InvalidInput(violations)

    def as_body(self) -> dict[str, Any]:
        """The API form: what is stored and answered."""
        return self.model_dump(mode="json", by_alias=True)


class Metadata(Wire):
    """What every resource says of itself (spec orchestrator-api 3)."""

    name: Name = ""
    description: Annotated[str, Field(max_length=1024)] = ""
    user_data1: Annotated[str, Field(max_length=512, alias="userData1")] = ""
    user_data2: Annotated[str, Field(max_length=512, alias="userData2")] = ""


def section() -> Any:
    """Default of a nested object: as if it had been given empty, so that its own rules apply."""
    return Field(default_factory=dict)


class Named(Wire):
    """A body that is nothing but its metadata."""

    metadata: Metadata = section()


def given_array(value: list[Any] | None) -> list[Any]:
    """For lists that must be given: absent is a violation, empty is fine."""
    if value is None:
        raise PydanticCustomError("schema", "Invalid type. Expected: array, given: null")
    return value


def given_object(value: dict[str, Any] | None) -> dict[str, Any]:
    """For maps that must be given: absent is a violation, empty is fine."""
    if value is None:
        raise PydanticCustomError("schema", "Invalid type. Expected: object, given: null")
    return value


M = TypeVar("M", bound=Wire)


def decode(model: type[M], raw: bytes) -> M:
    """The checked model. Raises ``EmptyBody`` (400), ``Undecodable`` (422) or ``InvalidInput`` (400)."""
    if not raw.strip():
        raise EmptyBody("Empty body")
    value = _first_value(raw)
    return check(model, {} if value is None else value)


def check(model: type[M], value: Any) -> M:
    """The same for JSON that is already decoded."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
    mistyped = next((problem for problem in problems if problem["type"] in _JSON_TYPES), None)
    if mistyped is not None:
        field = ".".join(str(part) for part in mistyped["loc"]) or "body"
        given, wanted = _json_type(mistyped["input"]), _JSON_TYPES[mistyped["type"]]
        raise Undecodable(f"json: cannot unmarshal {given} into field {field} of type {wanted}")
    raise model.refused(
        tuple((".".join(str(part) for part in problem["loc"]), _schema_text(dict(problem))) for problem in problems)
    )


class _MaybeNamed(Wire):
    class _Metadata(Wire):
        name: str = ""

    metadata: _Metadata = section()


def names_nothing(raw: bytes) -> bool:
    """Whether a body that can be decoded has no ``metadata.name``."""
    return not decode(_MaybeNamed, raw).metadata.name


def _first_value(raw: bytes) -> Any:
    with suppress(ValueError):  # what follows says why, or finds the value after which there is more
        value = jsontext.read(raw)
        if not _deeper_than(value, MAX_DEPTH):
            return value
    return _first_value_of(raw)


def _first_value_of(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig").lstrip()
        value, _ = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).raw_decode(text)
    except UnicodeDecodeError as error:
        raise Undecodable("the body is not UTF-8") from error
    except RecursionError as error:
        raise Undecodable(f"the body nests deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            raise Undecodable("unexpected EOF") from error
        raise Undecodable(f"invalid character {error.doc[error.pos]!r} at position {error.pos}: {error.msg}") from error
    except ValueError as error:
        raise Undecodable(str(error)) from error
    if _deeper_than(value, MAX_DEPTH):
        raise Undecodable(f"the body nests deeper than {MAX_DEPTH} levels")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond the range of numbers")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if depth == 0:
        return True
    return any(_deeper_than(inner, depth - 1) for inner in (value.values() if isinstance(value, dict) else value))


_JSON_TYPES = {
    "string_type": "string",
    "int_type": "int",
    "int_from_float": "int",
    "float_type": "float",
    "bool_type": "bool",
    "dict_type": "map",
    "mapping_type": "map",
    "list_type": "slice",
    "tuple_type": "slice",
    "model_type": "struct",
    "model_attributes_type": "struct",
}


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, Mapping) else "null"


def _schema_text(problem: dict[str, Any]) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "string_pattern_mismatch":
            return f"Does not match pattern '{context['pattern']}'"
        case "string_too_long":
            return f"String length must be less than or equal to {context['max_length']}"
        case "less_than_equal":
            return f"Must be less than or equal to {context['le']}"
        case "greater_than_equal":
            return f"Must be greater than or equal to {context['ge']}"
        case "missing":
            return f"{problem['loc'][-1]} is required"
        case _:
            return str(problem["msg"])
