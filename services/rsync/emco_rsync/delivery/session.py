"""Calls over the stream of one agent: numbered, told apart, and bounded whatever the agent does.

Knows neither gRPC nor Kubernetes. The agent may be hostile, so all that it can make us keep is the window of each call:
an agent may send so much ahead of who reads, and one that sends more, or what nobody asked for, is not listened to any
longer (robustness 27).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from emco_common.errors import EmcoError
from emco_common.kube.errors import TooManyRequests, Unreachable
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentOrder, AgentOrders, AgentRequest

WINDOW = 512 * 1024
"""Bytes of one answer that may be ahead of who reads it: the pace of a call is at most this per round trip."""
CHARGE = 1024
"""What a piece counts beside its bytes, so that very small ones do not cost more than they count."""
MAX_CALLS = 1024
"""Calls under way at one agent. Links and the budget of streams keep far below it."""
MAX_RELAYED = 100_000
"""Calls under way at the agents of one other replica."""
BATCH = 256 * 1024
"""Bytes after which orders that are due go out in a message of their own."""


class Misbehaved(EmcoError):
    """The agent sent what it may not."""


class Pieces(Protocol):
    """The answer to a call, piece by piece as the agent sends it."""

    async def piece(self) -> AgentAnswer:
        """The next piece. ``Unreachable`` when the stream is over, or the call was closed meanwhile."""
        ...

    def read(self, piece: AgentAnswer) -> None:
        """It has been dealt with: as much more may come."""
        ...

    def close(self) -> None:
        """Nothing more is wanted; a call that is still under way is cancelled. Harmless when done again."""
        ...


def cost_of(piece: AgentAnswer) -> int:
    return len(piece.body) + CHARGE


class Call:
    """``Pieces`` over a stream that ends here. Made by ``Session.begin``."""

    def __init__(self, session: Session, number: int) -> None:
        self.number = number
        self._session = session
        self._pieces: deque[AgentAnswer] = deque()
        self._news = asyncio.Event()
        self._room = WINDOW
        self._read = 0
        self._begun = self._complete = self._closed = False

    async def piece(self) -> AgentAnswer:
        while not self._pieces:
            if self._closed:
                raise Unreachable(f"the call to {self._session.name} was closed", reason="Closed")
            if self._session.why:
                raise self._session.unreachable()
            self._news.clear()
            await self._news.wait()
        return self._pieces.popleft()

    def read(self, piece: AgentAnswer) -> None:
        self._read += cost_of(piece)
        if self._read >= WINDOW // 2:
            self.grant(self._read)
            self._read = 0

    def grant(self, room: int) -> None:
        """So much more may come, as somebody says who reads elsewhere."""
        if not self._complete and not self._closed:
            self._room += room
            self._session.order(AgentOrder(call=self.number, credit=room))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._pieces.clear()
        self._news.set()
        self._session.forget(self, room=0 if self._complete else self._room)

    def take(self, piece: AgentAnswer) -> None:
        """``Misbehaved``."""
        if self._begun is bool(piece.status) and not piece.failure:
            raise Misbehaved("an answer that does not begin with one status")
        if (self._begun and not piece.body and not piece.last) or (piece.failure and not piece.last):
            raise Misbehaved("a piece of an answer with nothing in it")
        self._room -= cost_of(piece)
        if self._room < 0:
            raise Misbehaved("more of an answer than was asked for")
        self._begun = True
        self._pieces.append(piece)
        self._complete = piece.last
        self._news.set()

    @property
    def complete(self) -> bool:
        return self._complete

    def wake(self) -> None:
        self._news.set()


class Session:
    """The calls over one stream. ``name`` is what errors call the other side; ``why`` says why it is over, empty while
    it is not."""

    def __init__(self, name: str, *, calls: int = MAX_CALLS) -> None:
        self.name = name
        self.why = ""
        self._most = calls
        self._calls: dict[int, Call] = {}
        self._last = 0
        self._stray = 0
        self._pinged = 0
        self._orders: deque[AgentOrder] = deque()
        self._due = asyncio.Event()
        self._over = asyncio.Event()

    def begin(self, request: AgentRequest) -> Call:
        """``Unreachable`` if the stream is over, ``TooManyRequests`` if too many calls are under way."""
        if self.why:
            raise self.unreachable()
        if len(self._calls) >= self._most:
            raise TooManyRequests(f"{self._most} calls are under way at {self.name}")
        self._last += 1
        call = self._calls[self._last] = Call(self, self._last)
        self.order(AgentOrder(call=self._last, request=request))
        return call

    def take(self, answers: AgentAnswers) -> None:
        """What the agent has sent. ``Misbehaved``: the session has to end."""
        for piece in answers.answers:
            call = self._calls.get(piece.call)
            if call is not None:
                call.take(piece)
                if call.complete:
                    del self._calls[piece.call]
            elif piece.pong:
                self._take_pong()
            else:
                self._take_stray(piece)

    def order(self, order: AgentOrder) -> None:
        self._orders.append(order)
        self._due.set()

    def ping(self) -> None:
        self._pinged += 1
        self.order(AgentOrder(ping=True))

    async def orders(self) -> AgentOrders:
        """The next ones to send, as soon as there are any."""
        while not self._orders:
            self._due.clear()
            await self._due.wait()
        batch = AgentOrders()
        weight = 0
        while self._orders and weight < BATCH:
            order = self._orders.popleft()
            weight += len(order.request.body)
            batch.orders.append(order)
        return batch

    def end(self, why: str) -> None:
        """The stream is over; the first reason counts."""
        if self.why:
            return
        self.why = why
        self._orders.clear()
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.wake()
        self._over.set()

    async def ended(self) -> str:
        await self._over.wait()
        return self.why

    def forget(self, call: Call, *, room: int) -> None:
        """Nobody waits for a call any more. ``room`` is what may still be on its way."""
        if self._calls.pop(call.number, None) is not None and not self.why:
            self._stray += room
            self.order(AgentOrder(call=call.number, cancel=True))

    def unreachable(self) -> Unreachable:
        return Unreachable(f"{self.name}: {self.why}", reason="AgentAway")

    def _take_pong(self) -> None:
        self._pinged -= 1
        if self._pinged < 0:
            raise Misbehaved("an answer to a ping that was not sent")

    def _take_stray(self, piece: AgentAnswer) -> None:
        """It may have crossed with our cancelling the call."""
        self._stray -= cost_of(piece)
        if not 0 < piece.call <= self._last or self._stray < 0:
            raise Misbehaved(f"an answer to call {piece.call}, which nobody made")
