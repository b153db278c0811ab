"""The functions ``html``, ``js`` and ``urlquery``, and quoting as ``%q`` does it."""

from __future__ import annotations

from urllib.parse import quote_plus

_HTML = str.maketrans({"\0": "�", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
_GO = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def html(text: str) -> str:
    return text.translate(_HTML)


def js(text: str) -> str:
    return "".join(_JS.get(c) or (c if c.isprintable() else f"\\u{ord(c):04X}") for c in text)


def urlquery(text: str) -> str:
    return quote_plus(text, safe="", errors="replace")


def quoted(text: str, *, mark: str = '"', ascii_only: bool = False) -> str:
    """A Go string literal, or with ``mark="'"`` a character literal."""
    return mark + "".join(_quoted(c, mark, ascii_only) for c in text) + mark


def _quoted(c: str, mark: str, ascii_only: bool) -> str:
    if c == mark:
        return "\\" + c
    if c in _GO:
        return _GO[c]
    if c.isprintable() and (c.isascii() or not ascii_only):
        return c
    code = ord(c)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
