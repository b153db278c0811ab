"""Who wants to know when an app has news on a cluster: the subscriptions behind ready-notify (rsync 13.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MAX_WAITING = 1_000
"""News that a slow reader may leave unread; the oldest go first, as each says no more than "look again"."""


@dataclass(frozen=True, slots=True)
class News:
    """``context`` is the status context."""

    context: str
    app: str
    cluster: str


class Subscriptions:
    """By context and client name. Nothing here waits, so a silent reader harms nobody (D17)."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], asyncio.Queue[News | None]] = {}

    def tell(self, context: str, app: str, cluster: str) -> None:
        for (wanted, _), queue in self._queues.items():
            if wanted == context:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(News(context, app, cluster))

    @contextmanager
    def of(self, context: str, client: str) -> Iterator[AsyncIterator[News]]:
        """The news from now on, until unsubscribed, or until the same client subscribes again."""
        self.unsubscribe(context, client)
        queue: asyncio.Queue[News | None] = asyncio.Queue(MAX_WAITING)
        self._queues[(context, client)] = queue
        try:
            yield _until_none(queue)
        finally:
            if self._queues.get((context, client)) is queue:
                del self._queues[(context, client)]

    def unsubscribe(self, context: str, client: str) -> None:
        """Unknown ones are fine."""
        queue = self._queues.pop((context, client), None)
        if queue is not None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)


async def _until_none(queue: asyncio.Queue[News | None]) -> AsyncIterator[News]:
    while (item := await queue.get()) is not None:
        yield item
