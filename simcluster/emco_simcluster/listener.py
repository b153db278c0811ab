"""The socket of one simulated server: it can stop listening, stop answering and cut, as a real network does."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import structlog

log = structlog.get_logger()

_BACKLOG = 128
_PAUSE_WITHOUT_DESCRIPTORS = 0.2
_HANDSHAKE_SECONDS = 10.0


class Listener:
    """Accepts TLS connections for a protocol factory and keeps account of them."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], context: ssl.SSLContext) -> None:
        self._factory, self._context = factory, context
        self._socket: socket.socket | None = None
        self._address = ("", 0)
        self._listening = self._accepting = False
        self._transports: set[asyncio.BaseTransport] = set()
        self._pending: set[asyncio.Task[None]] = set()
        self._raw: set[socket.socket] = set()

    @property
    def port(self) -> int:
        return self._address[1]

    def start(self, host: str, port: int) -> None:
        """Bind and listen. Raises OSError if the address is taken."""
        self._address = (host, port)
        self._bind()
        assert self._socket is not None
        self._address = (host, self._socket.getsockname()[1])
        self.open()

    def _bind(self) -> None:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        try:
            bound.bind(self._address)
        except OSError:
            bound.close()
            raise
        self._socket = bound

    def open(self) -> None:
        """Accept connections (again), also those that waited unanswered."""
        if self._socket is None:
            return
        if not self._listening:
            self._socket.listen(_BACKLOG)
            self._listening = True
        if not self._accepting:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)
            self._accepting = True

    def deafen(self) -> None:
        """The kernel takes connections, nobody answers them."""
        if self._accepting and self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._accepting = False

    def close(self) -> None:
        """Refuse connections and cut the open ones. The port stays bound, so that nobody else gets it."""
        self.deafen()
        self.cut()
        if self._socket is not None and self._listening:
            self._socket.close()
            self._listening = False
            self._bind()

    def cut(self) -> None:
        """Break every open connection, handshakes included."""
        for transport in list(self._transports):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        self._transports.clear()
        # A handshake is ended by its socket: a task that is cancelled before its transport has begun leaves that one
        # behind, registered for a descriptor which the next connection gets.
        for connection in list(self._raw):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def stop(self) -> None:
        """Stop for good."""
        self.deafen()
        self.cut()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._listening = False
        if self._pending:
            await asyncio.gather(*self._pending, return_exceptions=True)

    def _accept(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for _ in range(_BACKLOG):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                log.warning("simulated server ran out of descriptors", port=self.port)
                self.deafen()
                loop.call_later(_PAUSE_WITHOUT_DESCRIPTORS, self.open)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._serve(connection), name=f"simulated-handshake-{self.port}")
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _serve(self, connection: socket.socket) -> None:
        self._raw.add(connection)
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                self._factory, connection, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            connection.close()
            return
        finally:
            self._raw.discard(connection)
        self._transports = {t for t in self._transports if not t.is_closing()} if self._crowded() else self._transports
        self._transports.add(transport)

    def _crowded(self) -> bool:
        return len(self._transports) % 64 == 63
