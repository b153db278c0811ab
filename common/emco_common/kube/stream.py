"""One exchange of an HTTP/2 connection: its answer as it comes, never more of it unread than was allowed."""

from __future__ import annotations

import asyncio
from typing import Protocol

from emco_common.kube import frames
from emco_common.kube.exchange import MAX_UNREAD, Broken
from emco_common.kube.frames import Malformed


class Owner(Protocol):
    """The connection of a stream."""

    def give_up(self, stream: Stream, code: int) -> None: ...

    def consumed(self, stream: Stream, size: int) -> None: ...


class Stream:
    """``window`` is what may still be sent of the request's body."""

    __slots__ = (
        *("_allowed", "_chunks", "_error", "_owner", "_taken", "_unread", "_waiter"),
        *("finished", "number", "retry_after", "sent", "status", "window"),
    )

    def __init__(self, owner: Owner, number: int, *, window: int) -> None:
        self.number = number
        self.window = window
        self.status = 0
        self.retry_after: str | None = None
        self.sent = False
        self.finished = False
        self._owner = owner
        self._chunks: list[bytes] = []
        self._unread = 0
        self._taken = 0
        self._allowed = MAX_UNREAD
        self._error: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def answered(self) -> None:
        """Until the headers of the answer are there. ``Broken``."""
        while not self.status:
            self._check()
            await self._news()

    async def room_to_send(self) -> None:
        """Until a window may have opened. ``Broken``."""
        self._check()
        await self._news()
        self._check()

    async def read(self) -> bytes:
        while not self._chunks:
            self._check()
            if self.finished:
                return b""
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            await waiter  # not by way of _news: thousands wait here, each for every frame on its way
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._taken += self._unread
        self._unread = 0
        if self._taken >= MAX_UNREAD // 2 and not self.finished:
            taken, self._taken = self._taken, 0
            self._allowed += taken
            self._owner.consumed(self, taken)
        return data

    def close(self) -> None:
        self._chunks.clear()
        if not self.finished or not self.sent:
            self._owner.give_up(self, frames.CANCEL)

    # What the connection tells.

    def headers(self, status: int, retry_after: str | None) -> bool:
        """Headers of the answer, or its trailers. True if they bring nothing (an interim answer)."""
        if self.status:
            return True
        if status < 100:
            raise Malformed("an answer without a status")
        if status < 200:
            return True
        self.status, self.retry_after = status, retry_after
        self.wake()
        return False

    def data(self, payload: bytes, *, counted: int) -> None:
        """A part of the body; ``counted`` with its padding."""
        if not self.status:
            raise Malformed("a body before its headers")
        self._allowed -= counted
        if self._allowed < 0:
            raise Malformed("more than was allowed", frames.FLOW_CONTROL_ERROR)
        self._unread += counted
        if payload:
            self._chunks.append(payload)
            self.wake()

    def ended(self) -> None:
        self.finished = True
        if not self.status:
            self._error = Broken("the server ended the answer before it began")
        self.wake()

    def broken(self, error: Broken) -> None:
        self._error = self._error or error
        self.wake()

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _check(self) -> None:
        if self._error is not None:
            raise Broken(str(self._error), untouched=self._error.untouched)

    async def _news(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        await waiter
