"""YAML text to a tree of nodes, one per document, with the line of each node.

Nothing is interpreted here: scalars keep their text, tag and style. The parser is libyaml where PyYAML was built with
it; the one of the original is a port of libyaml, so both accept tabs in the same places (emcoctl 3, rule 9). Without
libyaml the pure parser is taught to.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from emco_emcoctl.errors import YamlError

MAX_DEPTH = 100


@dataclass(frozen=True, eq=False)
class Scalar:
    """``tag`` is the written tag or ``""``; ``plain`` says that the text had no quotation marks and no block style."""

    text: str
    tag: str
    plain: bool
    line: int


@dataclass(frozen=True, eq=False)
class Sequence:
    items: list[Node]
    line: int


@dataclass(frozen=True, eq=False)
class Mapping:
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    line: int = 0


Node = Scalar | Sequence | Mapping


class _PureLoader(yaml.SafeLoader):
    """The pure parser, skipping tabs between tokens where libyaml does."""

    def scan_to_next_token(self) -> None:
        before = -1
        while before != self.index:
            before = self.index
            super().scan_to_next_token()
            while (self.flow_level or not self.allow_simple_key) and self.peek() == "\t":
                self.forward()


def documents(text: str, *, name: str, pure: bool = False, versions: Container[str] = ("1.1", "1.2")) -> Iterator[Node]:
    """The documents of ``text``, parsed one by one as they are asked for.

    Raises ``YamlError`` that names ``name`` and the line. ``versions`` are those a ``%YAML`` directive may name.
    Anchors stay defined for later documents of the stream.
    """
    loader: Any = _PureLoader if pure or not yaml.__with_libyaml__ else yaml.CSafeLoader
    try:
        events = iter(yaml.parse(text, Loader=loader))
        composer = _Composer(events, name=name)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                _check_version(event, versions=versions, name=name)
                yield composer.node(next(events), depth=0)
    except yaml.YAMLError as error:
        raise YamlError(_explain(error, name=name)) from error
    except ValueError as error:
        raise YamlError(f"{name}: {error}") from error


def _check_version(event: yaml.DocumentStartEvent, *, versions: Container[str], name: str) -> None:
    given = ".".join(map(str, event.version)) if event.version else None
    if given and given not in versions:
        line = event.start_mark.line + 1 if event.start_mark else 1
        raise YamlError(f"{name}:{line}: found incompatible YAML document, version {given}")


def _explain(error: yaml.YAMLError, *, name: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        return f"{name}:{mark.line + 1}: {problem}" if mark else f"{name}: {problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{name}: the character {error.character!r} is not allowed in YAML"
    return f"{name}: {error}"


class _Composer:
    def __init__(self, events: Iterator[yaml.Event], *, name: str) -> None:
        self._events = events
        self._name = name
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()

    def node(self, event: yaml.Event, *, depth: int) -> Node:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if depth > MAX_DEPTH:
            raise YamlError(f"{self._name}:{line}: nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line=line)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._open.add(anchor)
        node = self._made(event, line=line, depth=depth)
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _alias(self, anchor: str | None, *, line: int) -> Node:
        if anchor is not None and anchor in self._open:
            raise YamlError(f"{self._name}:{line}: the anchor '{anchor}' contains itself")
        if anchor is None or anchor not in self._anchors:
            raise YamlError(f"{self._name}:{line}: the anchor '{anchor}' is not known")
        return self._anchors[anchor]

    def _made(self, event: yaml.Event, *, line: int, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.tag or "", event.style is None or event.style == "", line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(list(self._items(depth)), line)
        mapping = Mapping(line=line)
        flat = list(self._items(depth))
        mapping.pairs.extend(zip(flat[::2], flat[1::2], strict=True))
        return mapping

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                return
            yield self.node(event, depth=depth + 1)
