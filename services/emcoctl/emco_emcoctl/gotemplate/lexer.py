"""Template text to tokens, as Go's text/template cuts it: text, and inside ``{{ }}`` words, numbers and signs."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from enum import Enum, auto
from typing import NamedTuple

LEFT, RIGHT = "{{", "}}"
_BLANKS = " \t\r\n"


class Kind(Enum):
    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    WORD = auto()
    FIELD = auto()
    VARIABLE = auto()
    DOT = auto()
    NUMBER = auto()
    CHAR = auto()
    STRING = auto()
    RAW = auto()
    OPEN = auto()
    CLOSE = auto()
    PIPE = auto()
    ASSIGN = auto()
    DECLARE = auto()
    SIGN = auto()
    END = auto()


class Token(NamedTuple):
    kind: Kind
    text: str
    position: int


_TOKENS = re.compile(
    r"""
      (?P<SPACE>[ \t\r\n]+)
    | (?P<STRING>"(?:[^"\\\n]|\\.)*")
    | (?P<RAW>`[^`]*`)
    | (?P<CHAR>'(?:[^'\\\n]|\\.)+')
    | (?P<NUMBER>[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)
                 (?:[eE][-+]?[0-9_]+)?))
    | (?P<FIELD>\.\w+)
    | (?P<DOT>\.)
    | (?P<VARIABLE>\$\w*)
    | (?P<WORD>\w+)
    | (?P<DECLARE>:=)
    | (?P<ASSIGN>=)
    | (?P<PIPE>\|)
    | (?P<OPEN>\()
    | (?P<CLOSE>\))
    """,
    re.VERBOSE,
)
_ENDING_A_WORD = re.compile(r"[ \t\r\n.,|:()]|\}\}|$")
_TRIMMED_RIGHT = re.compile(r"[ \t\r\n]-\}\}")
_UNFINISHED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}


def tokens(text: str, *, fail: Callable[[int, str], Exception]) -> Iterator[Token]:
    """The tokens of ``text``, comments left out; ``fail`` makes the error for a position and a reason."""
    position = 0
    trimmed = False
    while True:
        start = text.find(LEFT, position)
        plain = text[position:] if start < 0 else text[position:start]
        shift = len(plain) - len(plain.lstrip(_BLANKS)) if trimmed else 0
        plain = plain[shift:]
        trims_left = start >= 0 and text.startswith("-", start + 2) and text[start + 3 : start + 4] in tuple(_BLANKS)
        if trims_left:
            plain = plain.rstrip(_BLANKS)
        if plain:
            yield Token(Kind.TEXT, plain, position + shift)
        if start < 0:
            yield Token(Kind.END, "", len(text))
            return
        inside = start + (4 if trims_left else 2)
        if text.startswith("/*", inside):
            position, trimmed = _comment_end(text, inside, fail=fail)
            continue
        yield Token(Kind.LEFT, LEFT, start)
        position = yield from _action(text, inside, fail=fail)
        trimmed = text[position - 3] == "-" and text[position - 4] in _BLANKS
        yield Token(Kind.RIGHT, RIGHT, position - 2)


def _comment_end(text: str, start: int, *, fail: Callable[[int, str], Exception]) -> tuple[int, bool]:
    end = text.find("*/", start + 2)
    if end < 0:
        raise fail(start, "unclosed comment")
    if text.startswith(RIGHT, end + 2):
        return end + 4, False
    if _TRIMMED_RIGHT.match(text, end + 2):
        return end + 6, True
    raise fail(start, "comment ends before closing delimiter")


def _action(text: str, position: int, *, fail: Callable[[int, str], Exception]) -> Generator[Token, None, int]:
    """The tokens up to the right delimiter; returns the position after it."""
    depth = 0
    opened = position
    while True:
        ending = _right(text, position)
        if ending:
            if depth:
                raise fail(position, "unclosed left paren")
            return ending
        if position >= len(text):
            raise fail(opened, "unclosed action")
        token = _token(text, position, fail=fail)
        depth += (token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE)
        if depth < 0:
            raise fail(position, "unexpected right paren")
        yield token
        position += len(token.text)


def _right(text: str, position: int) -> int:
    """The position after the right delimiter, if it is here."""
    if text.startswith(RIGHT, position):
        return position + 2
    return position + 4 if _TRIMMED_RIGHT.match(text, position) else 0


def _token(text: str, position: int, *, fail: Callable[[int, str], Exception]) -> Token:
    match = _TOKENS.match(text, position)
    sign = text[position]
    if match is None:
        if sign in _UNFINISHED:
            raise fail(position, _UNFINISHED[sign])
        if sign == ":":
            raise fail(position, "expected :=")
        if not (sign.isascii() and sign.isprintable()):
            raise fail(position, f"unrecognized character in action: U+{ord(sign):04X}")
        return Token(Kind.SIGN, sign, position)
    kind = Kind[match.lastgroup or ""]
    found = match[0]
    if kind is Kind.SPACE:
        found = _without_marker(text, match)
    end = position + len(found)
    if kind in (Kind.WORD, Kind.FIELD, Kind.VARIABLE) and not _ENDING_A_WORD.match(text, end):
        raise fail(position, f"bad character U+{ord(text[end]):04X} '{text[end]}'")
    if kind is Kind.NUMBER and text[end : end + 1].isalnum():
        raise fail(position, f'bad number syntax: "{found}{text[end]}"')
    return Token(kind, found, position)


def _without_marker(text: str, match: re.Match[str]) -> str:
    """The blanks without the last one if that belongs to a trimming right delimiter."""
    return match[0][:-1] if _TRIMMED_RIGHT.match(text, match.end() - 1) else match[0]
