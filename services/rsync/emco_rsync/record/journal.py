"""Writes what was observed to the bus: in batches, the newest value of a key, nothing lost while the bus is away.

A context that is deleted meanwhile does not come back: each batch holds only while the context's root key is the one
that was read before, and while the deployment is still this process's own. What it had seen of one that is not is
dropped; the next owner looks for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from emco_common.appcontext import keys
from emco_common.contextbus.api import Compare, ContextBus, Put
from emco_common.contextbus.limits import batches
from emco_common.errors import EmcoError
from emco_rsync.concurrent import concurrently
from emco_rsync.fence import Fence, NotOwner, Unfenced
from emco_rsync.reach.backoff import Backoff

_log = structlog.get_logger()
_UNFENCED = Unfenced()
_AT_ONCE = 16
"""Contexts that are written at a time: a bus that syncs to disk takes many for the price of one."""
_BATCH_BYTES = 500_000
"""Weight from which a new transaction is begun; the status of a large app is nearly a megabyte."""


@dataclass(slots=True)
class _Waiting:
    """What is to be written to one context, by key."""

    fence: Fence
    puts: dict[str, Put] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pen:
    """The journal in the hand of who works on one deployment."""

    journal: Journal
    fence: Fence

    def put(self, context: str, puts: Iterable[Put]) -> None:
        self.journal.put(context, puts, fence=self.fence)

    async def flush(self) -> None:
        await self.journal.flush()


class Journal:
    """``put`` never waits and never fails; ``flush`` waits until the bus has everything that was put before.

    ``gone`` is told of contexts that were written to and do not exist.
    """

    def __init__(
        self,
        bus: ContextBus,
        *,
        backoff: Backoff,
        gone: Callable[[str], None] = lambda context: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bus = bus
        self._backoff = backoff
        self._sleep = sleep
        self._gone = gone
        self._pending: dict[str, _Waiting] = {}
        self._roots: dict[str, int] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._work = asyncio.Event()
        self._accepted = 0
        self._written = 0
        self._progress = asyncio.Condition()

    def under(self, fence: Fence) -> Pen:
        return Pen(self, fence)

    def put(self, context: str, puts: Iterable[Put], *, fence: Fence = _UNFENCED) -> None:
        """All keys must lie in ``context``."""
        if fence.lost:
            return
        waiting = self._pending.get(context)
        if waiting is None or waiting.fence is not fence:  # what was seen under an earlier right does not count now
            waiting = self._pending[context] = _Waiting(fence)
        for put in puts:
            waiting.puts[put.key] = put
            self._accepted += 1
        self._work.set()

    async def flush(self) -> None:
        wanted = self._accepted
        async with self._progress:
            await self._progress.wait_for(lambda: self._written >= wanted)

    async def run(self) -> None:
        """Write until cancelled. Who runs it again, after whatever ended it, loses nothing."""
        while True:
            await self._work.wait()
            self._work.clear()
            accepted = self._accepted
            pending, self._pending = self._pending, {}
            try:
                await concurrently(self._write_one(context, pending) for context in list(pending))
            except BaseException:
                self._take_back(pending)
                self._work.set()
                raise
            async with self._progress:
                self._written = accepted
                self._progress.notify_all()

    async def _write_one(self, context: str, pending: dict[str, _Waiting]) -> None:
        async with self._turns:
            await self._write(context, pending[context])
            del pending[context]

    def _take_back(self, pending: dict[str, _Waiting]) -> None:
        for context, waiting in pending.items():
            newer = self._pending.setdefault(context, waiting)
            if newer is not waiting and newer.fence is waiting.fence:
                newer.puts = waiting.puts | newer.puts

    async def _write(self, context: str, waiting: _Waiting) -> None:
        for batch in batches(waiting.puts.values(), weight=_BATCH_BYTES):
            attempt = 0
            while not waiting.fence.lost:
                try:
                    if not await self._write_batch(context, batch, waiting.fence):
                        _log.info("status_dropped", context=context, reason="the context was deleted", keys=len(batch))
                        self._gone(context)
                    break
                except NotOwner:
                    _log.info("status_dropped", context=context, reason="another owns it now", keys=len(batch))
                    break
                except EmcoError as error:
                    if not error.retriable:
                        _log.error("status_not_written", context=context, error=str(error), keys=len(batch))
                        break
                    attempt += 1
                    _log.warning("status_write_delayed", context=context, error=str(error), attempt=attempt)
                    await self._sleep(self._backoff.delay(attempt))

    async def _write_batch(self, context: str, batch: list[Put], fence: Fence) -> bool:
        """False if the context does not exist."""
        while True:
            revision = self._roots.get(context)
            if revision is None:
                root = await self._bus.get(keys.root(context))
                if root is None:
                    return False
                revision = self._roots[context] = root.mod_revision
            when = [Compare(keys.root(context), revision), *fence.guard()]
            if await self._bus.transact(batch, when=when) is not None:
                return True
            await fence.confirm()
            self._roots.pop(context, None)
