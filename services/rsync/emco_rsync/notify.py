"""Who wants to know when an app has news on a cluster: the subscriptions behind ready-notify (rsync 13.5).

News come from the bus, so it makes no difference which replica works on the deployment and which one is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from emco_common.appcontext import keys
from emco_common.contextbus.api import BusUnavailable, Compacted, ContextBus
from emco_common.errors import EmcoError
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.links import Sleep

_log = structlog.get_logger()
MAX_WAITING = 1_000
"""News that a slow reader may leave unread; the oldest go first, as each says no more than "look again"."""
IN_FORCE_SECONDS = 10.0
"""How long the bus may take to begin telling."""
_OF_CLUSTER = frozenset({keys.STATUS, keys.READY})
_OF_RESOURCE = frozenset({keys.RESOURCE_READY, keys.RESOURCE_SUCCESS})


@dataclass(frozen=True, slots=True)
class News:
    """``context`` is the status context."""

    context: str
    app: str
    cluster: str


_Queue = asyncio.Queue[News | None]


@dataclass(slots=True)
class _Topic:
    """One watch for all who want to know of a context."""

    in_force: asyncio.Event = field(default_factory=asyncio.Event)
    queues: dict[str, _Queue] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def tell(self, news: Iterable[News]) -> None:
        for one in news:
            for queue in self.queues.values():
                _put(queue, one)


class Subscriptions:
    """By context and client name. Nobody waits for a reader, so a silent one harms nobody (D17)."""

    def __init__(self, bus: ContextBus, *, backoff: Backoff, sleep: Sleep = asyncio.sleep) -> None:
        self._bus = bus
        self._backoff = backoff
        self._sleep = sleep
        self._topics: dict[str, _Topic] = {}

    @asynccontextmanager
    async def of(self, context: str, client: str) -> AsyncIterator[AsyncIterator[News]]:
        """The news from now on, until unsubscribed, or until the same client subscribes again. ``BusUnavailable``."""
        self.unsubscribe(context, client)
        queue: _Queue = asyncio.Queue(MAX_WAITING)
        topic = self._topic(context)
        topic.queues[client] = queue
        try:
            await _in_force(topic, context)
            yield _until_none(queue)
        finally:
            if topic.queues.get(client) is queue:
                del topic.queues[client]
            self._retire(context, topic)

    def unsubscribe(self, context: str, client: str) -> None:
        """Unknown ones are fine."""
        topic = self._topics.get(context)
        queue = topic.queues.pop(client, None) if topic is not None else None
        if queue is not None:
            _put(queue, None)

    def _topic(self, context: str) -> _Topic:
        topic = self._topics.get(context)
        if topic is None:
            topic = self._topics[context] = _Topic()
            topic.task = asyncio.create_task(self._follow(context, topic), name=f"news of {context}")
        return topic

    def _retire(self, context: str, topic: _Topic) -> None:
        if not topic.queues and self._topics.get(context) is topic:
            del self._topics[context]
            if topic.task is not None:
                topic.task.cancel()

    async def _follow(self, context: str, topic: _Topic) -> None:
        failures = 0
        while True:
            try:
                await self._tell(context, topic)
            except Compacted:
                # What was missed is not known: who is told to look again finds out.
                with suppress(EmcoError):
                    found = await self._bus.range(keys.root(context) + "app/", keys_only=True)
                    topic.tell(_news(context, (entry.key for entry in found.entries)))
            except EmcoError as error:
                failures += 1
                _log.warning("context_not_followed", context=context, why=str(error), attempt=failures)
                await self._sleep(self._backoff.delay(failures))

    async def _tell(self, context: str, topic: _Topic) -> None:
        async with aclosing(self._bus.watch(keys.root(context) + "app/")) as batches:
            await anext(batches)
            topic.in_force.set()
            async for events in batches:
                by_revision: dict[int, list[str]] = {}
                for event in events:
                    by_revision.setdefault(event.entry.mod_revision, []).append(event.entry.key)
                for changed in by_revision.values():
                    topic.tell(_news(context, changed))


async def _in_force(topic: _Topic, context: str) -> None:
    try:
        async with asyncio.timeout(IN_FORCE_SECONDS):
            await topic.in_force.wait()
    except TimeoutError:
        raise BusUnavailable(f"the context bus does not tell of changes of context {context}; try again") from None


def _news(context: str, changed: Iterable[str]) -> list[News]:
    """One for each app and cluster whose collected status is among what was written at once."""
    found: dict[News, None] = {}
    for key in changed:
        place = keys.parse(key)
        if place is not None and place.cluster and place.leaf in (_OF_RESOURCE if place.resource else _OF_CLUSTER):
            found[News(context, place.app, place.cluster)] = None
    return list(found)


def _put(queue: _Queue, news: News | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(news)


async def _until_none(queue: _Queue) -> AsyncIterator[News]:
    while (item := await queue.get()) is not None:
        yield item
