"""Go's ``Sprintf``: verbs, flags, width and precision, and its way to report a verb that does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emco_emcoctl.gotemplate import escapes, values

MAX_WIDTH = 1_000_000
"""Go's own limit for width and precision."""

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?:(?:\[(?P<wi>\d+)\])?(?P<width>\*)|(?P<fixed>\d+))?"
    r"(?P<dot>\.(?:(?:\[(?P<pi>\d+)\])?(?P<prec>\*)|(?P<digits>\d+))?)?(?:\[(?P<index>\d+)\])?(?P<verb>.?)",
    re.DOTALL,
)


@dataclass(frozen=True)
class _Spec:
    flags: str
    width: int
    precision: int | None
    verb: str

    def padded(self, body: str, *, sign: str = "") -> str:
        gap = self.width - len(sign) - len(body)
        if "-" in self.flags:
            return sign + body + " " * gap
        if "0" in self.flags:
            return sign + "0" * gap + body
        return " " * gap + sign + body

    def sign(self, negative: bool) -> str:
        return "-" if negative else "+" if "+" in self.flags else " " if " " in self.flags else ""


class _Arguments:
    def __init__(self, given: Sequence[Any]) -> None:
        self._given = given
        self._next = 0
        self._reordered = False

    def go_to(self, index: str | None) -> bool:
        """Whether the explicit index, if any, is one of an argument."""
        if index is None:
            return True
        self._reordered = True
        self._next = int(index) - 1
        return 0 <= self._next < len(self._given)

    def take(self) -> tuple[Any, bool]:
        if self._next >= len(self._given):
            return None, False
        self._next += 1
        return self._given[self._next - 1], True

    def number(self) -> int | None:
        value, there = self.take()
        fits = there and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WIDTH
        return value if fits else None

    def left(self) -> Sequence[Any]:
        return () if self._reordered else self._given[self._next :]


def sprintf(layout: str, given: Sequence[Any]) -> str:
    """The layout with its verbs replaced; a verb that does not fit shows as ``%!d(string=x)``, as in Go."""
    arguments = _Arguments(given)
    out: list[str] = []
    position = 0
    while (match := _VERB.search(layout, position)) is not None:
        out += [layout[position : match.start()], _replaced(match, arguments)]
        position = match.end()
    out.append(layout[position:])
    if left := arguments.left():
        out.append(f"%!(EXTRA {', '.join(_typed(value) for value in left)})")
    return "".join(out)


def _typed(value: Any) -> str:
    return "<nil>" if values.is_nothing(value) else f"{values.type_name(value)}={values.text(value)}"


def _replaced(match: re.Match[str], arguments: _Arguments) -> str:
    verb = match["verb"]
    notes = ""
    flags = match["flags"]
    good = arguments.go_to(match["wi"])
    width = _size(match["fixed"])
    if match["width"]:
        given = arguments.number() if good else None
        notes += "" if given is not None else "%!(BADWIDTH)"
        width = abs(given or 0)
        flags += "-" if (given or 0) < 0 else ""
    good &= arguments.go_to(match["pi"])
    precision = _size(match["digits"]) if match["dot"] else None
    if match["prec"]:
        given = arguments.number() if good else None
        notes += "" if given is not None and given >= 0 else "%!(BADPREC)"
        precision = given if given is not None and given >= 0 else None
    good &= arguments.go_to(match["index"])
    if not verb:
        return notes + "%!(NOVERB)"
    if verb == "%":
        return notes + "%"
    if not good:
        return f"{notes}%!{verb}(BADINDEX)"
    value, there = arguments.take()
    if not there:
        return f"{notes}%!{verb}(MISSING)"
    return notes + _formatted(_Spec(flags, width, precision, verb), value)


def _size(digits: str | None) -> int:
    return min(int(digits), MAX_WIDTH) if digits and len(digits) < 10 else 0


def _formatted(spec: _Spec, value: Any) -> str:
    if spec.verb == "T":
        return spec.padded(values.type_name(value))
    if values.is_nothing(value):
        return spec.padded("<nil>") if spec.verb == "v" else f"%!{spec.verb}(<nil>)"
    if isinstance(value, list):
        return f"[{' '.join(_element(spec, item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{_element(spec, key)}:{_element(spec, value[key])}" for key in values.sorted_keys(value))
        return f"map[{' '.join(pairs)}]"
    format_one = _formatter(value)
    return format_one(spec, value) or _misfit(spec, value)


def _element(spec: _Spec, value: Any) -> str:
    return "<nil>" if value is None else _formatted(spec, value)


def _formatter(value: Any) -> Callable[[_Spec, Any], str | None]:
    if isinstance(value, bool):
        return _bool
    if isinstance(value, int):
        return _int
    return _float if isinstance(value, float) else _text


def _misfit(spec: _Spec, value: Any) -> str:
    return f"%!{spec.verb}({_typed(value)})"


def _bool(spec: _Spec, value: bool) -> str | None:
    return spec.padded("true" if value else "false") if spec.verb in "tv" else None


def _int(spec: _Spec, value: int) -> str | None:
    verb = spec.verb
    if verb in "cqU":
        return _character(spec, value)
    layout = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(verb)
    if layout is None:
        return None
    digits = format(abs(value), layout)
    if spec.precision is not None:
        digits = "" if spec.precision == 0 and value == 0 else digits.rjust(spec.precision, "0")
    prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "") if "#" in spec.flags else ""
    plain = spec if spec.precision is None else _Spec(spec.flags.replace("0", ""), spec.width, None, verb)
    return plain.padded(digits, sign=spec.sign(value < 0) + ("0o" if verb == "O" else prefix))


def _character(spec: _Spec, value: int) -> str:
    if spec.verb == "U":
        return spec.padded(f"U+{value:04X}")
    shown = chr(value) if 0 <= value <= 0x10FFFF else "�"
    return spec.padded(shown if spec.verb == "c" else escapes.quoted(shown, mark="'", ascii_only="+" in spec.flags))


def _float(spec: _Spec, value: float) -> str | None:
    verb = "g" if spec.verb == "v" else spec.verb
    if verb not in "eEfFgG":
        return None
    size = abs(value)
    if verb in "gG" and spec.precision is None:
        body = values.shortest(size)
        body = body.upper() if verb == "G" else body
    else:
        precision = 6 if spec.precision is None else spec.precision
        body = format(size, f".{precision}{verb}")
    negative = value < 0 or str(value).startswith("-")
    return spec.padded(body.removeprefix("+"), sign=spec.sign(negative))


def _text(spec: _Spec, value: Any) -> str | None:
    text = value if isinstance(value, str) else values.text(value)
    text = text if spec.precision is None else text[: spec.precision]
    if spec.verb in "xX":
        digits = (
            text.encode("utf-8", "replace").hex(" ") if " " in spec.flags else text.encode("utf-8", "replace").hex()
        )
        return spec.padded(digits.upper() if spec.verb == "X" else digits)
    if spec.verb == "q":
        if "#" in spec.flags and "`" not in text and text.isprintable():
            return spec.padded(f"`{text}`")
        return spec.padded(escapes.quoted(text, ascii_only="+" in spec.flags))
    if spec.verb == "v" and "#" in spec.flags:
        return spec.padded(escapes.quoted(text))
    return spec.padded(text) if spec.verb in "sv" else None
