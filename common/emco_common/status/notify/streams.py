"""The status as server-sent events: the answer of the status query whenever it changes.

``event: status`` carries the answer, ``event: error`` why there is none at the moment, ``event: deleted`` ends the
stream of an object that is gone. A client that comes back with ``Last-Event-ID`` is spared what it has already.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import Request
from starlette.responses import Response
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from emco_common.errors import EmcoError, Unavailable
from emco_common.status.contexts import Contexts
from emco_common.status.notify.notifier import RETRY_AFTER, Notifier, Seats
from emco_common.status.notify.watcher import End, Ended, Message, Watcher
from emco_common.status.query import Dialect, StatusQuery
from emco_common.status.reader import Standing
from emco_common.status.render import status_answer
from emco_common.store.api import Key

_log = structlog.get_logger()
MAX_STREAMS = 1_000
"""Open streams in one process; each holds a connection."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody in between takes the connection for dead."""
_FIRST_DEADLINE = 10.0
"""Seconds within which the first answer is there, or the request fails."""
_SEND_DEADLINE = 60.0
"""Seconds that a client may leave a message unread before its stream is ended."""
MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EXAMPLE = """id: 5f2c0c4b1d7a4e0b8f9d2a61
event: status
data: {"project":"retail","name":"pos-east","states":{},"deployedStatus":"Instantiated","readyStatus":"Ready"}

"""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """The answer of a status query."""

    query: StatusQuery

    def render(self, standing: Standing, contexts: Contexts | None) -> bytes:
        answer = status_answer(standing.head, standing.info, contexts, self.query)
        return _event("status", answer)

    def failed(self, error: EmcoError) -> bytes:
        return _event("error", {"status": error.status, "message": str(error)})


class StatusStreams:
    """Opens the streams of one service, at most ``limit`` at a time."""

    def __init__(self, notifier: Notifier, *, limit: int = MAX_STREAMS, heartbeat: float = HEARTBEAT) -> None:
        self._notifier = notifier
        self._seats = Seats(limit)
        self._heartbeat = heartbeat

    async def open(self, key: Key, request: Request) -> Response:
        """Answers when there is a first status. Raises what the status query raises, and ``TooManyStreams``."""
        view = AnswerView(self._notifier.reader.query(request.query_params.multi_items()))
        seen = request.headers.get("last-event-id", "")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._seats.seat())
            watcher = await stack.enter_async_context(self._notifier.watching(key, view, seen=seen))
            await _first(watcher)
            return EventStream(key, watcher, stack.pop_all(), heartbeat=self._heartbeat)


async def _first(watcher: Watcher) -> None:
    try:
        async with asyncio.timeout(_FIRST_DEADLINE):
            first = await watcher.first()
    except TimeoutError as error:
        raise Unavailable("the status cannot be read at the moment", retry_after=RETRY_AFTER) from error
    except Ended as ended:
        raise Unavailable("the object or the service is going away", retry_after=RETRY_AFTER) from ended
    if first.error is not None:
        raise first.error


class EventStream(Response):
    """Sends what its watcher gets until one of both is gone, then gives up the watcher's place."""

    media_type = MEDIA_TYPE

    def __init__(self, key: Key, watcher: Watcher, place: AsyncExitStack, *, heartbeat: float) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._key = key
        self._watcher = watcher
        self._place = place
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send), name=f"status stream of {dict(self._key)}")
        gone = asyncio.create_task(_disconnected(receive), name="status stream's client")
        try:
            async with self._place:
                await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            _log.warning("status_stream_dropped", key=dict(self._key), error=repr(error))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _send(send, b"retry: 3000\n\n")
        try:
            while True:
                await _send(send, await self._next_frame())
        except Ended as ended:
            last = _event("deleted", dict(self._key)) + b"\n" if ended.end is End.DELETED else b""
            await _send(send, last, more=False)

    async def _next_frame(self) -> bytes:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat):
                return _frame(await self._watcher.next())
        return b": still there\n\n"


def describe(dialect: Dialect) -> dict[str, Any]:
    """What a route that opens streams says of itself in OpenAPI, as arguments of its decorator."""
    header = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "Id of the last event received; an unchanged status is not sent again",
        "schema": {"type": "string"},
    }
    text = "Server-sent events: `status` with the answer of the status query as data, `error`, `deleted`"
    return {
        "response_class": EventStream,
        "status_code": 200,
        "openapi_extra": {"parameters": [*dialect.openapi(), header]},
        "responses": {
            200: {"description": text, "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
            400: {"description": "The query is not valid"},
            404: {"description": "No such object"},
            503: {"description": "Too many streams, or the status cannot be read at the moment"},
        },
    }


def _event(name: str, data: Any) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n".encode()


def _frame(message: Message) -> bytes:
    return b"id: %s\n%s\n" % (message.id.encode(), message.body)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_SEND_DEADLINE):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    message: AsgiMessage = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
