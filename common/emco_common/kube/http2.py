"""One HTTP/2 connection as a client: many exchanges at once, each bounded and each by itself.

Written for API servers that may be hostile: what they send is taken only in the amounts that were allowed, answers to
their questions do not pile up, and a connection that says nothing any more is noticed. A connection that is told to go
away finishes what it carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from emco_common.kube import frames
from emco_common.kube.exchange import MAX_HEADERS, MAX_UNREAD, Broken, Head, Request
from emco_common.kube.fields import answer_of
from emco_common.kube.frames import FrameReader, Malformed, frame
from emco_common.kube.stream import Stream
from emco_common.kube.wire import Wire

PING_AFTER = 20.0
"""Seconds without a byte after which a server is asked for a sign of life."""
PONG_WITHIN = 12.0
MAX_UNSENT = 256 * 1024
"""Bytes of answers to a server that does not read them."""
MAX_NOISE = 2_000
"""Frames within ``NOISE_SECONDS`` that bring nothing anybody waits for."""
NOISE_SECONDS = 10.0
_LAST_STREAM = 2**31 - 3
_MAX_CONTINUATIONS = 16


class Http2:
    """``wire`` is connected and speaks ``h2``; ``changed`` is told when an exchange or the connection has ended."""

    def __init__(self, wire: Wire, head: Head, *, changed: Callable[[], None]) -> None:
        self._wire = wire
        self._fixed = frames.fixed_headers(head)
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._most = 100
        self._frame_size = frames.FRAME_SIZE
        self._first_window = frames.DEFAULT_WINDOW
        self._window = frames.DEFAULT_WINDOW
        self._eaten = 0
        self._block: tuple[int, int, list[bytes]] | None = None
        self._leaving = False
        self._error: Broken | None = None
        self._noise, self._noise_since = 0, 0.0
        self._heard = self._loop.time()
        self._asked = False
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(PING_AFTER, self._look)
        self._settled: asyncio.Future[None] | None = self._loop.create_future()
        wire.write(frames.opening(window=MAX_UNREAD, headers=MAX_HEADERS))
        wire.attach(self)

    @property
    def room(self) -> bool:
        return not self._leaving and self._error is None and len(self._streams) < self._most

    @property
    def used(self) -> int:
        return len(self._streams)

    @property
    def leaving(self) -> bool:
        return self._leaving

    @property
    def over(self) -> bool:
        return self._error is not None or (self._leaving and not self._streams)

    async def settled(self) -> None:
        """Until the server has said how many exchanges it takes. ``Broken``."""
        if self._settled is not None:
            await asyncio.shield(self._settled)
        if self._error is not None:
            raise Broken(str(self._error), untouched=True)

    async def exchange(self, request: Request) -> Stream:
        if self._error is not None or self._leaving:
            raise Broken(str(self._error or "the server closes this connection"), untouched=True)
        number, self._next = self._next, self._next + 2
        if number >= _LAST_STREAM:
            self._leaving = True
        stream = self._streams[number] = Stream(self, number, window=self._first_window)
        body = request.body
        said = self._headers(number, frames.request_headers(self._fixed, request), end=not body)
        try:
            if body and len(body) <= min(self._window, stream.window, self._frame_size):
                self._window -= len(body)
                stream.window -= len(body)
                said += frame(frames.DATA, frames.END_STREAM, number, body)
                stream.sent = True
                self._wire.write(said)
            else:
                self._wire.write(said)
                stream.sent = not body
                if body:
                    await self._send_body(stream, body)
            await stream.answered()
        except BaseException:
            stream.close()
            raise
        return stream

    def close(self, reason: str) -> None:
        if self._error is None:
            self._wire.write(self._farewell(frames.NO_ERROR))
            self._end(Broken(reason), lambda: self._wire.close())

    # What a stream asks of its connection.

    def give_up(self, stream: Stream, code: int) -> None:
        """Of this stream nothing more is wanted."""
        if self._streams.pop(stream.number, None) is None:
            return
        if self._error is None and not stream.finished:
            self._wire.write(frame(frames.RST_STREAM, 0, stream.number, code.to_bytes(4)))
        self._after_a_stream()

    def consumed(self, stream: Stream, size: int) -> None:
        """The reader took so much: the server may send as much again."""
        if self._error is None and stream.number in self._streams:
            self._wire.write(frame(frames.WINDOW_UPDATE, 0, stream.number, size.to_bytes(4)))

    # What the wire tells.

    def received(self, data: bytes) -> None:
        if self._error is not None:
            return
        self._heard = self._loop.time()
        self._asked = False
        try:
            for kind, flags, number, payload in self._reader.read(data):
                self._take(kind, flags, number, payload)
                if self._error is not None:
                    return
        except Malformed as error:
            self._fail(f"the server breaks HTTP/2: {error}", error.code)
            return
        if self._wire.unsent > MAX_UNSENT:
            self._fail("the server does not read what it asked for", frames.ENHANCE_YOUR_CALM)

    def lost(self, error: Exception | None) -> None:
        self._end(Broken(str(error) if error else "the server closed the connection"), lambda: None)

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise Malformed("headers that do not go on")
        match kind:
            case frames.DATA:
                self._take_data(flags, number, payload)
            case frames.HEADERS:
                self._take_headers(flags, number, frames.unpadded(flags, payload))
            case frames.CONTINUATION:
                self._take_continuation(flags, number, payload)
            case frames.WINDOW_UPDATE:
                self._take_window(number, frames.number_of(payload))
            case frames.SETTINGS:
                self._take_settings(flags, number, payload)
            case frames.PING:
                self._take_ping(flags, number, payload)
            case frames.RST_STREAM:
                self._take_reset(number, frames.number_of(payload))
            case frames.GOAWAY:
                self._take_goaway(number, payload)
            case frames.PUSH_PROMISE:
                raise Malformed("a push, which was not allowed")
            case _:
                self._noticed()

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._eaten += size
        if self._eaten > frames.MAX_WINDOW // 2:
            self._wire.write(frame(frames.WINDOW_UPDATE, 0, 0, self._eaten.to_bytes(4)))
            self._eaten = 0
        stream = self._streams.get(number)
        if stream is None:
            self._known(number)
            self._noticed()
            return
        if not size and not flags & frames.END_STREAM:
            self._noticed()
        stream.data(frames.unpadded(flags, payload), counted=size)
        if flags & frames.END_STREAM:
            self._finished(stream)

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.WITH_PRIORITY:
            payload = payload[5:]
        self._known(number)
        if flags & frames.END_HEADERS:
            self._decoded(flags, number, payload)
        else:
            self._block = flags, number, [payload]

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[1] != number:
            raise Malformed("a continuation of nothing")
        first, _, parts = self._block
        parts.append(payload)
        if len(parts) > _MAX_CONTINUATIONS or sum(map(len, parts)) > MAX_HEADERS:
            raise Malformed(f"headers of more than {MAX_HEADERS} bytes", frames.ENHANCE_YOUR_CALM)
        if flags & frames.END_HEADERS:
            self._block = None
            self._decoded(first, number, b"".join(parts))

    def _decoded(self, flags: int, number: int, block: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            self._noticed()
            return
        if stream.headers(*answer_of(block)):
            self._noticed()
        if flags & frames.END_STREAM:
            self._finished(stream)

    def _take_window(self, number: int, more: int) -> None:
        self._noticed()
        more &= frames.MAX_WINDOW
        if not number:
            self._window += more
            if not more or self._window > frames.MAX_WINDOW:
                raise Malformed("a window beyond the largest", frames.FLOW_CONTROL_ERROR)
            for stream in self._streams.values():
                stream.wake()
        elif stream_ := self._streams.get(number):
            stream_.window += more
            if not more or stream_.window > frames.MAX_WINDOW:
                stream_.broken(Broken("the server opened a window beyond the largest"))
                self.give_up(stream_, frames.FLOW_CONTROL_ERROR)
            else:
                stream_.wake()

    def _take_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise Malformed("SETTINGS of a stream")
        self._noticed()
        if flags & frames.ACK:
            return
        for name, value in frames.settings_of(payload):
            if name == frames.MAX_CONCURRENT_STREAMS:
                self._most = value
            elif name == frames.MAX_FRAME_SIZE:
                self._frame_size = value
            elif name == frames.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._first_window
                    stream.wake()
                self._first_window = value
        self._wire.write(frame(frames.SETTINGS, frames.ACK, 0))
        if self._settled is not None:
            self._settled.set_result(None)
            self._settled = None

    def _take_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise Malformed("a wrong PING", frames.FRAME_SIZE_ERROR)
        self._noticed()
        if not flags & frames.ACK:
            self._wire.write(frame(frames.PING, frames.ACK, 0, payload))

    def _take_reset(self, number: int, code: int) -> None:
        self._known(number)
        self._noticed()
        stream = self._streams.pop(number, None)
        if stream is not None:
            untouched = code == frames.REFUSED_STREAM
            stream.broken(Broken(f"the server reset the stream: {frames.error_name(code)}", untouched=untouched))
            self._after_a_stream()

    def _take_goaway(self, number: int, payload: bytes) -> None:
        if number or len(payload) < 8:
            raise Malformed("a wrong GOAWAY")
        self._noticed()
        last, code = int.from_bytes(payload[:4]) & frames.MAX_WINDOW, int.from_bytes(payload[4:8])
        self._leaving = True
        for stream in [stream for other, stream in self._streams.items() if other > last]:
            del self._streams[stream.number]
            stream.broken(Broken(f"the server closes the connection: {frames.error_name(code)}", untouched=True))
        self._after_a_stream()

    # What follows from it.

    def _finished(self, stream: Stream) -> None:
        """The answer is there to its end. A server may give one before it has read all of the request."""
        stream.ended()
        if self._streams.pop(stream.number, None) is None:
            return
        if not stream.sent:
            self._wire.write(frame(frames.RST_STREAM, 0, stream.number, frames.CANCEL.to_bytes(4)))
            stream.wake()
        self._after_a_stream()

    def _after_a_stream(self) -> None:
        if self._leaving and not self._streams and self._error is None:
            self.close("the server closed the connection")
        else:
            self._changed()

    def _known(self, number: int) -> None:
        if not number & 1 or number >= self._next:
            raise Malformed("a stream that nobody opened")

    def _noticed(self) -> None:
        """Count what brings nothing; a server that sends little else is not listened to for long."""
        self._noise += 1
        if self._noise > MAX_NOISE:
            now = self._loop.time()
            if now - self._noise_since < NOISE_SECONDS:
                raise Malformed("a flood of frames that bring nothing", frames.ENHANCE_YOUR_CALM)
            self._noise, self._noise_since = 0, now

    async def _send_body(self, stream: Stream, body: bytes) -> None:
        at = 0
        while at < len(body) and not stream.finished:
            size = min(self._frame_size, self._window, stream.window, len(body) - at)
            if size <= 0:
                await stream.room_to_send()
                continue
            self._window -= size
            stream.window -= size
            end = at + size >= len(body)
            self._wire.write(frame(frames.DATA, frames.END_STREAM if end else 0, stream.number, body[at : at + size]))
            at += size
            stream.sent = end
            if self._wire.unsent:
                await self._wire.drain()

    def _headers(self, number: int, block: bytes, *, end: bool) -> bytes:
        flags = frames.END_STREAM if end else 0
        if len(block) <= frames.FRAME_SIZE:
            return frame(frames.HEADERS, flags | frames.END_HEADERS, number, block)
        parts = [block[at : at + frames.FRAME_SIZE] for at in range(0, len(block), frames.FRAME_SIZE)]
        said = [frame(frames.HEADERS, flags, number, parts[0])]
        said += [frame(frames.CONTINUATION, 0, number, part) for part in parts[1:-1]]
        return b"".join(said) + frame(frames.CONTINUATION, frames.END_HEADERS, number, parts[-1])

    def _look(self) -> None:
        """Now and then: does the server still live?"""
        silent = self._loop.time() - self._heard
        if self._asked:
            self._fail(f"the server has given no sign of life for {silent:.0f} s", frames.NO_ERROR)
            return
        wait = PING_AFTER - silent
        if wait <= 0:
            self._asked = True
            self._wire.write(frame(frames.PING, 0, 0, bytes(8)))
            wait = PONG_WITHIN
        self._timer = self._loop.call_later(wait, self._look)

    def _fail(self, text: str, code: int) -> None:
        self._wire.write(self._farewell(code))
        self._end(Broken(text), lambda: self._wire.fail(None))

    def _farewell(self, code: int) -> bytes:
        return frame(frames.GOAWAY, 0, 0, bytes(4) + code.to_bytes(4))

    def _end(self, error: Broken, then: Callable[[], None]) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._settled is not None:
            self._settled.set_result(None)
            self._settled = None
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.broken(error)
        then()
        self._changed()
