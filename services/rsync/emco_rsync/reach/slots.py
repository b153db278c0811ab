"""So many at a time, and who waits is served in turns, so that who asks for much does not keep others waiting."""

from __future__ import annotations

import asyncio
from collections import deque


class FairSlots:
    """At most ``width`` holders. Waiters are served key by key in turn, and of one key in the order they came."""

    def __init__(self, width: int) -> None:
        self.width = width
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

    def widen(self) -> None:
        """One more at a time."""
        self.width += 1
        self.release()
