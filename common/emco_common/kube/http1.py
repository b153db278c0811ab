"""One HTTP/1.1 connection as a client: one exchange after another, for servers that have nothing newer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httptools

from emco_common.kube.exchange import MAX_HEADERS, MAX_UNREAD, Broken, Head, Request
from emco_common.kube.wire import Wire

_MAX_INTERIM = 16
"""Interim answers (1xx) before the real one."""


class Http1:
    """``wire`` is connected; ``changed`` is told when the exchange or the connection has ended."""

    def __init__(self, wire: Wire, head: Head, *, changed: Callable[[], None]) -> None:
        self._wire = wire
        self._fixed = _fixed(head)
        self._changed = changed
        self._answer: Answer | None = None
        self._error: Broken | None = None
        wire.attach(self)

    @property
    def room(self) -> bool:
        return self._answer is None and self._error is None

    @property
    def used(self) -> int:
        return 0 if self._answer is None else 1

    @property
    def leaving(self) -> bool:
        return self._error is not None

    @property
    def over(self) -> bool:
        return self._error is not None

    async def exchange(self, request: Request) -> Answer:
        if self._error is not None or self._answer is not None:
            raise Broken(str(self._error or "the connection is in use"), untouched=True)
        answer = self._answer = Answer(self)
        try:
            self._wire.write(_head_of(request, self._fixed) + (request.body or b""))
            if self._wire.unsent:
                await self._wire.drain()
            await answer.answered()
        except BaseException:
            answer.close()
            raise
        return answer

    def close(self, reason: str) -> None:
        self._end(Broken(reason))
        self._wire.close()

    def ended(self, answer: Answer, *, keep: bool) -> None:
        """The answer was read to its end, or nobody wants the rest of it: then the connection cannot go on."""
        if self._answer is not answer:
            return
        self._answer = None
        if keep and self._error is None:
            self._wire.resume_reading()
            self._changed()
        else:
            self._end(Broken("the connection was given up"))
            self._wire.fail(None)

    def hold(self, *, on: bool) -> None:
        """Let the server wait for the reader."""
        if on:
            self._wire.pause_reading()
        else:
            self._wire.resume_reading()

    def received(self, data: bytes) -> None:
        if self._answer is None:
            self._end(Broken("the server spoke without being asked"))
            self._wire.fail(None)
            return
        self._answer.received(data)

    def lost(self, error: Exception | None) -> None:
        if self._answer is not None and error is None:
            self._answer.no_more()
        self._end(Broken(str(error) if error else "the server closed the connection"))

    def _end(self, error: Broken) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._answer is not None:
            self._answer.broken(error)
        self._changed()


class Answer:
    """What comes back on a request."""

    def __init__(self, owner: Http1) -> None:
        self.status = 0
        self.retry_after: str | None = None
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._unread = 0
        self._headers = 0
        self._interim = 0
        self._held = False
        self._bounded = False
        self._finished = False
        self._keep = False
        self._error: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def answered(self) -> None:
        """Until the headers of the answer are there. ``Broken``."""
        while not self.status:
            self._check()
            await self._news()

    async def read(self) -> bytes:
        while not self._chunks:
            if self._finished:
                self._owner.ended(self, keep=self._keep)
                return b""
            self._check()
            await self._news()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._unread = 0
        if self._held:
            self._held = False
            self._owner.hold(on=False)
        return data

    def close(self) -> None:
        self._chunks.clear()
        self._owner.ended(self, keep=self._finished and self._keep)

    def received(self, data: bytes) -> None:
        if self._finished:
            self._keep = False  # it says more than it was asked for
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.broken(Broken(f"the answer is no HTTP: {error}"))
            return
        if not self.status:
            self._count(len(data))
        if self._unread > MAX_UNREAD and not self._held and not self._finished:
            self._held = True
            self._owner.hold(on=True)

    def no_more(self) -> None:
        """The server closed in order; that ends an answer without a length."""
        if self.status and not self._bounded and self._error is None:
            self._finished = True
        self._wake()

    def broken(self, error: Broken) -> None:
        if not self._finished:
            self._error = self._error or error
        self._keep = False
        self._wake()

    # What the parser tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        lower = name.lower()
        if lower == b"retry-after":
            self.retry_after = value.decode("latin-1")
        elif lower in (b"content-length", b"transfer-encoding"):
            self._bounded = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            self._wake()

    def on_body(self, data: bytes) -> None:
        self._unread += len(data)
        self._chunks.append(data)
        self._wake()

    def on_message_complete(self) -> None:
        if not self.status:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                self.broken(Broken("the server sends interim answers without end"))
            return
        self._finished = True
        self._keep = self._error is None and self._parser.should_keep_alive()
        self._wake()

    def _count(self, size: int) -> None:
        self._headers += size
        if self._headers > MAX_HEADERS:
            self.broken(Broken(f"headers of more than {MAX_HEADERS} bytes"))

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _check(self) -> None:
        if self._error is not None:
            raise Broken(str(self._error), untouched=self._error.untouched)

    async def _news(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        await waiter


def _fixed(head: Head) -> bytes:
    lines = [f"Host: {head.authority}", *(f"{name}: {value}" for name, value in head.fixed)]
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


def _head_of(request: Request, fixed: bytes) -> bytes:
    begin = f"{request.method} {request.target} HTTP/1.1\r\n".encode("latin-1")
    said = begin + fixed + f"Accept: {request.accept}\r\n".encode("latin-1")
    if request.body is not None:
        said += f"Content-Type: {request.content_type}\r\nContent-Length: {len(request.body)}\r\n".encode("latin-1")
    if request.user:
        said += f"Impersonate-User: {request.user}\r\n".encode("latin-1")
    return said + b"\r\n"
