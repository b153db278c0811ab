"""``EmbeddedBus``: the context bus for one process, durable in one SQLite file.

Semantics are those of the etcd adapter; one contract suite runs against both. Only one process may have the file
open. A write has happened once its call returns: the disk has it, and a process killed after that finds it again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from emco_common.contextbus.api import BusUnavailable, Compare, Delete, Entry, Event, Lease, Put, Range, UnusableBus
from emco_common.contextbus.embedded import queries
from emco_common.contextbus.embedded.hub import Hub, Subscription
from emco_common.contextbus.embedded.lease import EmbeddedLease
from emco_common.contextbus.embedded.ledger import (
    GrantLease,
    Ledger,
    Outcome,
    Request,
    RevokeLease,
    Transact,
    check_file,
)
from emco_common.contextbus.embedded.reader import Reader
from emco_common.contextbus.embedded.snapshot import snapshot_of
from emco_common.contextbus.embedded.writer import Writer
from emco_common.contextbus.limits import check_transaction, key_bytes, prefix_bytes
from emco_common.errors import BadRequest
from emco_common.filetrouble import told

T = TypeVar("T")

_REPLAY = 1_000
"""Events a watch reads from the history at a time."""


class EmbeddedBus:
    """Made by ``open``; closed by ``close``."""

    def __init__(
        self,
        *,
        writer: Writer,
        reader: Reader,
        hub: Hub,
        clock: Callable[[], float],
        deadline: float,
        stop: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._hub = hub
        self._clock = clock
        self._deadline = deadline
        self._stop = stop
        self._leases: set[EmbeddedLease] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path | str,
        *,
        clock: Callable[[], float] = time.monotonic,
        history: int = 20_000,
        deadline: float = 10.0,
    ) -> Self:
        """Open or create the file. ``:memory:`` is a temporary file, gone with ``close``.

        ``clock`` counts seconds and decides when a lease ends. ``history`` is how many events are kept for watches
        that start in the past. ``deadline`` bounds every call, in seconds. Raises ``BusUnavailable`` when the file
        cannot be used or another process has it, ``UnusableBus`` when it is none of ours or damaged.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(cls._open, str(path), loop=loop, clock=clock, history=history, deadline=deadline)

    @classmethod
    def _open(
        cls, path: str, *, loop: asyncio.AbstractEventLoop, clock: Callable[[], float], history: int, deadline: float
    ) -> Self:
        with ExitStack() as cleanup:
            try:
                if path == ":memory:":
                    folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="contextbus-"))
                    file, durable = Path(folder, "bus.db"), False
                else:
                    file, durable = Path(path), True
                    file.parent.mkdir(parents=True, exist_ok=True)
                cleanup.enter_context(_only_process(file))
                connection = queries.connect(file, durable=durable, check=check_file)
                book = cleanup.enter_context(closing(Ledger(connection, history=history)))
            except UnusableBus as error:
                raise UnusableBus(f"the context bus cannot use {path}: {error}") from error
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                    raise UnusableBus(
                        f"the context bus cannot use {path}: {error}; move the file away, or bring back a copy of it"
                    ) from error
                raise BusUnavailable(f"the context bus cannot use {path}: {told(error)}") from error
            hub = Hub(book.revision)
            writer = Writer(book, loop=loop, publish=lambda batch: hub.publish(batch.events, revision=batch.revision))
            cleanup.callback(writer.stop)
            reader = Reader(file)
            cleanup.callback(reader.stop)
            stop = cleanup.pop_all().close
        return cls(writer=writer, reader=reader, hub=hub, clock=clock, deadline=deadline, stop=stop)

    async def get(self, key: str) -> Entry | None:
        key_bytes(key)
        return await self._read(partial(queries.read_entry, key=key))

    async def range(self, prefix: str, *, keys_only: bool = False, limit: int = 0) -> Range:
        prefix_bytes(prefix)
        return await self._read(partial(queries.read_range, prefix=prefix, keys_only=keys_only, limit=limit))

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Range:
        for key in keys:
            key_bytes(key)
        for prefix in prefixes:
            prefix_bytes(prefix)
        return await self._read(partial(queries.read_together, keys=keys, prefixes=prefixes))

    async def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        self._check_open()
        async with aclosing(snapshot_of(self._reader.path, prefixes, keys_only=keys_only)) as pieces:
            async for piece in pieces:
                yield piece

    async def put(self, key: str, value: bytes, *, lease: int = 0) -> int:
        outcome = await self._transact([Put(key, value, lease)])
        return outcome.revision or 0

    async def delete(self, key: str, *, prefix: bool = False) -> int:
        return (await self._transact([Delete(key, prefix)])).deleted

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        return (await self._transact(operations, when=when)).revision

    async def watch(self, prefix: str, *, start_revision: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        prefix_bytes(prefix)
        self._check_open()
        with self._hub.subscribe(prefix) as subscription:
            position = self._hub.revision
            if start_revision:
                position = start_revision - 1
                subscription.behind = True
            yield ()
            while True:
                events, position = await self._next_events(subscription, prefix, position)
                if events:
                    yield events

    async def lease(self, ttl: float) -> Lease:
        if ttl < 1:
            raise BadRequest(f"a lease lives at least 1 second, not {ttl:g}")
        granted = await self._write(GrantLease())
        lease = EmbeddedLease(granted.lease, ttl=ttl, clock=self._clock, end=self._end_lease)
        self._leases.add(lease)
        return lease

    async def ping(self) -> None:
        await self._read(lambda connection: connection.execute("SELECT revision FROM state").fetchone())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for lease in self._leases:
            lease.abandon()
        self._hub.wake_all()
        await asyncio.to_thread(self._stop)

    async def _next_events(self, subscription: Subscription, prefix: str, position: int) -> tuple[Sequence[Event], int]:
        """The events after revision ``position`` and the revision they reach to; waits for one at least to happen."""
        if not subscription.behind:
            await subscription.wait()
            self._check_open()
            events = [event for event in subscription.take() if event.entry.mod_revision > position]
            return events, events[-1].entry.mod_revision if events else position
        subscription.catch_up()
        history = partial(queries.read_history, prefix=prefix, start=position + 1, limit=_REPLAY)
        events, covered, complete = await self._read(history)
        subscription.behind = subscription.behind or not complete
        return events, covered

    async def _transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> Outcome:
        for operation in (*operations, *when):
            if not (isinstance(operation, Delete) and operation.prefix):
                key_bytes(operation.key)
        check_transaction(operations)
        return await self._write(Transact(operations, when))

    async def _end_lease(self, lease: int) -> None:
        self._leases = {held for held in self._leases if held.id != lease}
        if not self._closed:
            await self._write(RevokeLease(lease))

    async def _write(self, request: Request) -> Outcome:
        self._check_open()
        return await self._within_deadline(self._writer.submit(request))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()
        return await self._within_deadline(self._reader.read(work))

    async def _within_deadline(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline):
                return await work
        except TimeoutError:
            raise BusUnavailable(f"the context bus did not answer within {self._deadline:g} s") from None

    def _check_open(self) -> None:
        if self._closed:
            raise BusUnavailable("the context bus is closed")


@contextmanager
def _only_process(file: Path) -> Iterator[None]:
    """Hold the file for this process alone; the kernel lets go when the process ends, however it ends."""
    descriptor = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BusUnavailable(f"the context bus {file} is in use by another process") from error
    finally:
        os.close(descriptor)
