"""One client of a status stream: what it wants to see, and the one message that waits for it.

Nothing here waits for a client, so a silent one holds up nobody: what it has not taken is replaced by what is newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b
from typing import Protocol

from emco_common.errors import EmcoError
from emco_common.status.contexts import Contexts
from emco_common.status.query import StatusQuery
from emco_common.status.reader import Standing


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, and its ``id``: equal for equal contents, also after a restart of the server.

    ``error`` says why there is no status to send; ``body`` then tells it to clients that have one already.
    """

    body: bytes
    id: str
    error: EmcoError | None = None

    @classmethod
    def of(cls, body: bytes, *, error: EmcoError | None = None) -> Message:
        return cls(body, blake2b(body, digest_size=12).hexdigest(), error)


class View(Hashable, Protocol):
    """What a client wants to see. Equal views get the same message, which is made once."""

    @property
    def query(self) -> StatusQuery:
        """What has to be read for it."""
        ...

    def render(self, standing: Standing, contexts: Contexts | None) -> bytes:
        """``contexts`` is ``None`` while nothing was instantiated. Raises ``EmcoError``. Pure; called in a thread."""
        ...

    def failed(self, error: EmcoError) -> bytes:
        """What is sent instead, to a client that may have had a status before."""
        ...


class End(Enum):
    """Why a stream is over."""

    LEFT = auto()
    DELETED = auto()
    STOPPING = auto()


class Ended(Exception):
    """There will be no further message."""

    def __init__(self, end: End) -> None:
        super().__init__(end.name)
        self.end = end


class Watcher:
    """``seen`` is the id of the message that the client has already."""

    def __init__(self, view: View, *, seen: str = "") -> None:
        self.view = view
        self._seen = seen
        self._latest: Message | None = None
        self._end: End | None = None
        self._changed = asyncio.Event()

    def offer(self, message: Message) -> None:
        """The last one wins."""
        self._latest = message
        self._changed.set()

    def end(self, end: End) -> None:
        """The first reason counts."""
        self._end = self._end or end
        self._changed.set()

    async def first(self) -> Message:
        """Waits for a message and leaves it there. Raises ``Ended``."""
        while self._latest is None:
            await self._news()
        return self._latest

    async def next(self) -> Message:
        """The latest message, once it differs from the one that was taken before. Raises ``Ended``."""
        while self._end is not None or self._latest is None or self._latest.id == self._seen:
            await self._news()
        self._seen = self._latest.id
        return self._latest

    async def _news(self) -> None:
        if self._end is not None:
            raise Ended(self._end)
        self._changed.clear()
        await self._changed.wait()
