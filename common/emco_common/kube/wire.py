"""The bytes of one connection, with or without TLS. Knows neither HTTP nor Kubernetes.

TLS runs over memory buffers: a connection of asyncio's own keeps 256 KB for reading, this one nothing while it is idle.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from emco_common.kube.tls import Pipes, Tls

READ_SIZE = 16 * 1024
"""What is read at once: a TLS record."""
PIECE_IN, PIECE_OUT = 2 * 1024, 4 * 1024
"""What TLS is given at once: OpenSSL's memory buffers keep for ever the size that they once had."""
GATHERED = 64 * 1024
"""Bytes that wait at most for what else is written in the same step of the event loop."""
CLOSE_SECONDS = 2.0
"""How long the last words may take to a server that does not read."""


class Receiver(Protocol):
    """Who is told what comes. Nothing is called after ``lost``."""

    def received(self, data: bytes) -> None: ...

    def lost(self, error: Exception | None) -> None:
        """The connection is over; ``None`` if the other side ended it in order."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and as whom: ``tls`` is ``None`` without, ``name`` what the certificate must be for."""

    host: str
    port: int
    tls: Tls | None = None
    name: str = ""


class Wire(asyncio.BufferedProtocol):
    """Made by ``connect``. ``buffer`` is shared by all connections of an event loop: what it holds is taken at once."""

    def __init__(self, buffer: bytearray, tls: Pipes | None) -> None:
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._tls = tls[0] if tls is not None else None
        self._incoming = tls[1] if tls is not None else None
        self._outgoing = tls[2] if tls is not None else None
        self._shaking = tls is not None
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._ready: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._error: Exception | None = None
        self._over = False
        self._early: list[bytes] = []
        self._outbox: list[bytes] = []
        self._gathered = 0

    @property
    def protocol(self) -> str | None:
        """What ALPN agreed on."""
        return self._tls.selected_alpn_protocol() if self._tls is not None else None

    @property
    def session(self) -> ssl.SSLSession | None:
        """With which the next connection to the same server needs no certificates."""
        return self._tls.session if self._tls is not None else None

    @property
    def resumed(self) -> bool:
        """Did the handshake do without certificates?"""
        return self._tls is not None and bool(self._tls.session_reused)

    @property
    def peer(self) -> Mapping[str, Any] | None:
        """The verified certificate of the other side, if it showed one."""
        return self._tls.getpeercert() if self._tls is not None else None

    @property
    def over(self) -> bool:
        return self._over or self._transport is None or self._transport.is_closing()

    def attach(self, receiver: Receiver) -> None:
        """From now on ``receiver`` is told; what came meanwhile it is told at once."""
        self._receiver = receiver
        early, self._early = self._early, []
        for data in early:
            receiver.received(data)
        if self._over:
            receiver.lost(self._error)

    def write(self, data: bytes) -> None:
        """Send, or keep until it can be sent; see ``drain``. Nothing happens on a connection that is over.

        What is written in one step of the event loop goes out together: a call to the system costs more than the rest.
        """
        if self._transport is None or self._over:
            return
        if self._tls is None or self._outgoing is None:
            self._gather(data)
            return
        try:
            if len(data) <= PIECE_OUT:
                self._tls.write(data)
                self._gather(self._outgoing.read())
                return
            view = memoryview(data)
            for start in range(0, len(view), PIECE_OUT):
                self._tls.write(view[start : start + PIECE_OUT])
                self._gather(self._outgoing.read())
        except ssl.SSLError as error:
            self.fail(error)

    @property
    def unsent(self) -> int:
        """Bytes that the other side has not taken yet."""
        return self._gathered + self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def drain(self) -> None:
        """Until there is room for more; also when the connection is over."""
        while self._paused and not self._over:
            if self._writable is None:
                self._writable = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._over:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._over:
            self._transport.resume_reading()

    def fail(self, error: Exception | None) -> None:
        """End the connection now; ``lost`` tells ``error``."""
        if self._error is None:
            self._error = error
        self._send()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End it after what was written."""
        if self._tls is not None and self._outgoing is not None and not self._shaking and not self._over:
            with suppress(ssl.SSLError):  # the other side need not say good-bye as well
                self._tls.unwrap()
            self._outbox.append(self._outgoing.read())
        self._send()
        if self._transport is not None:
            self._transport.close()
            if self._transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._transport.abort)

    async def shaken(self) -> None:
        """Until the handshake is done. ``OSError``, of which ``ssl.SSLError`` is one."""
        assert self._ready is not None
        await self._ready
        self._ready = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._tls is None:
            self._become_ready()
        else:
            self._pump()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._incoming is None:
            self._deliver(bytes(self._view[:nbytes]))
            return
        for start in range(0, nbytes, PIECE_IN):
            self._incoming.write(self._view[start : min(nbytes, start + PIECE_IN)])
            self._pump()
            if self._transport is None or self._error is not None:
                return

    def eof_received(self) -> bool:
        if self._shaking and self._error is None:
            self._error = ConnectionResetError("the server closed the connection during the TLS handshake")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._error = self._error or exc
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(self._error or ConnectionResetError("the connection was closed"))
            self._ready.exception()  # perhaps nobody waits any more
        self.resume_writing()
        self._transport = None
        self._send()
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.lost(self._error)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writable is not None:
            waiting, self._writable = self._writable, None
            waiting.set_result(None)

    def _gather(self, data: bytes) -> None:
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._send)
        self._outbox.append(data)
        self._gathered += len(data)
        if self._gathered > GATHERED:
            self._send()

    def _send(self) -> None:
        outbox, self._outbox, self._gathered = self._outbox, [], 0
        if outbox and self._transport is not None:
            self._transport.write(b"".join(outbox))

    def _become_ready(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _deliver(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(data)
        else:
            self._early.append(data)

    def _pump(self) -> None:
        """Let TLS work on what has come."""
        assert self._tls is not None
        assert self._transport is not None
        try:
            if self._shaking:
                self._tls.do_handshake()
                self._shaking = False
                self._become_ready()
            while data := self._tls.read(READ_SIZE):
                self._deliver(data)
                if self._over or self._transport is None:
                    return
            self._flush()
            self._transport.close()  # the other side said good-bye
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()
            self.fail(error)

    def _flush(self) -> None:
        """What TLS itself has to say: handshakes, alerts."""
        assert self._outgoing is not None
        if self._outgoing.pending:
            self._outbox.append(self._outgoing.read())
            self._send()


async def connect(
    endpoint: Endpoint,
    *,
    buffer: bytearray,
    protocols: Sequence[str] = (),
    session: ssl.SSLSession | None = None,
) -> Wire:
    """A connection whose handshake is done. The deadline is the caller's. ``OSError``."""
    pipes = None
    if endpoint.tls is not None:
        pipes = endpoint.tls.begin(endpoint.name or endpoint.host, protocols=protocols, session=session)
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(buffer, pipes), endpoint.host, endpoint.port
    )
    try:
        _notice_death(wire)
        await wire.shaken()
    except BaseException:
        wire.fail(None)
        raise
    if endpoint.tls is not None and pipes is not None:
        endpoint.tls.end(pipes[0])
    return wire


async def accept(connection: socket.socket, context: ssl.SSLContext, *, buffer: bytearray) -> Wire:
    """The other side of ``connect``."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    _, wire = await asyncio.get_running_loop().connect_accepted_socket(
        lambda: Wire(buffer, (tls, incoming, outgoing)), connection
    )
    try:
        await wire.shaken()
    except BaseException:
        wire.fail(None)
        raise
    return wire


def _notice_death(wire: Wire) -> None:
    """The kernel too notices within about 40 s that a peer is gone without a word."""
    found = wire._transport.get_extra_info("socket") if wire._transport is not None else None
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 7), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 40_000)):
        if hasattr(socket, option):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
