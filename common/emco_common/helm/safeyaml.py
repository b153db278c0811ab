"""Reads YAML from strangers: bounded in depth and in what its aliases expand to, plain data only.

Scalars mean what they mean to Helm and to Kubernetes (YAML 1.1, so ``no`` is false).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_NODES = 200_000
MAX_DEPTH = 100


def compose(text: str, *, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH) -> yaml.Node | None:
    """The node tree of one document, ``None`` for one that holds nothing.

    Raises ``ValueError`` for what is not one YAML document or passes a limit.
    """
    try:
        _check_depth(text, max_depth)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {_short(error)}") from error
    if node is not None and _expanded(node, {}) > max_nodes:
        raise ValueError(f"expands to more than {max_nodes} values")
    return node


def construct(node: yaml.Node) -> object:
    """Plain data from a node that ``compose`` let through. Raises ``ValueError``."""
    try:
        data: object = yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ValueError(f"is not YAML: {_short(error)}") from error
    return data


def load_mapping(content: bytes) -> Mapping[str, Any]:
    """A document that is a mapping, as plain data. Raises ``ValueError`` that completes "<file> …"."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    node = compose(text)
    data = None if node is None else construct(node)
    if not isinstance(data, Mapping):
        raise ValueError("is not a YAML mapping")
    return data


def _check_depth(text: str, limit: int) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > limit:
                raise ValueError(f"is nested deeper than {limit} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are once every alias is written out; one that contains itself has no end."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("holds an alias to itself")
        return known[id(node)]
    known[id(node)] = 0
    children = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else list(node.value)
    )
    known[id(node)] = 1 + sum(_expanded(child, known) for child in children)
    return known[id(node)]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
