"""Carries the messages of one session over one gRPC stream until either is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from grpc import RpcError, aio

from emco_common.rpc.agents_pb2 import AgentAnswers, AgentOrders
from emco_rsync.delivery.session import Misbehaved, Session

_log = structlog.get_logger()

PING_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""Without a word for so long the other side is gone. Pings see to it that there is one."""
PIECES_PER_SECOND = 4_000.0
"""What one agent may send lastingly; several times what the calls of one cluster come to."""
PIECES_AT_ONCE = 8_000.0

Read = Callable[[], Awaitable[Any]]
"""The next message, or gRPC's mark of the end."""
Write = Callable[[AgentOrders], Awaitable[None]]


class Measure:
    """A stream that brings more than its share is read more slowly, and so sent more slowly."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._room = PIECES_AT_ONCE
        self._at = clock()

    def took(self, pieces: int) -> float:
        """Seconds to wait before more is read."""
        now = self._clock()
        self._room = min(PIECES_AT_ONCE, self._room + (now - self._at) * PIECES_PER_SECOND) - max(1, pieces)
        self._at = now
        return max(0.0, -self._room / PIECES_PER_SECOND)


async def carry(session: Session, read: Read, write: Write, *, pings: bool) -> None:
    """Returns when the session is over; ``session.why`` says why. With ``pings`` a silent peer is noticed."""
    work: list[Coroutine[Any, Any, None]] = [_receive(session, read, pings=pings), _send(session, write)]
    if pings:
        work.append(_ping(session))
    tasks = [asyncio.create_task(one) for one in work]
    over = asyncio.create_task(session.ended())
    try:
        await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
    finally:
        session.end("the connection has ended")
        for task in (*tasks, over):
            task.cancel()
        results = await asyncio.gather(*tasks, over, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, RpcError):
            _log.error("agent_stream_failed", peer=session.name, why=repr(result))


async def _receive(session: Session, read: Read, *, pings: bool) -> None:
    measure = Measure(asyncio.get_running_loop().time)
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS if pings else None):
                answers = await read()
        except TimeoutError:
            return session.end(f"silent for {SILENCE_SECONDS:g} s")
        except (RpcError, aio.UsageError):
            return session.end("the connection was lost")
        if not isinstance(answers, AgentAnswers):
            return session.end("the connection has ended")
        try:
            session.take(answers)
        except Misbehaved as error:
            return session.end(f"sent {error}")
        # A turn for others in any case, since a message that is there already is read without one.
        await asyncio.sleep(measure.took(len(answers.answers)))


async def _send(session: Session, write: Write) -> None:
    while True:
        try:
            await write(await session.orders())
        except (RpcError, aio.UsageError):
            return session.end("the connection was lost")


async def _ping(session: Session) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        session.ping()
