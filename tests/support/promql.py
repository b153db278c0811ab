"""What an expression of Prometheus asks for: names of metrics, and the labels that it means of them.

No parser (``promtool`` is the judge of that), but enough to see of which metrics an expression speaks, whatever it
does with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<range>\[[^\]]*\])|(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)"""
    r"""|(?P<number>[0-9][0-9.a-zA-Z]*)|(?P<mark>[{}(),]|=~|!~|!=|==|<=|>=|[=<>+*/%^-])|(?P<space>\s+)"""
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = _GROUPING | {"and", "or", "unless", "offset", "bool"}


@dataclass(frozen=True)
class Asked:
    """``labels`` are those that stand at a metric or in a grouping around it."""

    metrics: frozenset[str]
    labels: frozenset[str]


def asked(expression: str) -> Asked:
    """Raises ``ValueError`` where it is not to be read."""
    tokens = _tokens(expression)
    metrics, labels = set[str](), set[str]()
    inside = ""
    for place, (kind, text) in enumerate(tokens):
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if text == "{":
            inside = "}"
        elif text == "(" and place and tokens[place - 1][1] in _GROUPING:
            inside = ")"
        elif text == inside:
            inside = ""
        elif kind == "word" and inside:
            labels.add(text)
        elif kind == "word" and text not in _WORDS and following != "(" and not _is_function(tokens, place):
            metrics.add(text)
    return Asked(frozenset(metrics), frozenset(labels))


def _is_function(tokens: list[tuple[str, str]], place: int) -> bool:
    """``sum by (x) (…)``: a name with its grouping before the bracket."""
    return place + 1 < len(tokens) and tokens[place + 1][1] in {"by", "without"}


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at = list[tuple[str, str]](), 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"not to be read at {expression[at : at + 20]!r}: {expression}")
        at = match.end()
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match.group()))
    return found
