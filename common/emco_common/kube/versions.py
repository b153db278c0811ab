"""Which of a group's versions stand in for one that is not served any more: pure, by Kubernetes' order of versions."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"v([0-9]{1,9})(?:(alpha|beta)([0-9]{1,9}))?", re.ASCII)
_STAGES = {"alpha": 0, "beta": 1, None: 2}


def successors(version: str, offered: Iterable[str]) -> list[str]:
    """Those of the offered versions that come after ``version``, the most mature first.

    An earlier one is no stand-in: what it does not know of an object would be lost without a word, and whoever asks for
    a later one may be about to get it.
    """
    mine = _rank(version)
    if mine is None:
        return []
    ranked = {other: rank for other in offered if (rank := _rank(other)) is not None and rank > mine}
    return sorted(ranked, key=lambda other: ranked[other], reverse=True)


def _rank(version: str) -> tuple[int, int, int] | None:
    """``None`` for a version whose place in the order nobody knows."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    return _STAGES[found[2]], int(found[1]), int(found[3] or 0)
