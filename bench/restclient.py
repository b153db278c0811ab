"""The loading side of ``bench.rest``: HTTP over raw connections, so that the client costs little beside the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Wanted = tuple[str, str, bytes]
"""Method, path, body."""


@dataclass(slots=True)
class Measured:
    """Latencies in seconds, and the time all of it took."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p99(self) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * 0.99)]

    @property
    def mean(self) -> float:
        return sum(self.latencies) / len(self.latencies)

    def add(self, other: Measured) -> None:
        self.latencies += other.latencies
        self.seconds += other.seconds


class Connection:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        return int(answer[9:12]), await self._reader.readexactly(length) if length else b""

    def close(self) -> None:
        self._writer.close()


async def load(port: int, requests: Iterable[Wanted], *, in_flight: int, expect: int, at_most: float) -> Measured:
    """Send ``requests`` over so many connections, one at a time on each; begin none after ``at_most`` seconds."""
    connections = [await Connection.open(port) for _ in range(in_flight)]
    waiting: Iterator[Wanted] = iter(requests)
    measured = Measured()
    began = time.perf_counter()

    async def worker(connection: Connection) -> None:
        for method, path, body in waiting:
            sent = time.perf_counter()
            status, answer = await connection.send(method, path, body)
            ended = time.perf_counter()
            if status != expect:
                raise RuntimeError(f"{method} {path}: {status} {answer[:200]!r}")
            measured.latencies.append(ended - sent)
            if ended - began > at_most:
                return

    await asyncio.gather(*[worker(connection) for connection in connections])
    measured.seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return measured
