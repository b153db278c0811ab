"""A process that does one thing at a time for the measurement: a line of JSON asks, a line of JSON answers."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Deed = Callable[..., Awaitable[Any]]
LIMIT = 256 * 1024 * 1024
"""Bytes of one line: a command may carry thousands of kubeconfigs."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Child:
    """A running process and how to ask it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, do: str, *, within: float = 600, **arguments: Any) -> Any:
        """What the process answers; the measurement ends if it cannot do it, or not in time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise SystemExit(f"{do} took longer than {within:g} s") from None
        answer = json.loads(line or b'{"error": "the process ended"}')
        if "error" in answer:
            raise SystemExit(f"{do}: {answer['error']}")
        return answer["done"]

    def memory(self) -> float:
        """Resident megabytes."""
        return resident(self.pid)


def resident(pid: int) -> float:
    """Resident megabytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def descriptors(pid: int) -> int:
    """How many files and connections it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Child]:
    """``python -m module``; gone at the end, whatever it is at."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        limit=LIMIT,
    )
    try:
        yield Child(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def serve(deeds: Mapping[str, Deed]) -> None:
    """The other end: do what is asked until the asker is gone."""
    reader = asyncio.StreamReader(limit=LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        asked: Json = json.loads(line)
        answer: Json
        try:
            answer = {"done": await deeds[asked.pop("do")](**asked)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def processor_seconds() -> float:
    """Of this process so far, its children apart."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
