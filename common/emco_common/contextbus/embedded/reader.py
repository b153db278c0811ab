"""A few threads that read the file of the embedded bus, each over a connection of its own: no read waits on a write."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from emco_common.contextbus.api import BusUnavailable
from emco_common.contextbus.embedded.queries import connect
from emco_common.filetrouble import told

T = TypeVar("T")

_THREADS = 4


class Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._mine = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="contextbus-reader")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a thread. An SQLite error comes as ``BusUnavailable``."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, work)
        except sqlite3.Error as error:
            raise BusUnavailable(f"the context bus could not read its file: {told(error)}") from error

    def stop(self) -> None:
        """Blocks until running reads are done; not for the event loop."""
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = connect(self.path, durable=False)
            self._mine.connection = connection
            self._connections.append(connection)
        return work(connection)
