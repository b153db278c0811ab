"""Patterns of paths: literal words, ``*`` for one segment, ``**`` at the end for nothing or any segments more. Pure.

One pattern is read by our own matching, as a regular expression by Envoy, and as a path by Istio.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

ONE, REST = "*", "**"
_SPECIAL = re.compile(r"[.^$*+?()\[\]{}|\\]")


@dataclass(frozen=True)
class Pattern:
    """``/v2/projects/*/logical-clouds/**``. A path must match as a whole."""

    text: str

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """Without the ``**`` at the end."""
        parts = tuple(self.text.split("/")[1:])
        return parts[:-1] if self.deep else parts

    @cached_property
    def deep(self) -> bool:
        return self.text.endswith(f"/{REST}")

    def matches(self, path: Sequence[str]) -> bool:
        """Whether these segments, as ``segments_of`` gives them, are such a path."""
        own = self.segments
        if len(path) < len(own) or (len(path) > len(own) and not self.deep):
            return False
        return all(word == given or (word == ONE and given != "") for word, given in zip(own, path, strict=False))

    @cached_property
    def regex(self) -> str:
        """For RE2, to be matched against the whole path without its query."""
        words = ("[^/]+" if word == ONE else _SPECIAL.sub(r"\\\g<0>", word) for word in self.segments)
        return "".join(f"/{word}" for word in words) + ("(/.*)?" if self.deep else "")


def segments_of(raw_path: str) -> tuple[str, ...] | None:
    """The segments of a path as it was sent, escapes read; ``None`` where a reader might see another path in it.

    That is an escaped or doubled slash, a dot segment in whatever spelling, a backslash, a control character: what is
    decided here would not be decided of what is answered there.
    """
    parts = tuple(unquote(part, errors="replace") for part in raw_path.split("/")[1:])
    if not raw_path.startswith("/") or any(part == "" for part in parts[:-1]):
        return None
    if any(part in (".", "..") or _AMBIGUOUS.search(part) for part in parts):
        return None
    return parts


_AMBIGUOUS = re.compile(r"[/\\\x00-\x1f\x7f\ufffd]")
