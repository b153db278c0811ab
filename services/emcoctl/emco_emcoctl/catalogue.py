"""The resources emcoctl knows without asking a server: their anchors, what is uploaded with them, their schemas.

The knowledge is ``catalogue.json``, made from the services' declarations; a resource that is not in it may exist all
the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

ANY = "*"
_FILE = "catalogue.json"


@dataclass(frozen=True)
class Kind:
    """``path`` is the anchor of the collection with ``*`` for names; ``names`` is how many segments name one of it."""

    path: tuple[str, ...]
    names: int = 1
    upload: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def item(self) -> tuple[str, ...]:
        return (*self.path, *[ANY] * self.names)

    @property
    def word(self) -> str:
        """The last segment of the anchor, as ``logical-clouds``."""
        return self.path[-1]


@cache
def kinds() -> tuple[Kind, ...]:
    content = json.loads((files(__package__) / _FILE).read_text(encoding="utf-8"))
    return tuple(Kind(tuple(path.split("/")), **what) for path, what in content.items())


def kind_of(anchor: str) -> Kind | None:
    """The kind whose collection ``anchor`` names."""
    segments = anchor.partition("?")[0].split("/")
    return next((kind for kind in kinds() if matches(segments, kind.path)), None)


def item_of(anchor: str) -> Kind | None:
    """The kind of which ``anchor`` names one."""
    segments = anchor.partition("?")[0].split("/")
    return next((kind for kind in kinds() if matches(segments, kind.item)), None)


def below(segments: Iterable[str]) -> list[Kind]:
    """The kinds directly below one resource, or below nothing for no segments."""
    stem = tuple(segments)
    return [kind for kind in kinds() if len(kind.path) == len(stem) + 1 and matches(stem, kind.path[:-1])]


def matches(segments: Iterable[str], path: tuple[str, ...]) -> bool:
    given = tuple(segments)
    pairs = zip(given, path, strict=False)
    return len(given) == len(path) and all(name if want == ANY else name == want for name, want in pairs)
