"""Serving gRPC: one server per process part, errors of the tree turned into status codes."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import structlog
from grpc import aio

from emco_common.errors import EmcoError

_log = structlog.get_logger()
_UNLIMITED = [("grpc.max_send_message_length", -1)]
_ALONE = ("grpc.so_reuseport", 0)
"""Without it a second process gets the same port, and half of the calls."""
_KEEPALIVE = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
]
"""A client that vanished without a word is noticed after 40 s, and its streams end; clients may do likewise."""


class GrpcServer:
    """A gRPC server on one address; ``port`` is known after ``start`` also when it was chosen by the system.

    ``credentials`` make it speak TLS. ``max_message`` bytes are the most that it takes at once from whoever comes.
    ``stopping`` is called before it stops, to end what would not end by itself. ``interceptors`` see every call before
    errors become status codes, the first one first.
    """

    def __init__(
        self,
        host: str,
        port: int,
        register: Callable[[aio.Server], None],
        *,
        credentials: grpc.ServerCredentials | None = None,
        max_message: int = -1,
        stopping: Callable[[], None] | None = None,
        interceptors: Sequence[aio.ServerInterceptor] = (),
    ) -> None:
        self._host = host
        self.port = port
        self._register = register
        self._credentials = credentials
        self._limits = [*_UNLIMITED, ("grpc.max_receive_message_length", max_message)]
        self._stopping = stopping
        self._interceptors = [*interceptors, _ErrorInterceptor()]
        self._server: aio.Server | None = None

    async def start(self) -> None:
        """Raises ``OSError`` if the address is taken."""
        self._look_at_port()
        self._server = aio.server(interceptors=self._interceptors, options=[*self._limits, *_KEEPALIVE, _ALONE])
        self._register(self._server)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            address = f"{host}:{self.port}"
            self.port = (
                self._server.add_insecure_port(address)
                if self._credentials is None
                else self._server.add_secure_port(address, self._credentials)
            )
        except RuntimeError as error:
            raise OSError(f"gRPC port {self._host}:{self.port} cannot be opened: {error}") from error
        await self._server.start()

    def _look_at_port(self) -> None:
        """gRPC's own library prints lines of its own about a taken port, and none about why."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self.port))
            except OSError as error:
                raise OSError(f"gRPC port {self._host}:{self.port} cannot be opened: {error.strerror}") from error

    async def stop(self, grace: float = 2.0) -> None:
        if self._server is not None:
            if self._stopping is not None:
                self._stopping()
            await self._server.stop(grace)
            self._server = None


class _ErrorInterceptor(aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Unary methods end with status UNKNOWN and the text of the error, as the original's clients expect (rsync 2)."""

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        async def call(request: Any, context: Any) -> Any:
            try:
                return await handler.unary_unary(request, context)
            except EmcoError as error:
                code = error.code if error.retriable else grpc.StatusCode.UNKNOWN
                await context.abort(code, str(error))
            except aio.AbortError:
                raise
            except Exception:
                _log.exception("rpc_failed", method=details.method)
                await context.abort(grpc.StatusCode.INTERNAL, "internal error; the log of the service tells more")

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )
