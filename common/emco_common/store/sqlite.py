"""The embedded document store: one SQLite file, nothing to install.

Writes go through one thread that commits for many callers at once; reads have connections of their own and never wait
for the writer (WAL): lists in threads, single documents where they are asked for. Several processes may share the
file. A process that is killed loses nothing that was answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import sqlite3
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from emco_common.errors import TooLarge
from emco_common.filetrouble import told
from emco_common.store import sqlite_blobs as blobs
from emco_common.store import sqlite_rows as rows
from emco_common.store.api import BodyText, Document, Key, ListText, StoreUnavailable, kind_of
from emco_common.store.encoding import path_of
from emco_common.store.groupcommit import GroupCommitWriter
from emco_common.store.sqlite_schema import connect, prepare

T = TypeVar("T")

READERS = 4  # reads are CPU under one interpreter lock; more threads only add switches
TIMEOUT = 30.0  # seconds; a healthy store answers within milliseconds, 30 s are a disk in trouble
PING_TIMEOUT = 2.0
PIECE = 500  # documents of a snapshot at a time


class SqliteStore:
    """A ``DocumentStore`` in one file. Make it with ``open``."""

    def __init__(self, path: Path, *, writer: GroupCommitWriter, clock: Callable[[], float]) -> None:
        self._path = path
        self._writer = writer
        self._clock = clock
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._at_hand = connect(path)
        self._at_hand.execute("PRAGMA busy_timeout=0")
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, clock: Callable[[], float] = time.time) -> SqliteStore:
        """Open or create the file, and its folder.

        ``UnusableDatabase`` for a file of another program or of a newer EMCO; ``StoreUnavailable`` if it cannot be had.
        """
        async with _explained():
            connection = await asyncio.to_thread(prepare, path)
            store = cls(path, writer=GroupCommitWriter(connection, name=f"store-writer {path.name}"), clock=clock)
            await store._write(lambda c: blobs.sweep(c, now=clock()))
        return store

    async def create(self, document: Document, *, parent: Key | None = None) -> Document:
        new = rows.prepared(document)
        parent_path = None if parent is None else path_of(parent)
        return await self._write(lambda c: rows.insert(c, new, parent=parent_path))

    async def get(self, key: Key) -> Document | None:
        path = path_of(key)
        return await self._read_one(lambda c: rows.read(c, path))

    async def get_text(self, key: Key) -> BodyText | None:
        path = path_of(key)
        return await self._read_one(lambda c: rows.read_text(c, path))

    async def list(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> Sequence[Document]:
        wanted = _wanted(names, within, limit, after)
        return await self._read(lambda c: rows.select(c, wanted))

    async def referrers(self, names: Iterable[str], target: Key) -> Sequence[Document]:
        kind, path = kind_of(names), path_of(target)
        return await self._read(lambda c: rows.referrers(c, kind=kind, path=path))

    async def list_texts(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> ListText:
        wanted = _wanted(names, within, limit, after)
        return await self._read(lambda c: rows.select_texts(c, wanted))

    async def replace(self, document: Document, *, expected: int | None = None) -> Document:
        new = rows.prepared(document)
        return await self._write(lambda c: rows.update(c, new, expected=expected))

    async def delete(self, key: Key, *, expected: int | None = None) -> None:
        wanted = dict(key)
        await self._write(lambda c: rows.remove(c, wanted, expected=expected))

    async def put_blob(self, content: bytes) -> str:
        size = len(content)
        if size > blobs.MAX_BLOB:
            raise TooLarge(f"The content has {size} bytes; the limit is {blobs.MAX_BLOB}")
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        if await self._read(lambda c: blobs.exists(c, digest)):
            return digest
        upload, now = uuid.uuid4().hex, self._clock()
        await self._write(lambda c: blobs.begin(c, upload=upload, now=now))
        for group in blobs.pieces(content):
            await self._write(lambda c, group=group: blobs.add(c, group, upload=upload))  # type: ignore[misc]
        await self._write(lambda c: blobs.finish(c, upload=upload, digest=digest, size=size))
        return digest

    async def get_blob(self, digest: str) -> bytes:
        return await self._read(lambda c: blobs.read(c, digest))

    async def delete_blob(self, digest: str) -> None:
        await self._write(lambda c: blobs.remove(c, digest))

    async def snapshot(self) -> AsyncGenerator[Sequence[Document], None]:
        if self._closed:
            raise StoreUnavailable("The document store is closed")
        async with _explained():
            connection = await asyncio.to_thread(connect, self._path)
            try:
                connection.execute("BEGIN")  # what is written after the first row was read is not seen
                found = await asyncio.to_thread(connection.execute, rows.EVERYTHING)
                while piece := await asyncio.to_thread(found.fetchmany, PIECE):
                    yield [rows.decoded(*row) for row in piece]
            finally:
                connection.close()

    async def clear(self) -> None:
        await self._write(rows.clear)

    async def ping(self) -> None:
        await self._read(lambda c: c.execute("SELECT 1 FROM documents LIMIT 1").fetchone(), timeout=PING_TIMEOUT)

    async def close(self) -> None:
        """Finish the writes handed in so far; every later call raises ``StoreUnavailable``."""
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        await asyncio.to_thread(self._threads.shutdown)
        while not self._idle.empty():
            self._idle.get_nowait().close()
        self._at_hand.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with _explained():
            return await self._writer.write(work, timeout=TIMEOUT)

    async def _read(self, work: Callable[[sqlite3.Connection], T], *, timeout: float = TIMEOUT) -> T:
        if self._closed:
            raise StoreUnavailable("The document store is closed")
        async with _explained():
            reading = asyncio.get_running_loop().run_in_executor(self._threads, self._with_reader, work)
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
                async with asyncio.timeout(timeout):
                    return await reading
            except TimeoutError:
                raise StoreUnavailable(f"The document store did not answer within {timeout:g} s") from None

    async def _read_one(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """For one row by its key. That takes less than handing it to a thread does, so it is done at once.

        It never waits: where SQLite would (a file that is being recovered, another process closing it), a thread does.
        """
        if not self._closed:
            with suppress(sqlite3.DatabaseError):  # where there is more to it, the thread meets it too
                return work(self._at_hand)
        return await self._read(work)

    def _with_reader(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = connect(self._path)
        connection.execute("BEGIN")  # one snapshot for all statements of ``work``
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")
            self._idle.put(connection)


def _wanted(names: Iterable[str], within: Key, limit: int | None, after: str | None) -> rows.Wanted:
    return rows.Wanted(kind_of(names), dict(within), limit, 0 if after is None else rows.number_of(after))


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Turn what SQLite raises into the store's own error, with SQLite's reason."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"The document store cannot be used: {told(error)}") from error
