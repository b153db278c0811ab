"""The constants of a template: what a number, a quoted text or a character stands for in Go."""

from __future__ import annotations

import re

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<o>[0-7]{3})|(?P<c>.))", re.DOTALL
)
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def number(text: str) -> int | float:
    """Raises ``ValueError`` with the reason."""
    clean = text.replace("_", "")
    sign = -1 if clean.startswith("-") else 1
    digits = clean.lstrip("+-").lower()
    if digits.startswith(("0x", "0b", "0o")):
        whole = sign * int(digits, 0)
    elif digits.isdigit():
        whole = sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)
    else:
        return float(clean)
    if not _INT_MIN <= whole <= _INT_MAX:
        raise ValueError(f"{text} overflows int")
    return whole


def unquoted(text: str) -> str:
    """The content of a string in double quotes; raises ``ValueError`` for an escape that Go does not know."""
    return _ESCAPE.sub(lambda match: _unescaped(match, quote='"'), text[1:-1])


def character(text: str) -> int:
    """The code point of a character constant; raises ``ValueError``."""
    content = _ESCAPE.sub(lambda match: _unescaped(match, quote="'"), text[1:-1])
    if len(content) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return ord(content)


def _unescaped(match: re.Match[str], *, quote: str) -> str:
    if code := match["x"] or match["u"] or match["U"]:
        return chr(int(code, 16))
    if match["o"]:
        return chr(int(match["o"], 8))
    if match["c"] == quote:
        return quote
    if match["c"] in _SIMPLE:
        return _SIMPLE[match["c"]]
    raise ValueError("invalid syntax")
