"""HTTP/1.1 for a simulated server: aiohttp's, over a wire of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from emco_common.kube.wire import Wire
from emco_simcluster.messages import BODY_LIMIT, Handler, asked


def http1_factory(handler: Handler) -> Callable[[], asyncio.Protocol]:
    """What makes a connection of it."""

    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body, too_large = b"", False
        try:
            body = await request.read() if request.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            too_large = True
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = request.get_extra_info("peercert")
        answer = _Answer(request)
        await handler(asked(request.method, request.raw_path, headers, body, peer, too_large=too_large), answer)
        if answer.response is None:
            raise ConnectionError("the request was not answered")
        return answer.response

    made: Callable[[], asyncio.Protocol] = web.Server(
        handle, request_factory=request, access_log=None, handler_cancellation=True, keepalive_timeout=90.0
    )
    return made


class _Answer:
    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    @property
    def begun(self) -> bool:
        return self.response is not None

    @property
    def cut(self) -> bool:
        return self._request.transport is None or self._request.transport.is_closing()

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.response = web.Response(status=status, body=body, headers=headers)

    async def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        self.response = web.StreamResponse(status=status, headers=headers)
        if length is None:
            self.response.enable_chunked_encoding()
        else:
            self.response.content_length = length
        await self.response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        assert self.response is not None
        await self.response.write(data)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


class Http1:
    """One connection. ``hung``: nothing goes out any more."""

    def __init__(self, wire: Wire, factory: Callable[[], asyncio.Protocol], *, hung: Callable[[], bool]) -> None:
        self._protocol = factory()
        self._protocol.connection_made(_Transport(wire, hung))
        wire.attach(self)

    def received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)


class _Transport(asyncio.Transport):
    """What aiohttp needs of a transport."""

    def __init__(self, wire: Wire, hung: Callable[[], bool]) -> None:
        super().__init__({"peercert": wire.peer, "sslcontext": True})
        self._wire = wire
        self._hung = hung

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._hung():
            self._wire.write(bytes(data))

    def is_closing(self) -> bool:
        return self._wire.over

    def close(self) -> None:
        self._wire.close()

    def abort(self) -> None:
        self._wire.fail(None)

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._wire.unsent

    def can_write_eof(self) -> bool:
        return False
