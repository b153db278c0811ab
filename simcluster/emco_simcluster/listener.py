"""The socket of one simulated server: it can stop listening, stop answering and cut, as a real network does."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextlib import suppress

import structlog

from emco_common.kube.wire import Wire, accept
from emco_simcluster.http1 import Http1, http1_factory
from emco_simcluster.http2 import Http2
from emco_simcluster.messages import Handler

log = structlog.get_logger()

_BACKLOG = 128
_PAUSE_WITHOUT_DESCRIPTORS = 0.2
_HANDSHAKE_SECONDS = 10.0


class Listener:
    """Accepts TLS connections and keeps account of them: HTTP/2 for who speaks it, else HTTP/1.1."""

    def __init__(self, handler: Handler, context: ssl.SSLContext, *, buffer: bytearray) -> None:
        self._handler, self._context, self._buffer = handler, context, buffer
        self._http1 = http1_factory(handler)
        self._hung = False
        self._socket: socket.socket | None = None
        self._address = ("", 0)
        self._listening = self._accepting = False
        self._wires: dict[Wire, Http2 | Http1] = {}
        self._pending: set[asyncio.Task[None]] = set()
        self._raw: set[socket.socket] = set()

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(not wire.over for wire in self._wires)

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
        self._hung = False
        if self._socket is None:
            return
        if not self._listening:
            self._socket.listen(_BACKLOG)
            self._listening = True
        if not self._accepting:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)
            self._accepting = True

    def deafen(self) -> None:
        """The kernel takes connections, nobody answers them; from open ones nothing comes any more."""
        self._hung = True
        self._stop_accepting()

    def go_away(self) -> None:
        """Ask the clients of open connections to make new ones, as a server that is going to stop does."""
        for speaker in self._wires.values():
            if isinstance(speaker, Http2):
                speaker.go_away()

    def _stop_accepting(self) -> None:
        if self._accepting and self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._accepting = False

    def close(self) -> None:
        """Refuse connections and cut the open ones. The port stays bound, so that nobody else gets it."""
        self._stop_accepting()
        self.cut()
        if self._socket is not None and self._listening:
            self._socket.close()
            self._listening = False
            self._bind()

    def cut(self) -> None:
        """Break every open connection, handshakes included."""
        for wire in list(self._wires):
            wire.fail(None)
        self._wires.clear()
        # A handshake is ended by its socket: a task that is cancelled before its transport has begun leaves that one
        # behind, registered for a descriptor which the next connection gets.
        for connection in list(self._raw):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def stop(self) -> None:
        """Stop for good."""
        self._stop_accepting()
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
                self._stop_accepting()
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
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                wire = await accept(connection, self._context, buffer=self._buffer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            connection.close()
            return
        finally:
            self._raw.discard(connection)
        if len(self._wires) % 64 == 63:
            self._wires = {wire: speaker for wire, speaker in self._wires.items() if not wire.over}
        if wire.protocol == "h2":
            self._wires[wire] = Http2(wire, self._handler, hung=self._is_hung)
        else:
            self._wires[wire] = Http1(wire, self._http1, hung=self._is_hung)

    def _is_hung(self) -> bool:
        return self._hung
