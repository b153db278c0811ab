"""So many at a time, and who waits is served in turns, so that who asks for much does not keep others waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

ON_TIME_SECONDS = 0.02
"""A process that comes to what is due so soon has time for more."""
LOOKS = 10
"""After so many times its patience nobody counts any more, however busy the process is."""


class FairSlots:
    """At most ``width`` holders. Waiters are served key by key in turn, and of one key in the order they came."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def acquire(self, key: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release()  # it came too late
            raise

    def release(self) -> None:
        """Hand it on. Those who do not wait any more are passed over."""
        while self._waiting:
            key = next(iter(self._waiting))
            queue = self._waiting.pop(key)
            granted = queue.popleft()
            if queue:
                self._waiting[key] = queue  # to the end of the line
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1


def late_for(due: float) -> float:
    return asyncio.get_running_loop().time() - due


class Busy:
    """At most ``width`` at a time of what makes this process work, apart from such as take longer than ``patience``
    seconds although the process has time: they wait for somebody else, so that others may go on.

    Where the process itself is what is slow, more at a time would only make all of them late: thousands of connections
    would be opened, grow idle and be closed again before anybody came to use them. ``late`` answers by how many seconds
    it is late for what was due at a time of the event loop.
    """

    def __init__(self, width: int, *, patience: float, late: Callable[[float], float] = late_for) -> None:
        self._slots = FairSlots(width)
        self._patience = patience
        self._late = late

    @asynccontextmanager
    async def one(self, key: str) -> AsyncIterator[Callable[[], None]]:
        """``key``: with whom to be served in turn. What is yielded gives the turn back early, for who only waits."""
        await self._slots.acquire(key)
        holding = _Holding(self._slots.release, patience=self._patience, late=self._late)
        try:
            yield holding.end
        finally:
            holding.end()


class _Holding:
    """A slot until its time is over."""

    def __init__(self, release: Callable[[], None], *, patience: float, late: Callable[[float], float]) -> None:
        self._release = release
        self._patience = patience
        self._late = late
        self._looks = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._release()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._patience
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._looks += 1
        if self._looks < LOOKS and self._late(self._due) > ON_TIME_SECONDS:
            self._wait()  # it is we who are slow
        else:
            self.end()
