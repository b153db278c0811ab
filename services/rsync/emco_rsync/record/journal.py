"""Writes what was observed to the bus: in batches, the newest value of a key, nothing lost while the bus is away.

A context that is deleted meanwhile does not come back: each batch holds only while the context's root key is the one
that was read before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from emco_common.appcontext import keys
from emco_common.contextbus.api import Compare, ContextBus, Put
from emco_common.contextbus.limits import batches
from emco_common.errors import EmcoError
from emco_rsync.reach.backoff import Backoff

_log = structlog.get_logger()
_BATCH_BYTES = 500_000
"""Weight from which a new transaction is begun; the status of a large app is nearly a megabyte."""


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
        self._pending: dict[str, dict[str, Put]] = {}
        self._roots: dict[str, int] = {}
        self._work = asyncio.Event()
        self._accepted = 0
        self._written = 0
        self._progress = asyncio.Condition()

    def put(self, context: str, puts: Iterable[Put]) -> None:
        """All keys must lie in ``context``."""
        waiting = self._pending.setdefault(context, {})
        for put in puts:
            waiting[put.key] = put
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
                for context in list(pending):
                    await self._write(context, list(pending[context].values()))
                    del pending[context]
            except BaseException:
                for context, puts in pending.items():
                    self._pending[context] = puts | self._pending.get(context, {})
                self._work.set()
                raise
            async with self._progress:
                self._written = accepted
                self._progress.notify_all()

    async def _write(self, context: str, puts: list[Put]) -> None:
        for batch in batches(puts, weight=_BATCH_BYTES):
            attempt = 0
            while True:
                try:
                    if not await self._write_batch(context, batch):
                        _log.info("status_dropped", context=context, reason="the context was deleted", keys=len(batch))
                        self._gone(context)
                    break
                except EmcoError as error:
                    if not error.retriable:
                        _log.error("status_not_written", context=context, error=str(error), keys=len(batch))
                        break
                    attempt += 1
                    _log.warning("status_write_delayed", context=context, error=str(error), attempt=attempt)
                    await self._sleep(self._backoff.delay(attempt))

    async def _write_batch(self, context: str, batch: list[Put]) -> bool:
        """False if the context does not exist."""
        while True:
            revision = self._roots.get(context)
            if revision is None:
                root = await self._bus.get(keys.root(context))
                if root is None:
                    return False
                revision = self._roots[context] = root.mod_revision
            if await self._bus.transact(batch, when=[Compare(keys.root(context), revision)]) is not None:
                return True
            self._roots.pop(context, None)
