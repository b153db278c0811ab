"""How long to wait before the next attempt: exponential with full spread, so that many waiters do not come at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.25
MAX_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """``random`` answers numbers in [0, 1)."""

    random: Callable[[], float]
    first: float = FIRST_SECONDS
    longest: float = MAX_SECONDS

    def delay(self, attempt: int, *, at_least: float = 0.0) -> float:
        """Seconds after the ``attempt``-th failure (from 1): between half and the whole of a doubling step.

        ``at_least`` is what the other side asked for (``Retry-After``).
        """
        step = min(self.longest, self.first * 2.0 ** min(attempt - 1, 30))
        return max(at_least, step * (0.5 + self.random() / 2))
