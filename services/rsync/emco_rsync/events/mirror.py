"""What lies below a prefix of the bus, kept up to date in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing

import structlog

from emco_common.contextbus.api import Compacted, ContextBus, Entry, Event, EventType
from emco_common.errors import EmcoError
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.links import Sleep

_log = structlog.get_logger()

Changed = Callable[[str, bytes | None], None]
"""What the key is called below the prefix, and its value or ``None`` if it is gone."""


class Mirror:
    """``values`` by name. ``changed`` is told of everything in the order of the bus, the first list included."""

    def __init__(
        self, bus: ContextBus, prefix: str, *, changed: Changed, backoff: Backoff, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.values: dict[str, bytes] = {}
        self.ready = asyncio.Event()
        self._bus = bus
        self._prefix = prefix
        self._changed = changed
        self._backoff = backoff
        self._sleep = sleep
        self._revisions: dict[str, int] = {}
        self._seen = 0

    def note(self, name: str, value: bytes, *, revision: int) -> bool:
        """What this process has written itself is known before the bus tells it; false if it has told already."""
        if revision <= self._seen:
            return False
        self._revisions[name] = revision
        self.values[name] = value
        return True

    def is_of(self, name: str, *, revision: int) -> bool:
        """Is this what was written at that revision, as far as is known?"""
        return self._revisions.get(name) == revision

    async def run(self) -> None:
        """Until cancelled; begins anew whenever the bus cannot go on."""
        failures = 0
        while True:
            try:
                async with aclosing(self._bus.watch(self._prefix)) as batches:
                    await anext(batches)
                    listed = await self._bus.range(self._prefix)
                    self._begin(listed.entries, revision=listed.revision)
                    failures = 0
                    async for events in batches:
                        self._take(event for event in events if event.entry.mod_revision > listed.revision)
            except Compacted:
                _log.info("bus_listed_anew", prefix=self._prefix)
            except EmcoError as error:
                failures += 1
                _log.warning("bus_not_followed", prefix=self._prefix, why=str(error), attempt=failures)
                await self._sleep(self._backoff.delay(failures))

    def _begin(self, entries: Iterable[Entry], *, revision: int) -> None:
        found = {self._name(entry.key): entry for entry in entries}
        for name in [name for name in self.values if name not in found and self._revisions[name] <= revision]:
            self._drop(name)
        for name, entry in found.items():
            if entry.mod_revision > self._revisions.get(name, 0):
                self._keep(name, entry)
        self._seen = max(self._seen, revision)
        self.ready.set()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._seen = max(self._seen, event.entry.mod_revision)
            name = self._name(event.entry.key)
            if event.entry.mod_revision <= self._revisions.get(name, 0):
                continue  # noted, and overtaken by what was noted
            if event.type is EventType.PUT:
                self._keep(name, event.entry)
            else:
                self._drop(name)

    def _keep(self, name: str, entry: Entry) -> None:
        self._revisions[name] = entry.mod_revision
        self.values[name] = entry.value
        self._changed(name, entry.value)

    def _drop(self, name: str) -> None:
        self._revisions.pop(name, None)
        self.values.pop(name, None)
        self._changed(name, None)

    def _name(self, key: str) -> str:
        return key.removeprefix(self._prefix).strip("/")
