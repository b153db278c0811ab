"""One thread that writes to one SQLite database, many callers to a commit.

Callers hand in functions of a connection. All that wait at one moment run in one transaction, each inside a savepoint
of its own: a caller's failure undoes only its own work, and one fsync serves them all. No caller learns of success
before the commit is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from emco_common.store.api import StoreUnavailable

T = TypeVar("T")

MAX_BATCH = 256  # enough to amortise an fsync, small enough that the first caller of a batch does not wait for long


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class GroupCommitWriter:
    """Owns ``connection`` (which must be in autocommit mode) and the thread that uses it."""

    def __init__(self, connection: sqlite3.Connection, *, name: str) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closing = False
        self._lock = threading.Lock()
        self._thread.start()

    async def write(self, work: Callable[[sqlite3.Connection], T], *, timeout: float) -> T:
        """Run ``work`` in the writer thread and answer what it answered, once it is durable.

        ``timeout`` is in seconds; passed, ``StoreUnavailable``: the work is dropped if it has not begun, else its
        outcome is unknown, as with any database. What ``work`` raises comes back after its changes were undone.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work=work, loop=loop, future=loop.create_future())
        with self._lock:
            if self._closing:
                raise StoreUnavailable("The document store is closed")
            self._jobs.put(job)
        try:
            async with asyncio.timeout(timeout):
                result: T = await job.future
        except TimeoutError:
            raise StoreUnavailable(f"The document store did not write within {timeout:g} s") from None
        return result

    async def close(self) -> None:
        """Finish what was handed in, then end the thread and close the connection."""
        with self._lock:
            if not self._closing:
                self._closing = True
                self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if batch:
                self._commit(batch)
                _deliver(batch)
        self._connection.close()

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            if not job.future.cancelled():
                batch.append(job)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Job]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._run_in_savepoint(job)
            connection.execute("COMMIT")
        except Exception as error:  # disk full, I/O error, locked by another process: nobody's work is durable
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = error

    def _run_in_savepoint(self, job: _Job) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            job.error = error
            if not connection.in_transaction:  # SQLite gave up the whole transaction by itself
                raise
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")


def _deliver(batch: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, jobs)
        except RuntimeError:  # the caller's loop is closed: nobody waits for the answer
            continue


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
