"""A way between two programs that a test can cut, delay, stall, or make swallow everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random


class Forwarder:
    """Passes bytes on to ``127.0.0.1:target``; ``silent`` keeps connections open and passes nothing on.

    ``delay`` is how many seconds everything is under way, in each direction. ``lost`` of the segments are lost and sent
    again: as TCP does it, they and what follows them come ``resend`` seconds later. While it is ``down`` it takes
    nobody in.
    """

    def __init__(self, target: int, *, seed: int = 0) -> None:
        self.silent = False
        self.down = False
        self.delay = 0.0
        self.lost = 0.0
        self.resend = 0.2
        self.segments = 0
        self._random = Random(seed)
        self.port = 0
        self.accepted = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, host, port)
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
        if self.down:
            writer.transport.abort()
            return
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
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(under_way, writer))
        try:
            while data := await reader.read(65_536):
                if not self.silent:
                    under_way.put_nowait((asyncio.get_running_loop().time() + self._seconds(), data))
        finally:
            delivering.cancel()
        raise ConnectionResetError("one side has ended")

    def _seconds(self) -> float:
        """How long a segment takes."""
        self.segments += 1
        again = 0
        while self._random.random() < self.lost:
            again += 1
        return self.delay + again * self.resend

    @staticmethod
    async def _deliver(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """In the order in which they were sent: what comes after a lost segment waits for it."""
        with suppress(OSError):  # whoever is gone does not read any more
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def forwarding(target: int) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(target)
    await forwarder.start()
    try:
        yield forwarder
    finally:
        await forwarder.stop()
