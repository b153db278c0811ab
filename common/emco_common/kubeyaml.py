"""YAML from strangers: read as Kubernetes and Helm read it, and never more of it than the limits allow.

Scalars are those of YAML 1.1 (``no`` is false) without dates and numbers to the base of 60; whole floats are integers,
as Go writes them. What JSON cannot hold is refused. The limits hold before anything is built: aliases count for what
they expand to, merges included.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

MAX_NODES = 200_000
MAX_DEPTH = 100
_EXACT = 1e21  # Go writes larger whole floats with an exponent
_SURELY_FEW = 2 * MAX_NODES
"""Characters of JSON in which there cannot be more values than that."""
_PLAIN = ("null", "bool", "int", "str", "seq", "map")
_TAG = "tag:yaml.org,2002:"
_LINE = 4096  # texts are not folded


class BadYaml(ValueError):
    """No YAML, or past a limit. The message completes "<source> …" and quotes nothing, since texts hold secrets."""


def compose(
    text: str, *, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH, aliases: bool = True
) -> yaml.Node | None:
    """The node tree of one document, ``None`` if there is none. Raises ``BadYaml``."""
    nodes = _nodes(text, max_nodes=max_nodes, max_depth=max_depth, aliases=aliases)
    if len(nodes) > 1:
        raise BadYaml("is more than one YAML document")
    return nodes[0] if nodes else None


def load(text: str, *, max_depth: int = MAX_DEPTH, aliases: bool = True) -> object:
    """One document as plain data that JSON can hold, ``None`` if there is none. Raises ``BadYaml``."""
    node = compose(text, max_depth=max_depth, aliases=aliases)
    return None if node is None else _construct(node)


def load_all(text: str) -> list[object]:
    """The documents of a text, empty ones left out. Raises ``BadYaml``."""
    if (document := _json(text)) is not None:
        return [document]
    documents = map(_construct, _nodes(text, max_nodes=MAX_NODES, max_depth=MAX_DEPTH, aliases=True))
    return [document for document in documents if document is not None]


def load_mapping(content: bytes) -> Mapping[str, Any]:
    """A file that holds one mapping. Raises ``BadYaml``."""
    try:
        data = load(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadYaml("is not UTF-8") from None
    if not isinstance(data, dict):
        raise BadYaml("is not a YAML mapping")
    return data


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Decides what a plain scalar is."""


class _Constructor(yaml.constructor.SafeConstructor):
    """Makes the values."""

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        return _number(self.construct_yaml_float(node))


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError("JSON holds neither infinity nor NaN")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    replaced = [_TAG + name for name in ("timestamp", "value", "int", "float")]
    return {
        first: [(tag, pattern) for tag, pattern in entries if tag not in replaced]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.add_implicit_resolver(
    f"{_TAG}int",
    re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9][0-9_]*)?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
            |[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+
            |[-+]?[0-9][0-9_]*\.
            |[-+]?\.(?:inf|Inf|INF)
            |\.(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)
_known: Mapping[Any, Any] = yaml.constructor.SafeConstructor.yaml_constructors
_Constructor.yaml_constructors = {
    **{_TAG + name: _known[_TAG + name] for name in _PLAIN},
    f"{_TAG}float": _Constructor.construct_number,
    None: _known[None],  # refuses every other tag
}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes every text that some reader, of YAML 1.1 or Kubernetes', would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *_Loader.yaml_implicit_resolvers.get(first, ())]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def dump(document: Mapping[str, Any]) -> str:
    """One object as YAML, members in their order; ``load`` gives the same back."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=_LINE))


def _json(text: str) -> dict[str, Any] | None:
    """One object of JSON, which is YAML and is read twenty times as quickly; ``None`` for whatever else there is."""
    if not text.startswith("{") or len(text) > _SURELY_FEW or "\\ud" in text.lower():
        return None
    try:
        text.encode()  # half characters are told as such
        document: dict[str, Any] = json.loads(text, parse_float=_float, parse_constant=_float)
    except (ValueError, RecursionError):
        return None
    return document if _is_flat(document) else None


def _float(text: str) -> int | float:
    return _number(float(text))


def _is_flat(document: object) -> bool:
    """Nested no deeper than ``MAX_DEPTH``?"""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return not any(isinstance(outer, dict | list) for outer in level)


def _nodes(text: str, *, max_nodes: int, max_depth: int, aliases: bool) -> list[yaml.Node]:
    try:
        _check_shape(text, max_depth=max_depth, aliases=aliases)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except (yaml.YAMLError, UnicodeError) as error:
        raise BadYaml(_told(error)) from None
    known: dict[int, int] = {}
    if sum(_expanded(node, known) for node in nodes) > max_nodes:
        raise BadYaml(f"expands to more than {max_nodes} values")
    return nodes


def _construct(node: yaml.Node) -> object:
    try:
        data: object = _Constructor().construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise BadYaml(_told(error)) from None
    return data


def _check_shape(text: str, *, max_depth: int, aliases: bool) -> None:
    """Before anything is composed, which recurses in C."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > max_depth:
                raise BadYaml(f"is nested deeper than {max_depth} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif not aliases and isinstance(event, yaml.AliasEvent):
            raise BadYaml("uses YAML aliases, which are not allowed here; write the values out")


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are once every alias is written out; one that contains itself has no end."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise BadYaml("holds an alias to itself")
        return known[id(node)]
    known[id(node)] = 0
    children = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else list(node.value)
    )
    known[id(node)] = 1 + sum(_expanded(child, known) for child in children)
    return known[id(node)]


def _told(error: Exception) -> str:
    """Where, and of the grammar's errors what: those do not quote the text."""
    mark = getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark else ""
    grammar = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
    problem = getattr(error, "problem", "") if grammar else ""
    return f"is not valid YAML{place}" + (f": {problem}" if problem else "")
