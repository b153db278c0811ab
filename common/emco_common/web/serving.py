"""Running one application on one port inside a loop that may run others too."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than clients' pools do, so that no request meets a closing one."""


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides when all its servers stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """``port`` is known after ``start`` also when it was chosen by the system.

    ``app`` may be exchanged while it serves: what is under way ends with the one it began with, and only the first one
    hears of the server's life cycle.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, name: str) -> None:
        self.app = app
        self.host = host
        self.port = port
        self._name = name
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=3,
            timeout_keep_alive=KEEP_ALIVE,
            server_header=False,
        )
        self._server = _Quiet(config)
        self._task: asyncio.Task[None] | None = None

    def _answer(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.app(scope, receive, send)

    async def start(self) -> None:
        """Returns when requests are served. Raises ``OSError`` if the address is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # named TCP, so that asyncio turns Nagle off: with it every answer waits 40 ms for an acknowledgement
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
        except OSError as error:
            listening.close()
            raise OSError(f"{self._name}: port {self.host}:{self.port} cannot be opened: {error.strerror}") from error
        self.port = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name=f"http {self._name}")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError(f"{self._name} did not start; its log tells why")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
            self._task = None
