"""What a YAML scalar means: the YAML 1.2 core with some 1.1 legacy that the original reads (emcoctl 3.2)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from datetime import date

STR, BINARY, INT, FLOAT, BOOL, NULL, TIME = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "binary", "int", "float", "bool", "null", "timestamp")
)

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASES = (
    (re.compile(r"0[bB]([01]+)"), 2),
    (re.compile(r"0[oO]([0-7]+)"), 8),
    (re.compile(r"0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"0([0-7]+)"), 8),
    (re.compile(r"(0|[1-9][0-9]*)"), 10),
)
_STRAY_UNDERSCORE = re.compile(r"(?<![0-9])_|_(?![0-9])")
_TIME = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?P<sep>[Tt]|[ ]+)(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,](\d+))?(?P<zone>Z|[-+]\d\d:\d\d)?)?",
    re.ASCII,
)


class MisfitError(ValueError):
    """A text that does not fit its tag."""


@dataclass(frozen=True)
class Timestamp:
    """A date or a point in time; ``offset`` is in minutes, ``None`` for UTC. Prints as Go prints one."""

    day: date
    hour: int = 0
    minute: int = 0
    second: int = 0
    fraction: str = ""
    offset: int | None = None

    def rfc3339(self) -> str:
        zone = "Z" if self.offset is None else _zone(self.offset, ":")
        return f"{self.day.isoformat()}T{self._clock()}{zone}"

    def __str__(self) -> str:
        zone = "+0000 UTC" if self.offset is None else f"{_zone(self.offset, '')} {_zone(self.offset, '')}"
        return f"{self.day.isoformat()} {self._clock()} {zone}"

    def _clock(self) -> str:
        return f"{self.hour:02}:{self.minute:02}:{self.second:02}" + (f".{self.fraction}" if self.fraction else "")


def _zone(offset: int, separator: str) -> str:
    return f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}{separator}{abs(offset) % 60:02}"


Value = str | int | float | bool | Timestamp | None


def scalar_value(text: str, *, tag: str, plain: bool) -> Value:
    """The value of a scalar; raises ``MisfitError`` if the text does not fit its tag."""
    if tag == BINARY:
        return _decoded(text)
    if tag == STR or (tag in ("", "!") and not plain) or (tag and tag not in (INT, FLOAT, BOOL, NULL, TIME, "!")):
        return text
    value = _resolved(text, with_time=tag in ("", "!", TIME))
    if tag in ("", "!"):
        return value
    if tag == FLOAT and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if _tag_of(value) != tag:
        raise MisfitError(f"`{text}` is not a {tag.rpartition(':')[2]}")
    return value


def _tag_of(value: Value) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case Timestamp():
            return TIME
    return STR


def _resolved(text: str, *, with_time: bool) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if with_time and (time := _timestamp(text)) is not None:
        return time
    if text[0] == "." and _STRAY_UNDERSCORE.search(text):
        return text
    number = _number(text.replace("_", ""))
    return text if number is None else number


def _number(text: str) -> int | float | None:
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in ("+", "-") else text
    for pattern, base in _BASES:
        if match := pattern.fullmatch(digits):
            whole = sign * int(match[1], base)
            if -(2**63) <= whole < 2**64:
                return whole
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return None if math.isinf(number) else number


def _timestamp(text: str) -> Timestamp | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    zone, separator = match["zone"], match["sep"]
    if separator and separator.isspace() != (zone is None):
        return None
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
    if separator is None:
        return Timestamp(day)
    hour, minute, second = int(match[5]), int(match[6]), int(match[7])
    if hour > 23 or minute > 59 or second > 59:
        return None
    return Timestamp(day, hour, minute, second, (match[8] or "")[:9].rstrip("0"), _minutes(zone))


def _minutes(zone: str | None) -> int | None:
    if zone in (None, "Z"):
        return None
    assert zone is not None
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return (-minutes if zone[0] == "-" else minutes) or None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split("\n")), validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise MisfitError("the !!binary value is not base64") from error
