"""HTTP/2 for a simulated server: every request is answered by a task of its own, which ends with its stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hpack import Decoder, HPACKError

from emco_common.kube import frames
from emco_common.kube.frames import FrameReader, Malformed, frame
from emco_common.kube.wire import Wire
from emco_simcluster.messages import BODY_LIMIT, Handler, asked

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_STREAMS = 250
"""Requests at once on a connection, as many as a real server takes by default."""
_WINDOW = 4 * 1024 * 1024
_UNSENT = 256 * 1024


class Http2:
    """One connection. ``hung``: nothing goes out any more."""

    def __init__(self, wire: Wire, handler: Handler, *, hung: Callable[[], bool]) -> None:
        self._wire = wire
        self._handler = handler
        self._hung = hung
        self._preface = PREFACE
        self._reader = FrameReader()
        self._decoder = Decoder()
        self._streams: dict[int, Stream] = {}
        self._block: tuple[int, int, bytes] | None = None
        self._last = 0
        self._eaten = 0
        self.window = self.first_window = frames.DEFAULT_WINDOW
        self.frame_size = frames.FRAME_SIZE
        self.over = False
        settings = ((frames.MAX_CONCURRENT_STREAMS, MAX_STREAMS), (frames.INITIAL_WINDOW_SIZE, _WINDOW))
        self.send(frame(frames.SETTINGS, 0, 0, frames.settings(settings)))
        self.send(frame(frames.WINDOW_UPDATE, 0, 0, (frames.MAX_WINDOW - frames.DEFAULT_WINDOW).to_bytes(4)))
        wire.attach(self)

    def go_away(self) -> None:
        """Say that this connection ends with the requests it has."""
        self.send(frame(frames.GOAWAY, 0, 0, self._last.to_bytes(4) + bytes(4)))

    def send(self, data: bytes) -> None:
        if not self._hung():
            self._wire.write(data)

    async def room(self) -> None:
        """Until the client takes more."""
        if self._wire.unsent > _UNSENT:
            await self._wire.drain()

    def done(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)

    def abort(self) -> None:
        self._wire.fail(None)

    def received(self, data: bytes) -> None:
        if self._preface:
            wanted, rest = self._preface[: len(data)], data[len(self._preface) :]
            if data[: len(wanted)] != wanted:
                self.abort()
                return
            self._preface, data = self._preface[len(wanted) :], rest
        try:
            for kind, flags, number, payload in self._reader.read(data):
                self._take(kind, flags, number, payload)
        except (Malformed, HPACKError) as error:
            code = error.code if isinstance(error, Malformed) else frames.COMPRESSION_ERROR
            self.send(frame(frames.GOAWAY, 0, 0, self._last.to_bytes(4) + code.to_bytes(4)))
            self._wire.close()

    def lost(self, error: Exception | None) -> None:
        self.over = True
        for stream in tuple(self._streams.values()):
            stream.cancel()
        self._streams.clear()

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        match kind:
            case frames.HEADERS:
                payload = frames.unpadded(flags, payload)
                self._headers(flags, number, payload[5:] if flags & frames.WITH_PRIORITY else payload)
            case frames.CONTINUATION if self._block is not None:
                first, number, block = self._block
                self._headers(first | flags & frames.END_HEADERS, number, block + payload)
            case frames.DATA:
                self._data(flags, number, payload)
            case frames.SETTINGS if not flags & frames.ACK:
                self._settings(payload)
            case frames.PING if not flags & frames.ACK:
                self.send(frame(frames.PING, frames.ACK, 0, payload))
            case frames.WINDOW_UPDATE:
                self._more(number, frames.number_of(payload))
            case frames.RST_STREAM:
                if (stream := self._streams.pop(number, None)) is not None:
                    stream.cancel()

    def _headers(self, flags: int, number: int, block: bytes) -> None:
        if not flags & frames.END_HEADERS:
            self._block = flags, number, block
            return
        self._block = None
        headers = {
            bytes(name).decode("latin-1"): bytes(value).decode("latin-1")
            for name, value in (field[:2] for field in self._decoder.decode(block, raw=True))
        }
        if number <= self._last:
            raise Malformed("a stream that was used before")
        self._last = number
        if len(self._streams) >= MAX_STREAMS:
            self.send(frame(frames.RST_STREAM, 0, number, frames.REFUSED_STREAM.to_bytes(4)))
            return
        stream = self._streams[number] = Stream(self, number, headers, window=self.first_window)
        if flags & frames.END_STREAM:
            stream.answer(self._handler, self._wire.peer)

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        self._eaten += len(payload)
        if self._eaten > frames.MAX_WINDOW // 2:
            self.send(frame(frames.WINDOW_UPDATE, 0, 0, self._eaten.to_bytes(4)))
            self._eaten = 0
        if (stream := self._streams.get(number)) is not None:
            stream.body += frames.unpadded(flags, payload)
            if flags & frames.END_STREAM or len(stream.body) > BODY_LIMIT:
                stream.answer(self._handler, self._wire.peer)

    def _settings(self, payload: bytes) -> None:
        for name, value in frames.settings_of(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.more(value - self.first_window)
                self.first_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self.frame_size = value
        self.send(frame(frames.SETTINGS, frames.ACK, 0))

    def _more(self, number: int, more: int) -> None:
        if number:
            if (stream := self._streams.get(number)) is not None:
                stream.more(more)
            return
        self.window += more
        for stream in self._streams.values():
            stream.more(0)


class Stream:
    """One request and its answer."""

    def __init__(self, connection: Http2, number: int, headers: Mapping[str, str], *, window: int) -> None:
        self.number = number
        self.body = b""
        self.begun = False
        self._connection = connection
        self._headers = headers
        self._window = window
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def cut(self) -> bool:
        return self._connection.over

    def answer(self, handler: Handler, peer: Mapping[str, Any] | None) -> None:
        """The request is there."""
        if self._task is None:
            named = asked(
                self._headers.get(":method", ""),
                self._headers.get(":path", ""),
                self._headers,
                self.body,
                peer,
                too_large=len(self.body) > BODY_LIMIT,
            )
            self.body = b""
            self._headers = {}
            self._task = asyncio.get_running_loop().create_task(self._run(handler(named, self)))

    async def _run(self, handling: Awaitable[None]) -> None:
        try:
            await handling
            if self.begun:
                self._connection.send(frame(frames.DATA, frames.END_STREAM, self.number))
        except ConnectionError:
            pass
        finally:
            self._connection.done(self)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def more(self, window: int) -> None:
        self._window += window
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        head = self._head(status, {**headers, "content-length": str(len(body))})
        room = min(self._window, self._connection.window, self._connection.frame_size)
        if len(body) <= room:
            self._window -= len(body)
            self._connection.window -= len(body)
            self._connection.send(head + frame(frames.DATA, frames.END_STREAM, self.number, body))
            return
        self._connection.send(head)
        self.begun = True
        await self.write(body)

    async def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        more = {} if length is None else {"content-length": str(length)}
        self._connection.send(self._head(status, {**headers, **more}))
        self.begun = True

    async def write(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._connection.over:
                raise ConnectionResetError("the client has gone")
            size = min(self._window, self._connection.window, self._connection.frame_size, len(data) - at)
            if size <= 0:
                self._room = asyncio.get_running_loop().create_future()
                await self._room
                continue
            self._window -= size
            self._connection.window -= size
            self._connection.send(frame(frames.DATA, 0, self.number, data[at : at + size]))
            at += size
        await self._connection.room()

    def abort(self) -> None:
        self._connection.abort()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        return frame(frames.HEADERS, frames.END_HEADERS, self.number, frames.answer_headers(status, headers))
