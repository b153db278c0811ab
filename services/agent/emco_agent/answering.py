"""Answers the orders of one stream: each call on its own, never more unsent or unread than was allowed."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Protocol

import structlog

from emco_agent.allowed import refusal
from emco_common.errors import EmcoError
from emco_common.kube.errors import clean
from emco_common.kube.exchange import Exchange, Request
from emco_common.rpc.agents_pb2 import AgentAnswer, AgentAnswers, AgentOrder, AgentRequest, AgentWelcome

_log = structlog.get_logger()

MAX_CALLS = 1024
CALL_SECONDS = 120.0
"""A call that lasts longer is given up, whatever rsync says."""
CHUNK = 64 * 1024
BATCH = 256 * 1024
MAX_UNSENT = 8 * 1024 * 1024
"""Bytes that wait to be sent; then the API server waits."""


class Cluster(Protocol):
    async def call(self, request: Request, *, lasting: bool) -> Exchange:
        """``OSError``, ``EmcoError``."""
        ...


class Outbox:
    """What is to be sent, in order."""

    def __init__(self) -> None:
        self._pieces: deque[AgentAnswer] = deque()
        self._weight = 0
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, piece: AgentAnswer) -> None:
        while self._weight > MAX_UNSENT:
            self._room.clear()
            await self._room.wait()
        self.add(piece)

    def add(self, piece: AgentAnswer) -> None:
        self._pieces.append(piece)
        self._weight += len(piece.body)
        self._due.set()

    async def batch(self) -> AgentAnswers:
        """The next pieces, as soon as there are any."""
        while not self._pieces:
            self._due.clear()
            await self._due.wait()
        batch, weight = AgentAnswers(), 0
        while self._pieces and weight < BATCH:
            piece = self._pieces.popleft()
            weight += len(piece.body)
            batch.answers.append(piece)
        self._weight -= weight
        self._room.set()
        return batch


class Credit:
    """How much of one answer may still be sent."""

    def __init__(self, welcome: AgentWelcome) -> None:
        self._room = welcome.window
        self._charge = welcome.charge
        self._more = asyncio.Event()

    def add(self, room: int) -> None:
        self._room += room
        self._more.set()

    async def take(self, size: int) -> None:
        while self._room < size + self._charge:
            self._more.clear()
            await self._more.wait()
        self._room -= size + self._charge


class Answering:
    """The calls of one stream. ``outbox`` is what its sender sends."""

    def __init__(self, cluster: Cluster, welcome: AgentWelcome) -> None:
        self.outbox = Outbox()
        self._cluster = cluster
        self._welcome = welcome
        self._chunk = max(1, min(CHUNK, welcome.window - welcome.charge))
        self._calls: dict[int, tuple[asyncio.Task[None], Credit, bool]] = {}
        self._stopping = False

    def take(self, order: AgentOrder) -> None:
        match order.WhichOneof("what"):
            case "request":
                self._begin(order.call, order.request)
            case "credit" if order.call in self._calls:
                self._calls[order.call][1].add(order.credit)
            case "cancel" if order.call in self._calls:
                self._calls.pop(order.call)[0].cancel()
            case "ping":
                self.outbox.add(AgentAnswer(pong=True))

    async def finish(self, *, seconds: float) -> None:
        """Begin nothing more, and wait for the calls under way, but not for watches."""
        self._stopping = True
        tasks = [task for task, _, lasting in self._calls.values() if not lasting]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def close(self) -> None:
        tasks = [task for task, _, _ in self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, number: int, request: AgentRequest) -> None:
        if self._stopping or len(self._calls) >= MAX_CALLS:
            why = "it stops" if self._stopping else f"{MAX_CALLS} calls are under way"
            self.outbox.add(AgentAnswer(call=number, failure=why, last=True))
            return
        credit = Credit(self._welcome)
        task = asyncio.create_task(self._answer(number, request, credit), name=f"call {number}")
        self._calls[number] = (task, credit, request.lasting)
        task.add_done_callback(lambda _done: self._calls.pop(number, None))

    async def _answer(self, number: int, request: AgentRequest, credit: Credit) -> None:
        why = refusal(request)
        if why:
            _log.warning("call_refused", audit=True, method=clean(request.method, limit=20), why=why)
            return await self._send(AgentAnswer(call=number, status=403, body=_refused(why), last=True), credit)
        try:
            async with asyncio.timeout(None if request.lasting else CALL_SECONDS):
                return await self._pass_on(number, request, credit)
        except TimeoutError:
            failure = f"the API server did not answer within {CALL_SECONDS:g} s"
        except (OSError, EmcoError) as error:
            failure = f"the API server cannot be reached: {clean(str(error) or type(error).__name__, limit=300)}"
        return await self._send(AgentAnswer(call=number, failure=failure, last=True), credit)

    async def _pass_on(self, number: int, request: AgentRequest, credit: Credit) -> None:
        """A small answer is one message."""
        exchange = await self._cluster.call(_request(request), lasting=request.lasting)
        try:
            piece = AgentAnswer(call=number, status=exchange.status, retry_after=exchange.retry_after or "")
            if request.lasting:
                await self._send(piece, credit)
                piece = AgentAnswer(call=number)
            while data := await exchange.read():
                for start in range(0, len(data), self._chunk):
                    if piece.body:
                        await self._send(piece, credit)
                        piece = AgentAnswer(call=number)
                    piece.body = data[start : start + self._chunk]
                if request.lasting:
                    await self._send(piece, credit)
                    piece = AgentAnswer(call=number)
            piece.last = True
            await self._send(piece, credit)
        finally:
            exchange.close()

    async def _send(self, piece: AgentAnswer, credit: Credit) -> None:
        await credit.take(len(piece.body))
        await self.outbox.put(piece)


def _refused(why: str) -> bytes:
    """As an API server refuses."""
    message = f"the agent of the cluster refuses the call: {why}"
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403}
    return json.dumps({**status, "message": message}).encode()


def _request(asked: AgentRequest) -> Request:
    body = asked.body if asked.content_type else None
    return Request(asked.method, asked.target, asked.accept, body, asked.content_type, asked.user)
