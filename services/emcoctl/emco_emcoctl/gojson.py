"""JSON text exactly as Go writes it: keys sorted by bytes, ``<>&`` escaped, shortest floats (emcoctl 3.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from emco_emcoctl.yamldocs import Timestamp

_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


class NotJsonError(ValueError):
    """A value that JSON cannot hold."""


def dumps(value: Any) -> str:
    """The JSON text of a decoded YAML value; raises ``NotJsonError``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number(value)
        case str():
            return quoted(value)
        case Timestamp():
            return quoted(value.rfc3339())
        case list():
            return "[" + ",".join(dumps(item) for item in value) + "]"
        case Mapping():
            return _mapping(value)
    raise NotJsonError(f"{type(value).__name__} has no form in JSON")


def members(pairs: list[tuple[str, str]]) -> str:
    """An object of already encoded values, in the order given."""
    return "{" + ",".join(f"{quoted(key)}:{text}" for key, text in pairs) + "}"


def quoted(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).translate(_ESCAPES)


def number(value: float) -> str:
    """``1`` for 1.0, ``1e+21`` from 1e21 up, ``1e-7`` below 0.000001."""
    if not math.isfinite(value):
        raise NotJsonError(f"{value} has no form in JSON")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits, _, exponent = repr(value).partition("e")
    digits = digits.removesuffix(".0")
    return f"{digits}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-').lstrip('0')}"


def _mapping(value: Mapping[Any, Any]) -> str:
    for key in value:
        if not isinstance(key, str):
            raise NotJsonError(f"the key {key} is not a text; write it with quotation marks")
    keys = sorted(value, key=lambda key: key.encode("utf-8", "replace"))
    return members([(key, dumps(value[key])) for key in keys])
