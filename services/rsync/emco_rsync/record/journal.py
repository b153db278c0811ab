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
from emco_common.contextbus.api import MAX_TRANSACTION_OPERATIONS, Compare, ContextBus, Entry, Put
from emco_common.contextbus.limits import batches
from emco_common.errors import EmcoError
from emco_rsync.fence import Fence, NotOwner, Unfenced
from emco_rsync.reach.backoff import Backoff

_log = structlog.get_logger()
_UNFENCED = Unfenced()
_AT_ONCE = 16
"""Contexts that are written at a time: a bus that syncs to disk takes many for the price of one."""
REST_SECONDS = 0.1
"""After a write to a context, what follows is gathered for so long, unless somebody waits for it: a transaction costs
the bus and us a millisecond of processor, whatever is in it."""
_BATCH_BYTES = 500_000
"""Weight from which a new transaction is begun; the status of a large app is nearly a megabyte."""


@dataclass(slots=True)
class _Lane:
    """What is to be written to one context, by key, and who waits until so many puts are on the bus."""

    fence: Fence
    puts: dict[str, Put] = field(default_factory=dict)
    accepted: int = 0
    written: int = 0
    busy: bool = False
    waiting: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)
    rest: asyncio.TimerHandle | None = None

    @property
    def due(self) -> bool:
        """Is something to be written now?"""
        hurry = self.rest is None or bool(self.waiting) or len(self.puts) >= MAX_TRANSACTION_OPERATIONS
        return bool(self.puts) and hurry

    def wrote(self, upto: int) -> None:
        self.written = upto
        for wanted, future in self.waiting:
            if wanted <= upto and not future.done():
                future.set_result(None)
        self.waiting = [(wanted, future) for wanted, future in self.waiting if wanted > upto]


@dataclass(frozen=True, slots=True)
class Pen:
    """The journal in the hand of who works on one deployment."""

    journal: Journal
    fence: Fence

    def put(self, context: str, puts: Iterable[Put], *, more: bool = False) -> None:
        self.journal.put(context, puts, fence=self.fence, more=more)

    async def flush(self, *contexts: str) -> None:
        await self.journal.flush(*contexts)


class Journal:
    """``put`` never waits and never fails; ``flush`` waits until the bus has everything that was put before, of some
    contexts or of all. Each context has a lane of its own, so that nobody waits for the writes of others.

    ``gone`` is told of contexts that were written to and do not exist.
    """

    def __init__(
        self,
        bus: ContextBus,
        *,
        backoff: Backoff,
        gone: Callable[[str], None] = lambda context: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rest: float = REST_SECONDS,
    ) -> None:
        self._bus = bus
        self._backoff = backoff
        self._sleep = sleep
        self._gone = gone
        self._resting_time = rest
        self._lanes: dict[str, _Lane] = {}
        self._ready: dict[str, None] = {}
        self._roots: dict[str, int] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._work = asyncio.Event()

    def under(self, fence: Fence) -> Pen:
        return Pen(self, fence)

    def put(self, context: str, puts: Iterable[Put], *, fence: Fence = _UNFENCED, more: bool = False) -> None:
        """All keys must lie in ``context``. ``more`` is about to follow, and may be written with it."""
        found = list(puts)
        if fence.lost or not found:
            return
        lane = self._lanes.get(context)
        if lane is None:
            lane = self._lanes[context] = _Lane(fence)
        elif lane.fence is not fence:  # what was seen under an earlier right does not count now
            lane.fence, lane.puts = fence, {}
        for put in found:
            lane.puts[put.key] = put
            lane.accepted += 1
        if more and lane.rest is None:
            self._rest(context, lane)
        self._see_to(context, lane)

    def saw(self, context: str, entries: Iterable[Entry]) -> None:
        """The keys of a context, as somebody has just read them: its root need not be read once more."""
        root = next(iter(entries), None)
        if root is not None and root.key == keys.root(context):
            self._roots[context] = root.mod_revision

    async def flush(self, *contexts: str) -> None:
        loop, waits = asyncio.get_running_loop(), []
        for context in contexts or tuple(self._lanes):
            lane = self._lanes.get(context)
            if lane is not None and lane.written < lane.accepted:
                future: asyncio.Future[None] = loop.create_future()
                lane.waiting.append((lane.accepted, future))
                waits.append(future)
                self._see_to(context, lane)
        for wait in waits:
            await wait

    async def run(self) -> None:
        """Write until cancelled. Who runs it again, after whatever ended it, loses nothing."""
        self._ready = {context: None for context, lane in self._lanes.items() if lane.puts}
        self._work.set()
        try:
            async with asyncio.TaskGroup() as writers:
                while True:
                    await self._work.wait()
                    self._work.clear()
                    ready, self._ready = self._ready, {}
                    for context in ready:
                        lane = self._lanes[context]
                        lane.busy = True
                        writers.create_task(self._drain(context, lane), name=f"journal {context}")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _drain(self, context: str, lane: _Lane) -> None:
        try:
            while lane.due:
                async with self._turns:
                    await self._write_lane(context, lane)
                self._rest(context, lane)
        finally:
            lane.busy = False
        if not lane.puts:
            lane.wrote(lane.accepted)  # what was put under a right that is lost by now is not waited for

    def _see_to(self, context: str, lane: _Lane) -> None:
        if lane.due and not lane.busy:
            self._ready[context] = None
            self._work.set()

    def _rest(self, context: str, lane: _Lane) -> None:
        if lane.rest is not None:
            lane.rest.cancel()
        lane.rest = asyncio.get_running_loop().call_later(self._resting_time, self._rested, context, lane)

    def _rested(self, context: str, lane: _Lane) -> None:
        lane.rest = None
        self._see_to(context, lane)
        if not (lane.puts or lane.busy):
            del self._lanes[context]

    async def _write_lane(self, context: str, lane: _Lane) -> None:
        fence, upto = lane.fence, lane.accepted
        puts, lane.puts = lane.puts, {}
        try:
            await self._write(context, puts, fence)
        except BaseException:
            if lane.fence is fence:
                lane.puts = puts | lane.puts
            raise
        lane.wrote(upto)

    async def _write(self, context: str, puts: dict[str, Put], fence: Fence) -> None:
        for batch in batches(puts.values(), weight=_BATCH_BYTES):
            attempt = 0
            while not fence.lost:
                try:
                    if not await self._write_batch(context, batch, fence):
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
