"""Tables, trees and documents as text. Colours only where they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from emco_emcoctl.views import GOOD, Node, is_bad

GREEN, RED, YELLOW, DIM, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_CELL = 60


def painted(colour: str, text: str, *, colours: bool) -> str:
    return f"{colour}{text}{PLAIN}" if colours and text else text


def state(word: str, *, colours: bool) -> str:
    """A state in the colour that says whether somebody should look at it."""
    colour = GREEN if word in GOOD else RED if is_bad(word) else YELLOW
    return painted(colour, word, colours=colours)


def tree(node: Node, *, colours: bool = False, line: Callable[[Node], str] | None = None) -> Iterator[str]:
    """The lines of a tree, its root first; ``line`` says what stands on the line of a node."""
    line = line or partial(_line, colours=colours)
    yield line(node)
    yield from _branches(node.children, line, colours=colours, prefix="")


def _branches(children: Sequence[Node], line: Callable[[Node], str], *, colours: bool, prefix: str) -> Iterator[str]:
    for index, child in enumerate(children):
        last = index == len(children) - 1
        yield painted(DIM, prefix + ("└─ " if last else "├─ "), colours=colours) + line(child)
        yield from _branches(child.children, line, colours=colours, prefix=prefix + ("   " if last else "│  "))


def _line(node: Node, *, colours: bool) -> str:
    parts = [printable(node.label), state(node.state, colours=colours)]
    return "  ".join(filter(None, parts)) + (f": {printable(node.reason)}" if node.reason else "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, colours: bool = False) -> Iterator[str]:
    """Aligned columns below their names; columns that are empty in every row are left out."""
    content = [[printable(cell) for cell in row] for row in rows]
    kept = [index for index in range(len(head)) if any(row[index] for row in content)]
    widths = {index: max(len(head[index]), *(len(row[index]) for row in content)) for index in kept}
    yield painted(DIM, "  ".join(head[index].upper().ljust(widths[index]) for index in kept).rstrip(), colours=colours)
    for row in content:
        yield "  ".join(row[index].ljust(widths[index]) for index in kept).rstrip()


def printable(text: str) -> str:
    """One line without control characters, so that what a server says cannot steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def data(value: Any, *, form: str) -> Iterator[str]:
    """``value`` as json, yaml or a table, line by line."""
    if form == "yaml":
        yield from yaml_text(value).splitlines()
    elif form == "table":
        yield from _tabulated(value)
    else:
        yield json.dumps(value, indent=2, ensure_ascii=False)


def _tabulated(value: Any) -> Iterator[str]:
    if isinstance(value, list) and value:
        flat = [dict(_flat(item)) for item in value]
        head = list(dict.fromkeys(key for row in flat for key in row))
        yield from table([key.removeprefix("metadata.") for key in head], [[r.get(k, "") for k in head] for r in flat])
    elif isinstance(value, Mapping) and value:
        yield from table(["field", "value"], [list(pair) for pair in _flat(value)])
    elif value not in (None, [], {}):
        yield printable(str(value))


def _flat(value: Any, *, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, prefix=f"{prefix}.{key}" if prefix else str(key))
        return
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    yield prefix or "value", text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def yaml_text(value: Any) -> str:
    """YAML that every reader takes alike, the original client included: texts that any might take for something else
    stand in quotation marks."""
    from emco_emcoctl.yamlwriting import written

    return written(value)
