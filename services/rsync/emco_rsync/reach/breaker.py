"""May a sick server be spoken to now? A circuit breaker as a small machine: no I/O, the time is handed in.

::

    CLOSED     calls go. A fault opens it: at once one that was tripped, of others several in a row
    OPEN       nothing goes before ``next_try``
    HALF_OPEN  one attempt is under way: its success closes, its failure opens it for longer
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum

from emco_rsync.reach.backoff import Backoff

STRIKES = 5
"""So many faults in a row, with nothing that went well between them, open it,"""
SUBJECTS = 3
"""if they came up with at least so many subjects: a poisoned object, tried again and again, keeps nobody else away."""


class BreakerState(IntEnum):
    """The numbers are those of the gauge."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """``next_try`` is when an open one may be tried, by ``clock`` (seconds); ``since`` the time of day when it opened.

    ``failures`` counts failed attempts since it opened; ``word`` is the class of the latest fault, and ``reason`` the
    text of the first in a row of that class, so that what is told changes no more often than that.
    """

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], datetime], backoff: Backoff) -> None:
        self.state = BreakerState.CLOSED
        self.next_try = 0.0
        self.since: datetime | None = None
        self.failures = 0
        self.word = self.reason = ""
        self._clock = clock
        self._now = now
        self._backoff = backoff
        self._strikes = 0
        self._subjects: frozenset[str] = frozenset()

    @property
    def closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    @property
    def wait(self) -> float:
        """Seconds until an attempt may begin."""
        return max(0.0, self.next_try - self._clock()) if self.state is BreakerState.OPEN else 0.0

    def doubted(self) -> None:
        """Something went wrong that may concern everybody: one attempt shall tell, at once."""
        if self.closed:
            self.state = BreakerState.HALF_OPEN

    def struck(self, subject: str, *, word: str, reason: str, at_least: float = 0.0) -> None:
        """A fault that came up with ``subject``. Of an attempt it is the failure."""
        self._strikes += 1
        if len(self._subjects) < SUBJECTS:
            self._subjects |= {subject}
        everybody = self.closed and self._strikes >= STRIKES and len(self._subjects) >= SUBJECTS
        if everybody or self.state is BreakerState.HALF_OPEN:
            self.failed(word=word, reason=reason, at_least=at_least)

    def failed(self, *, word: str, reason: str, at_least: float = 0.0) -> None:
        """Open, for longer each time. ``at_least`` is what the other side asked for, in seconds."""
        self.state = BreakerState.OPEN
        self.failures += 1
        self.since = self.since or self._now()
        if word != self.word:
            self.word, self.reason = word, reason
        self.next_try = self._clock() + self._backoff.delay(self.failures, at_least=at_least)

    def hurry(self) -> None:
        """There is reason to think that an attempt would go well now."""
        self.next_try = self._clock()

    def tries(self) -> None:
        """An attempt begins."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN

    def succeeded(self) -> None:
        """All is well. What ends well although it began before the breaker opened tells nothing."""
        self._strikes = 0
        self._subjects = frozenset()
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self.failures, self.since = 0, None
            self.word = self.reason = ""
