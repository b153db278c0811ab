"""Nodes to values: aliases resolved, merge keys applied, duplicate keys refused (emcoctl 3 rule 5, 3.2)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from emco_emcoctl.errors import YamlError
from emco_emcoctl.yamldocs.nodes import Mapping, Node, Scalar, Sequence
from emco_emcoctl.yamldocs.scalars import MisfitError, scalar_value

MAX_NODES = 1_000_000
"""Nodes one document may unfold to. Aliases of aliases multiply, so a small file could fill the memory."""


class Decoder:
    """Decodes the nodes of one file; ``name`` is the file's name for messages."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._left = MAX_NODES

    def fail(self, node: Node, reason: str) -> YamlError:
        return YamlError(f"{self._name}:{node.line}: {reason}")

    def value(self, node: Node) -> Any:
        """``None``, ``bool``, ``int``, ``float``, ``str``, ``Timestamp``, or ``list`` and ``dict`` of these."""
        self._left -= 1
        if self._left < 0:
            raise self.fail(node, f"unfolds to more than {MAX_NODES} nodes")
        if isinstance(node, Scalar):
            return self.scalar(node)
        if isinstance(node, Sequence):
            return [self.value(item) for item in node.items]
        return {self._key(key): self.value(item) for key, item in self.pairs(node)}

    def scalar(self, node: Scalar) -> Any:
        try:
            return scalar_value(node.text, tag=node.tag, plain=node.plain)
        except MisfitError as error:
            raise self.fail(node, str(error)) from error

    def text(self, node: Node, *, what: str) -> str:
        """The text of a scalar where text is expected: numbers and dates as written, null as ``""``."""
        if not isinstance(node, Scalar):
            raise self.fail(node, f"{what} must be a text, not a {kind(node)}")
        value = self.scalar(node)
        if value is None:
            return ""
        return value if isinstance(value, str) else node.text

    def is_null(self, node: Node) -> bool:
        return isinstance(node, Scalar) and self.scalar(node) is None

    def pairs(self, node: Mapping) -> list[tuple[Node, Node]]:
        """The pairs of a mapping with its merge keys resolved: own keys win, then earlier sources over later."""
        self.check_unique(node)
        own = [(key, item) for key, item in node.pairs if not _is_merge(key)]
        seen = {_identity(key) for key, _ in own}
        for key, source in node.pairs:
            if _is_merge(key):
                for pair in self._merged(source):
                    if _identity(pair[0]) not in seen:
                        seen.add(_identity(pair[0]))
                        own.append(pair)
        return own

    def check_unique(self, node: Mapping) -> None:
        first: dict[Hashable, Node] = {}
        for key, _ in node.pairs:
            other = first.setdefault(_identity(key), key)
            if other is not key:
                text = key.text if isinstance(key, Scalar) else kind(key)
                raise self.fail(key, f"the key '{text}' is already defined at line {other.line}")

    def _merged(self, source: Node) -> list[tuple[Node, Node]]:
        self._left -= 1
        sources = source.items if isinstance(source, Sequence) else [source]
        pairs: list[tuple[Node, Node]] = []
        for one in sources:
            if not isinstance(one, Mapping):
                raise self.fail(one, "only mappings can be merged with <<")
            pairs.extend(self.pairs(one))
        self._left -= len(pairs)
        if self._left < 0:
            raise self.fail(source, f"unfolds to more than {MAX_NODES} nodes")
        return pairs

    def _key(self, node: Node) -> Hashable:
        if not isinstance(node, Scalar):
            raise self.fail(node, f"a {kind(node)} cannot be a key")
        key: Hashable = self.scalar(node)
        return key


def kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return "text"
    return "list" if isinstance(node, Sequence) else "mapping"


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.plain and key.text == "<<" and key.tag in ("", "tag:yaml.org,2002:merge")


def _identity(key: Node) -> Hashable:
    return key.text if isinstance(key, Scalar) else id(key)
