"""Is it this process that is slow? A deadline that passed while it could not look tells nothing of the other side."""

from __future__ import annotations

import asyncio
from typing import Self

_EVERY_SECONDS = 0.1
_HALF = 0.5


class Lateness:
    """While it is entered: how late the event loop comes to what is due."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._due = self._loop.time()
        self._late = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ours(self) -> bool:
        """Has the process been late for half of the time, or more?"""
        now = self._loop.time()
        late = self._late + max(0.0, now - self._due)
        return late > 0.0 and late >= _HALF * (now - self._since)

    def __enter__(self) -> Self:
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        self._late += now - self._due
        self._due = now + _EVERY_SECONDS
        self._timer = self._loop.call_at(self._due, self._look)
