"""The worker of one context: takes events off its queue, one after the other, until none is left (rsync 4).

Which event runs is decided anew for each from what lies on the bus. Results are written whatever became of the run
(D2), and an interrupted process finds its event still waiting and runs it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from emco_common.appcontext import codec, keys
from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState, QueueEvent, QueueState
from emco_common.appcontext.status import ContextStatus, QueueElement, decode_status
from emco_common.contextbus.api import ContextBus
from emco_common.errors import EmcoError
from emco_rsync.executor import Executor
from emco_rsync.journal import Journal
from emco_rsync.plan import Plan, make_plan
from emco_rsync.queue import Desk, Queue
from emco_rsync.recorder import Recorder
from emco_rsync.site import Pace
from emco_rsync.states import Transition, transition

_log = structlog.get_logger()

T = TypeVar("T")

STOP_POLL_SECONDS = 1.0
STOPPED = "stopped by request"
MAX_REASON = 4_000


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all workers share."""

    bus: ContextBus
    queue: Queue
    journal: Journal
    executor: Executor
    pace: Pace
    finished: Callable[[str, QueueState], None]
    """Told of each event that is done with."""
    terminated: Callable[[Plan], None]
    """Told of each context of which nothing is left to remove."""

    async def surely(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Done on the bus, however long that is away."""
        failures = 0
        while True:
            try:
                return await operation()
            except EmcoError as error:
                if not error.retriable:
                    raise
                failures += 1
                _log.warning("work_delayed", why=str(error), attempt=failures)
                await self.pace.sleep(self.pace.bus_backoff.delay(failures))


class Worker:
    """``interrupt`` makes the event in progress end early, because a terminate is waiting."""

    def __init__(self, context: str, shop: Workshop) -> None:
        self.context = context
        self._shop = shop
        self._interrupted = asyncio.Event()
        self._woken = False
        self._plan: Plan | None = None

    @property
    def carried_out_any(self) -> bool:
        """Has an event been worked on, and not only looked at?"""
        return self._plan is not None

    def interrupt(self) -> None:
        self._interrupted.set()

    def wake(self) -> None:
        """There is something new in the queue."""
        self._woken = True

    async def run(self) -> bool:
        """Work until the queue is empty. False if the context does not exist any more."""
        queue = self._shop.queue
        try:
            while True:
                self._woken = False
                self._interrupted.clear()  # before the read, so that a terminate is either read or interrupts
                desk = await self._shop.surely(lambda: queue.read(self.context))
                if desk.next is not None:
                    await self._process(desk, desk.next[1])
                elif await self._shop.surely(partial(queue.retire, desk)) and not self._woken:
                    return True
        except ContextNotFound:
            await self._shop.surely(lambda: queue.forget(self.context, live=False))
            return False

    async def _process(self, desk: Desk, element: QueueElement) -> None:
        found = transition(element.event, desk.state)
        if desk.stop:
            await self._finish(element, QueueState.SKIP, state=found.failed if found else None, reason=STOPPED)
        elif found is None or (desk.pending_terminate and element.event != QueueEvent.TERMINATE):
            await self._finish(element, QueueState.SKIP)
        else:
            await self._run(desk, element, found)

    async def _run(self, desk: Desk, element: QueueElement, found: Transition) -> None:
        await self._shop.surely(lambda: self._shop.queue.begin(desk, running=found.running, desired=found.done))
        _log.info("event_started", context=self.context, queued=element.event)
        try:
            reason = await self._until_cut_short(self._carry_out(QueueEvent(element.event)), element)
        except ContextNotFound:
            raise
        except EmcoError as error:
            reason = str(error)
        except Exception:
            _log.exception("event_failed", context=self.context, queued=element.event)
            reason = "internal error; the log of rsync tells more"
        await self._shop.journal.flush()
        if reason:
            await self._finish(element, QueueState.ERROR, state=found.failed, reason=reason[:MAX_REASON])
        else:
            await self._finish(element, QueueState.DONE, state=found.done)

    async def _carry_out(self, event: QueueEvent) -> str:
        """Why the event has failed, or ``""``."""
        plan, recorder, status = await self._shop.surely(lambda: load(self._shop, self.context))
        self._plan = plan
        match event:
            case QueueEvent.INSTANTIATE:
                problems = await self._shop.executor.install(plan, recorder, status)
            case QueueEvent.TERMINATE:
                problems = await self._shop.executor.remove(plan, recorder)
            case _:
                problems = await self._shop.executor.read(plan, recorder)
        return "; ".join(problems)

    async def _until_cut_short(self, work: Awaitable[str], element: QueueElement) -> str:
        """The outcome of the work, unless a stop or a terminate comes first."""
        run = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop_requested(), name=f"stop flag {self.context}")
        waits: set[asyncio.Future[Any]] = {run, stop}
        if element.event != QueueEvent.TERMINATE:
            waits.add(asyncio.create_task(self._interrupted.wait(), name=f"interrupt {self.context}"))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if run.done():
                return run.result()
            return STOPPED if stop.done() else "cut short by a terminate"
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _stop_requested(self) -> None:
        while True:
            await self._shop.pace.sleep(STOP_POLL_SECONDS)
            try:
                if await self._shop.queue.stop_requested(self.context):
                    return
            except EmcoError as error:
                _log.info("stop_flag_not_read", context=self.context, why=str(error))

    async def _finish(
        self, element: QueueElement, result: QueueState, *, state: ContextState | None = None, reason: str = ""
    ) -> None:
        queue = self._shop.queue
        await self._shop.surely(lambda: queue.finish(self.context, element, result, state=state, reason=reason))
        _log.info("event_finished", context=self.context, queued=element.event, result=str(result), why=reason)
        self._shop.finished(element.event, result)
        if state is ContextState.TERMINATED and self._plan is not None:
            self._shop.terminated(self._plan)


async def check(shop: Workshop, context: str) -> None:
    """``ContextNotFound``; ``MalformedContext`` for what could not be worked on."""
    entries = (await shop.bus.range(keys.root(context))).entries
    if not entries or entries[0].key != keys.root(context):
        raise ContextNotFound(context)
    await asyncio.to_thread(codec.decode, entries)


async def load(shop: Workshop, context: str) -> tuple[Plan, Recorder, ContextStatus]:
    """The plan of a context, how to record what is done, and its status context as it is now."""
    entries = (await shop.bus.range(keys.root(context))).entries
    if not entries or entries[0].key != keys.root(context):
        raise ContextNotFound(context)
    plan = await asyncio.to_thread(lambda: make_plan(codec.decode(entries)))
    if plan.status_context != context:
        entries = (await shop.bus.range(keys.root(plan.status_context))).entries
    status = await asyncio.to_thread(decode_status, plan.status_context, entries)
    recorder = Recorder(
        shop.journal,
        context=context,
        status_context=plan.status_context,
        known={entry.key for entry in entries},
        states={place: resource.status for place, resource in status.resources.items()},
    )
    return plan, recorder, status
