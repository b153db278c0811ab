"""Merges the trees of Helm's ``--set`` into values and keeps their integers through a JSON border. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Helm runs the templates that lie deepest first, and all templates of a chart share one tree of values.
RESTORING_PATH = "/".join([*["emco"] * 100, "integers.yaml"])


class SetInteger(int):
    """An integer that came from ``--set``, where Helm keeps it one; those of files become floats."""


def assignments(pair: str) -> Iterator[str]:
    """The single assignments of one ``--set`` argument: cut at commas, but not at ``\\,`` nor inside ``{…}``."""
    start = position = 0
    braced = False
    while position < len(pair):
        character = pair[position]
        if character == "\\":
            position += 1
        elif character == "{" and pair[position - 1 : position] == "=":
            braced = True
        elif character == "}":
            braced = False
        elif character == "," and not braced:
            yield pair[start:position]
            start = position + 1
        position += 1
    if start < len(pair):
        yield pair[start:]


def merged(values: Mapping[str, Any], assignment: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with the parsed ``assignment`` on top; ``key[1]=…`` sets an element, ``key={…}`` the whole list."""
    result = _merge(values, tree, elements="[" in assignment.partition("=")[0])
    assert isinstance(result, dict)
    return result


def _merge(base: Any, tree: Any, *, elements: bool) -> Any:
    if isinstance(tree, Mapping):
        old = base if isinstance(base, Mapping) else {}
        return {**old, **{key: _merge(old.get(key), value, elements=elements) for key, value in tree.items()}}
    if isinstance(tree, list):
        old_list = base if elements and isinstance(base, list) else []
        padded = [*old_list, *[None] * (len(tree) - len(old_list))]
        set_here = [*tree, *[None] * (len(padded) - len(tree))]
        return [
            old if elements and new is None else _merge(old, new, elements=elements)
            for old, new in zip(padded, set_here, strict=True)
        ]
    return SetInteger(tree) if isinstance(tree, int) and not isinstance(tree, bool) else tree


def restoring_template(values: Mapping[str, Any]) -> str:
    """A template that renders to nothing and makes the integers of ``--set`` integers again; empty without any."""
    own = "".join(_statements(("$.Values",), {key: value for key, value in values.items() if key != "global"}))
    shared = "".join(_statements(("$.Values", '"global"'), values.get("global")))
    if not own and not shared:
        return ""
    # Every sub-chart has a copy of the global values.
    return (
        f'{{{{- define "emco.integers.global" }}}}{shared}'
        '{{- range $.Subcharts }}{{ include "emco.integers.global" . }}{{ end }}{{ end -}}'
        f'{own}{{{{ include "emco.integers.global" . }}}}'
    )


def _statements(path: tuple[str, ...], value: Any) -> Iterator[str]:
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if isinstance(value, Mapping) and _holds_integer(child):
            target = f"(index {' '.join(path)})" if len(path) > 1 else path[0]
            yield f"{{{{- $_ := set {target} {_literal(key)} {_expression((*path, _literal(key)), child)} }}}}"
        yield from _statements((*path, _literal(key)), child)


def _literal(key: str | int) -> str:
    """As Go writes it; JSON's pairs of surrogates would be an error there."""
    return json.dumps(key, ensure_ascii=False)


def _holds_integer(value: Any) -> bool:
    """Whether it is such an integer, or a list that holds one in itself: a list is set as a whole, a map by key."""
    return isinstance(value, SetInteger) or (isinstance(value, list) and any(map(_holds_integer, value)))


def _expression(path: tuple[str, ...], value: Any) -> str:
    if isinstance(value, SetInteger):
        return f"(int64 {int(value)})"
    if isinstance(value, list) and _holds_integer(value):
        return f"(list {' '.join(_expression((*path, str(index)), item) for index, item in enumerate(value))})"
    return f"(index {' '.join(path)})"
