"""The worker of one context: takes events off its queue, one after the other, until none is left (rsync 4).

Which event runs is decided anew for each from what lies on the bus. Results are written whatever became of the run
(D2), and an interrupted process finds its event still waiting and runs it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState, QueueEvent, QueueState
from emco_common.appcontext.status import QueueElement
from emco_common.contextbus.api import ContextBus
from emco_common.errors import EmcoError
from emco_rsync.concurrent import Turns
from emco_rsync.executor import Executor
from emco_rsync.journal import Journal
from emco_rsync.loading import Loaded, load, load_deployment
from emco_rsync.plan import Plan
from emco_rsync.queue import Desk, Queue
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
    turns: Turns = field(default_factory=Turns)
    """All contexts of a deployment write to the same places, so one works at a time."""

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failure`` is why the event has failed; ``left`` what could not be removed after it had succeeded."""

    failure: str = ""
    left: str = ""


class Worker:
    """``interrupt`` makes the event in progress end early, because something else is to be done instead."""

    def __init__(self, context: str, shop: Workshop) -> None:
        self.context = context
        self._shop = shop
        self._interrupted = asyncio.Event()
        self._why = ""
        self._woken = False
        self._plan: Plan | None = None

    @property
    def carried_out_any(self) -> bool:
        """Has an event been worked on, and not only looked at?"""
        return self._plan is not None

    def interrupt(self, why: str) -> None:
        self._why = why
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
                desk = await self._read()
                if desk.next is not None:
                    async with self._shop.turns.of({self.context, desk.status_context, *desk.replaced}):
                        self._interrupted.clear()  # before the read, so that what interrupts is read, or does
                        desk = await self._read()
                        if desk.next is not None:
                            await self._process(desk, desk.next[1])
                elif await self._shop.surely(partial(queue.retire, desk)) and not self._woken:
                    return True
        except ContextNotFound:
            await self._shop.surely(lambda: queue.forget(self.context, live=False))
            return False

    async def _read(self) -> Desk:
        return await self._shop.surely(lambda: self._shop.queue.read(self.context))

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
        await self._mark_replaced(element, ContextState.UPDATING)
        _log.info("event_started", context=self.context, queued=element.event)
        try:
            outcome = await self._until_cut_short(self._carry_out(desk, QueueEvent(element.event)), element)
        except ContextNotFound:
            raise
        except EmcoError as error:
            outcome = Outcome(str(error))
        except Exception:
            _log.exception("event_failed", context=self.context, queued=element.event)
            outcome = Outcome("internal error; the log of rsync tells more")
        await self._shop.journal.flush()
        await self._conclude(element, found, outcome)

    async def _conclude(self, element: QueueElement, found: Transition, outcome: Outcome) -> None:
        if outcome.failure:
            why = f"the update to context {self.context} failed: {outcome.failure}"
            await self._mark_replaced(element, ContextState.UPDATE_FAILED, reason=why[:MAX_REASON])
            await self._finish(element, QueueState.ERROR, state=found.failed, reason=outcome.failure[:MAX_REASON])
        elif outcome.left:
            await self._mark_replaced(element, ContextState.UPDATE_FAILED, reason=outcome.left[:MAX_REASON])
            why = f"not removed: {outcome.left}"
            await self._finish(element, QueueState.ERROR, state=found.done, reason=why[:MAX_REASON])
        else:
            await self._mark_replaced(element, ContextState.UPDATED)
            await self._finish(element, QueueState.DONE, state=found.done)

    async def _mark_replaced(self, element: QueueElement, state: ContextState, *, reason: str = "") -> None:
        """The context that an update replaces shows how far that has come."""
        old = element.update_context
        if old and old != self.context:
            await self._shop.surely(lambda: self._shop.queue.mark(old, state, reason=reason))

    async def _carry_out(self, desk: Desk, event: QueueEvent) -> Outcome:
        loaded = await self._shop.surely(lambda: load(self._shop.bus, self._shop.journal, self.context))
        self._plan = loaded.plan
        match event:
            case QueueEvent.INSTANTIATE:
                problems = await self._shop.executor.install(loaded.plan, loaded.recorder, loaded.status)
            case QueueEvent.TERMINATE:
                problems = await self._remove(desk, loaded)
            case QueueEvent.UPDATE | QueueEvent.ROLLBACK:
                return await self._update(desk, loaded)
            case _:
                problems = await self._shop.executor.read(loaded.plan, loaded.recorder)
        return Outcome("; ".join(problems))

    async def _update(self, desk: Desk, loaded: Loaded) -> Outcome:
        """Everything is brought before anything goes (D11)."""
        deployment = await self._shop.surely(lambda: load_deployment(self._shop.bus, loaded, desk.replaced))
        failures = await self._shop.executor.update(deployment, loaded.recorder)
        if failures:
            return Outcome("; ".join(failures))
        left = await self._shop.executor.prune(deployment, deployment.leftovers(), loaded.recorder)
        return Outcome(left="; ".join(left))

    async def _remove(self, desk: Desk, loaded: Loaded) -> list[str]:
        """Whatever any revision of the deployment has left, and what the present one brought (lifecycle defect 29)."""
        deployment = await self._shop.surely(lambda: load_deployment(self._shop.bus, loaded, desk.replaced))
        return await self._shop.executor.remove(deployment, deployment.leftovers(), loaded.recorder)

    async def _until_cut_short(self, work: Awaitable[Outcome], element: QueueElement) -> Outcome:
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
            return Outcome(STOPPED if stop.done() else self._why)
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
