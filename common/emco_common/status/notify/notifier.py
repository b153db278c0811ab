"""All status streams of one service in this process: which objects are watched, by how many clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Gauge

from emco_common.contextbus.api import ContextBus
from emco_common.errors import Unavailable
from emco_common.metrics.counts import Counts
from emco_common.status.notify.bell import Bell
from emco_common.status.notify.subject import LOOK_AROUND, WINDOW, Subject
from emco_common.status.notify.watcher import End, View, Watcher
from emco_common.status.reader import StatusReader
from emco_common.store.api import Key

RETRY_AFTER = 5.0
"""Seconds after which a client that was turned away may ask again."""

_Id = frozenset[tuple[str, str]]


class TooManyStreams(Unavailable):
    """This process serves as many streams as it may."""


class Notifier:
    """Each process serves its own clients; nothing is shared with its replicas but what they read."""

    def __init__(
        self,
        reader: StatusReader,
        bus: ContextBus,
        bell: Bell,
        *,
        window: float = WINDOW,
        look_around: float = LOOK_AROUND,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self.reader = reader
        self._bus = bus
        self._bell = bell
        self._window = window
        self._look_around = look_around
        self._subjects: dict[_Id, tuple[Subject, asyncio.Task[None]]] = {}
        self._stopping = False
        registry = metrics or CollectorRegistry()
        self._looks = Counts("emco_status_looks", "Times that a watched object was read", registry=registry)
        watchers = Gauge("emco_status_watchers", "Clients of status streams, over gRPC and HTTP", registry=registry)
        watchers.set_function(lambda: self.watchers)
        objects = Gauge("emco_status_watched_objects", "Objects that status streams watch", registry=registry)
        objects.set_function(lambda: len(self._subjects))

    async def run(self) -> None:
        """Until cancelled: pass on what is told of changed objects."""
        async for key in self._bell.heard():
            for id, (subject, _) in tuple(self._subjects.items()):
                if key is None or id == _id(key):
                    subject.changed()

    @asynccontextmanager
    async def watching(self, key: Key, view: View, *, seen: str = "") -> AsyncIterator[Watcher]:
        """One client's place. Raises ``NotFound``, and ``Unavailable`` when the process is about to end.

        ``seen`` is the id of the message that it has already.
        """
        watcher = Watcher(view, seen=seen)
        if not self._is_known(key):
            await self.reader.look(key)
        subject = self._join(key, watcher)
        try:
            yield watcher
        finally:
            subject.leave(watcher)
            self._tidy(key)

    @property
    def watchers(self) -> int:
        return sum(len(subject.watchers) for subject, _ in self._subjects.values())

    async def leave(self) -> None:
        """End every stream and let nobody in; for the end of the process."""
        self._stopping = True
        for subject, _ in self._subjects.values():
            for watcher in subject.watchers:
                watcher.end(End.STOPPING)

    def _is_known(self, key: Key) -> bool:
        entry = self._subjects.get(_id(key))
        return entry is not None and entry[0].known and not entry[1].done()

    def _join(self, key: Key, watcher: Watcher) -> Subject:
        if self._stopping:
            raise Unavailable("the service is stopping", retry_after=RETRY_AFTER)
        entry = self._subjects.get(_id(key))
        if entry is None or entry[1].done():
            subject = Subject(
                key,
                self.reader,
                self._bus,
                window=self._window,
                look_around=self._look_around,
                looked=self._looks.add,
            )
            task = asyncio.create_task(subject.run(), name=f"status of {dict(key)}")
            self._subjects[_id(key)] = entry = (subject, task)
        entry[0].join(watcher)
        return entry[0]

    def _tidy(self, key: Key) -> None:
        """Nothing is watched that nobody wants to see."""
        entry = self._subjects.get(_id(key))
        if entry is not None and not entry[0].watchers:
            del self._subjects[_id(key)]
            entry[1].cancel()


def _id(key: Key) -> _Id:
    return frozenset(key.items())


class Seats:
    """How many streams may be open at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """Raises ``TooManyStreams``."""
        if self._taken >= self._limit:
            text = f"{self._limit} status streams are open here, the limit; try again later or ask for the status"
            raise TooManyStreams(text, retry_after=RETRY_AFTER)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
