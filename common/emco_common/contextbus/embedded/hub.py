"""Hands the events of each commit to the watches of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from emco_common.contextbus.api import Event

_MAX_WAITING = 10_000
"""Events kept in memory for one slow watch; past them it reads the file instead."""


class Subscription:
    """The events below one prefix that its watch has not taken yet.

    ``behind`` tells that they are not all here: the watch has to read the history and ``catch_up``.
    """

    def __init__(self, prefix: str) -> None:
        self.behind = False
        self._prefix = prefix
        self._waiting: list[Event] = []
        self._changed = asyncio.Event()

    def offer(self, events: Sequence[Event]) -> None:
        if self.behind:
            return
        mine = [event for event in events if event.entry.key.startswith(self._prefix)]
        if not mine:
            return
        self._waiting.extend(mine)
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.clear()
            self.behind = True
        self._changed.set()

    def wake(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        await self._changed.wait()

    def take(self) -> list[Event]:
        taken, self._waiting = self._waiting, []
        self._changed.clear()
        return taken

    def catch_up(self) -> None:
        """From here on events are kept again; those before have to be read from the history."""
        self.take()
        self.behind = False


class Hub:
    """``revision`` is the last one whose events every subscription was offered."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribe(self, prefix: str) -> Iterator[Subscription]:
        subscription = Subscription(prefix)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, events: Sequence[Event], *, revision: int) -> None:
        self.revision = revision
        for subscription in self._subscriptions:
            subscription.offer(events)

    def wake_all(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake()
