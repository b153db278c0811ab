"""A way between two programs that a test can cut, or make swallow everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Forwarder:
    """Passes bytes on to ``127.0.0.1:target``; ``silent`` keeps connections open and passes nothing on."""

    def __init__(self, target: int) -> None:
        self.silent = False
        self.port = 0
        self.accepted = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def lead(self, target: int) -> None:
        """New connections go there from now on."""
        self._target = target

    def cut(self) -> None:
        """Reset every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        with suppress(OSError):
            inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, outer}
            try:
                await asyncio.gather(self._pass(reader, outer), self._pass(inner, writer))
            finally:
                for one in (writer, outer):
                    self._writers.discard(one)
                    one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.silent:
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError("one side has ended")


@asynccontextmanager
async def forwarding(target: int) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(target)
    await forwarder.start()
    try:
        yield forwarder
    finally:
        await forwarder.stop()
