"""Values as a Go template sees them: what is true, what can be compared, and how each prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final


class _Missing:
    """Stands for what a map does not hold. Prints as Go prints it."""

    def __repr__(self) -> str:
        return "<no value>"


MISSING: Final = _Missing()


def is_nothing(value: Any) -> bool:
    return value is None or value is MISSING


def truth(value: Any) -> bool:
    """Empty, zero and missing are false; anything of another type is true."""
    if isinstance(value, bool | int | float | str | list | Mapping):
        return bool(value)
    return not is_nothing(value)


def type_name(value: Any) -> str:
    match value:
        case None | _Missing():
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case Mapping():
            plain = all(isinstance(key, str) for key in value)
            return "map[string]interface {}" if plain else "map[interface {}]interface {}"
    return type(value).__name__


def sorted_keys(value: Mapping[Any, Any]) -> list[Any]:
    """Keys in the order of printing and of ``range``: texts, then numbers, then the rest."""
    return sorted(value, key=_rank)


def _rank(key: Any) -> tuple[int, Any]:
    match key:
        case str():
            return 0, key.encode("utf-8", "replace")
        case bool():
            return 3, key
        case int():
            return 1, key
        case float():
            return 2, key
    return 4, str(key)


def lookup(value: Mapping[Any, Any], key: Any) -> Any:
    """The entry of exactly this key: in Go 1, 1.0 and true are three keys."""
    found = [item for own, item in value.items() if own == key and type(own) is type(key)]
    return found[0] if found else MISSING


def text(value: Any) -> str:
    """What ``%v`` prints."""
    match value:
        case str():
            return value
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return shortest(value)
        case list():
            return f"[{' '.join(text(item) for item in value)}]"
        case Mapping():
            return f"map[{' '.join(f'{text(key)}:{text(value[key])}' for key in sorted_keys(value))}]"
    return str(value)


def shortest(value: float) -> str:
    """``%g``: the fewest digits that read back; with an exponent below 0.0001 and from 1000000 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits))
    power = len(shown) - 1 + exponent
    if -4 <= power < 6:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa = shown[0] + ("." + shown[1:] if len(shown) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02}"


def joined(values: Iterable[Any]) -> str:
    """What ``print`` prints: a blank between two values of which neither is a text."""
    out: list[str] = []
    before: Any = ""
    for value in values:
        if out and not isinstance(before, str) and not isinstance(value, str):
            out.append(" ")
        out.append(text(value))
        before = value
    return "".join(out)
