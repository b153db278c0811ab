"""The worker of one context: takes events off its queue, one after the other, until none is left (rsync 4).

Which event runs is decided anew for each from what lies on the bus. Results are written whatever became of the run
(D2), and an interrupted process finds its event still waiting and runs it again. One that has lost the deployment to
another process ends without a word (``NotOwner``): the other one finds the event as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState, HookPhase, QueueEvent, QueueState, ResourceState
from emco_common.appcontext.status import QueueElement
from emco_common.contextbus.api import ContextBus
from emco_common.errors import EmcoError
from emco_common.tracing.origin import on_behalf_of
from emco_common.tracing.spans import NOTHING, Facts, Kind, Span, Tracing, here, untraced, within
from emco_common.tracing.wire import caller_in
from emco_rsync.apply.executor import Executor
from emco_rsync.apply.leaving import Removal
from emco_rsync.apply.site import Pace
from emco_rsync.concurrent import Turns
from emco_rsync.events.givenup import GivenUp
from emco_rsync.events.loading import Checked, Loaded, load, load_deployment
from emco_rsync.events.queue import SUPERSEDED, Desk, Queue, beginning
from emco_rsync.events.states import Transition, transition
from emco_rsync.fence import Fence, NotOwner
from emco_rsync.plan.plan import Plan
from emco_rsync.record.journal import Journal

_log = structlog.get_logger()

T = TypeVar("T")

STOP_POLL_SECONDS = 1.0
STOPPED = "stopped by request"
MAX_REASON = 4_000
TERMINATED = "cut short by a terminate"
LOADED_AT_ONCE = 16
"""Contexts with work that are read from the bus at a time, however many there are to begin with."""
RECALLED_AT_ONCE = 4
"""Contexts that are only to be watched again. There may be very many, and new work is not to wait behind them."""


Places = Mapping[tuple[str, str], frozenset[str]]
"""Resources by app and cluster."""


class Heal(Protocol):
    """Brings what has drifted back to what the plan says, which is all that it has; answers what could not be. Not
    done where the deployment does not ask for it."""

    async def __call__(self, plan: Plan) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Fresh:
    """What was read of a context, on which nobody had ever worked, as its first event was queued. ``checked`` is all
    of it."""

    desk: Desk
    checked: Checked | None = field(default=None, repr=False)


class Home(Protocol):
    """The deployment that a worker works for."""

    @property
    def fence(self) -> Fence: ...

    def terminated(self, plan: Plan) -> None:
        """Nothing of the context is left to remove."""
        ...

    def left(self, places: list[tuple[str, str]]) -> None:
        """An update has left nothing of an app at these places (deployment label, cluster)."""
        ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all workers share."""

    bus: ContextBus
    queue: Queue
    journal: Journal
    executor: Executor
    pace: Pace
    finished: Callable[[str, QueueState, float | None], None]
    """Told of each event that is done with, and of the seconds since it was begun, if it was."""
    turns: Turns = field(default_factory=Turns)
    """All contexts of a deployment write to the same places, so one works at a time."""
    heal: Heal | None = None
    """Where drift can be healed."""
    tracing: Tracing | None = None
    loads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOADED_AT_ONCE))
    recalls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RECALLED_AT_ONCE))

    def span(self, name: str, trace: str, facts: Facts) -> AbstractContextManager[Span]:
        """What is done within is part of this trace, or of one of its own."""
        if self.tracing is None:
            return nullcontext(NOTHING)
        return within(self.tracing.begin(name, Kind.CONSUMER, caller=caller_in(trace), facts=facts))

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

    async def load(self, context: str, *, fence: Fence, checked: Checked | None = None) -> Loaded:
        """``checked``: the context, where it was read a moment ago."""
        async with self.loads:
            return await self.surely(lambda: load(self.bus, self.journal, context, fence=fence, checked=checked))


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failure`` is why the event has failed; ``left`` what could not be removed after it had succeeded, and
    ``remark`` what is to be known although it has."""

    failure: str = ""
    left: str = ""
    remark: str = ""


class Worker:
    """``interrupt`` makes the event in progress end early, because something else is to be done instead."""

    def __init__(self, context: str, shop: Workshop, home: Home, *, fresh: Fresh | None = None) -> None:
        self.context = context
        self._fresh = fresh
        self._checked: Checked | None = None
        self._shop = shop
        self._home = home
        self._fence = home.fence
        self._interrupted = asyncio.Event()
        self._why = ""
        self._given_up = GivenUp()
        self._woken = False
        self._at: QueueElement | None = None
        self._began: float | None = None
        self._plan: Plan | None = None

    @property
    def at_work(self) -> bool:
        """Is an event being carried out? Then what changes in the queue may concern it."""
        return self._at is not None

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
        self._fresh = None

    async def glance(self) -> None:
        """Somebody has changed the queue, perhaps through another process: is what we are at still wanted?"""
        try:
            desk = await self._read()
        except ContextNotFound:
            return  # the work itself will find out
        if self._at is not None and (desk.next is None or desk.next[1] != self._at):
            self.interrupt(SUPERSEDED)
        elif any(element.event == QueueEvent.TERMINATE for element in desk.waiting):
            self.interrupt(TERMINATED)

    async def run(self) -> bool:
        """Work until the queue is empty. False if the context does not exist any more. ``NotOwner``."""
        queue = self._shop.queue
        try:
            while True:
                self._woken = False
                self._interrupted.clear()  # before the read, so that what interrupts is read, or does
                desk = await self._first_look()
                if desk.next is None:
                    done = await self._shop.surely(partial(queue.retire, desk, fence=self._fence))
                else:
                    done = await self._in_turn(desk)
                if done and not self._woken:
                    return True
        except ContextNotFound:
            await self._shop.surely(lambda: queue.forget(self.context, fence=self._fence, live=False))
            return False

    async def _first_look(self) -> Desk:
        fresh, self._fresh = self._fresh, None
        self._checked = fresh.checked if fresh is not None else None
        return fresh.desk if fresh is not None else await self._read()

    async def _in_turn(self, desk: Desk) -> bool:
        """Do what comes next, when nobody else works on the deployment. True if it was the last."""
        names = {self.context, desk.status_context, *desk.replaced}
        waits = self._shop.turns.taken(names)
        async with self._shop.turns.of(names):
            if waits:
                self._checked = None
                self._interrupted.clear()
                desk = await self._read()
            return desk.next is not None and await self._process(desk, desk.next[1])

    async def _read(self) -> Desk:
        return await self._shop.surely(lambda: self._shop.queue.read(self.context))

    async def _process(self, desk: Desk, element: QueueElement) -> bool:
        found = transition(element.event, desk.state)
        if desk.stop:
            failed = found.failed if found else None
            return await self._finish(desk, element, QueueState.SKIP, state=failed, reason=STOPPED)
        if found is None or (desk.pending_terminate and element.event != QueueEvent.TERMINATE):
            return await self._finish(desk, element, QueueState.SKIP)
        return await self._run(desk, element, found)

    async def _run(self, desk: Desk, element: QueueElement, found: Transition) -> bool:
        """For whoever asked for it, also after a restart: a new span below the same one."""
        facts: Facts = {
            "emco.service": "rsync",
            "emco.context": self.context,
            "emco.event": element.event,
            "emco.again": desk.state is found.running,
            "emco.request_id": element.request,
        }
        with on_behalf_of(element.request), self._shop.span(f"deliver {element.event}", element.trace, facts):
            return await self._run_event(desk, element, found)

    async def _run_event(self, desk: Desk, element: QueueElement, found: Transition) -> bool:
        self._given_up = GivenUp(desk.given_up)
        self._at, self._began = element, self._shop.pace.clock()
        again = desk.state is found.running
        loaded = None if again else await self._forget_hooks(element)
        await self._mark_replaced(element, ContextState.UPDATING)
        # On the bus before anything is sent to a cluster, with whatever is told of the clusters until then.
        begun = beginning(self.context, running=found.running, desired=found.done)
        self._shop.journal.put(self.context, begun, fence=self._fence, more=True)
        _log.info("event_started", context=self.context, queued=element.event)
        try:
            outcome = await self._until_cut_short(self._carry_out(desk, element, loaded, again=again), element)
        except (ContextNotFound, NotOwner):
            raise
        except EmcoError as error:
            outcome = Outcome(str(error))
        except Exception:
            _log.exception("event_failed", context=self.context, queued=element.event)
            outcome = Outcome("internal error; the log of rsync tells more")
        finally:
            self._at = None
        await self._shop.journal.flush(self.context, desk.status_context)
        return await self._conclude(desk, element, found, outcome)

    async def _conclude(self, desk: Desk, element: QueueElement, found: Transition, outcome: Outcome) -> bool:
        if self._replaces(element):
            desk = await self._read()
            if desk.next is None or desk.next[1] != element:
                _log.info("event_superseded", context=self.context, queued=element.event)
                return False  # an update has taken its place, and said so of all contexts concerned
        if outcome.failure:
            here().fail("failed")
            why = f"the update to context {self.context} failed: {outcome.failure}"
            await self._mark_replaced(element, ContextState.UPDATE_FAILED, reason=why[:MAX_REASON])
            reason = outcome.failure[:MAX_REASON]
            return await self._finish(desk, element, QueueState.ERROR, state=found.failed, reason=reason)
        if outcome.left:
            here().fail("left")
            await self._mark_replaced(element, ContextState.UPDATE_FAILED, reason=outcome.left[:MAX_REASON])
            why = f"not removed: {outcome.left}"
            return await self._finish(desk, element, QueueState.ERROR, state=found.done, reason=why[:MAX_REASON])
        await self._mark_replaced(element, ContextState.UPDATED)
        return await self._finish(desk, element, QueueState.DONE, state=found.done, reason=outcome.remark[:MAX_REASON])

    async def _mark_replaced(self, element: QueueElement, state: ContextState, *, reason: str = "") -> None:
        """The context that an update replaces shows how far that has come."""
        if self._replaces(element):
            old = element.update_context
            await self._shop.surely(lambda: self._shop.queue.mark(old, state, fence=self._fence, reason=reason))

    def _replaces(self, element: QueueElement) -> bool:
        return element.update_context not in ("", self.context)

    async def _carry_out(self, desk: Desk, element: QueueElement, loaded: Loaded | None, *, again: bool) -> Outcome:
        """``loaded`` if that was done before and has not changed since."""
        loaded, executor = loaded or await self._load(), self._shop.executor
        self._plan = loaded.plan
        match element.event:
            case QueueEvent.INSTANTIATE:
                deployment = await self._shop.surely(lambda: load_deployment(self._shop.bus, loaded, ()))
                problems = await executor.install(deployment, loaded.recorder, given_up=self._given_up, again=again)
                return Outcome("; ".join(problems), remark="; ".join(self._given_up.remarks))
            case QueueEvent.TERMINATE:
                removal = await self._removal(desk, loaded)
                problems = await removal.remove()
                return Outcome("; ".join(problems), remark="; ".join(removal.remarks))
            case QueueEvent.UPDATE | QueueEvent.ROLLBACK:
                return await self._update(desk, element, loaded, again=again)
            case _:
                problems = await executor.read(loaded.plan, loaded.recorder)
        return Outcome("; ".join(problems))

    async def _update(self, desk: Desk, element: QueueElement, loaded: Loaded, *, again: bool) -> Outcome:
        """Everything is brought before anything goes (D11)."""
        executor, rollback = self._shop.executor, element.event == QueueEvent.ROLLBACK
        removal = await self._removal(desk, loaded, first=not again)
        failures = await executor.update(
            removal.deployment, loaded.recorder, given_up=self._given_up, rollback=rollback, again=again
        )
        if failures:
            return Outcome("; ".join(failures))
        left = await removal.prune()
        self._home.left(removal.left)
        return Outcome(left="; ".join(left), remark="; ".join([*self._given_up.remarks, *removal.remarks]))

    async def _removal(self, desk: Desk, loaded: Loaded, *, first: bool = False) -> Removal:
        deployment = await self._shop.surely(
            lambda: load_deployment(self._shop.bus, loaded, desk.replaced, first=first)
        )
        leftovers = await asyncio.to_thread(deployment.leftovers)  # of a large deployment this takes a while
        return self._shop.executor.removal(deployment, loaded.recorder, given_up=self._given_up, leftovers=leftovers)

    async def _load(self) -> Loaded:
        checked, self._checked = self._checked, None
        return await self._shop.load(self.context, fence=self._fence, checked=checked)

    async def _forget_hooks(self, element: QueueElement) -> Loaded | None:
        """Hooks of updates run at each; that they have run for this context before is forgotten before it begins, so
        that after a restart those count that have run since. What was read for that, where it still holds."""
        if element.event not in (QueueEvent.UPDATE, QueueEvent.ROLLBACK):
            return None
        try:
            loaded = await self._load()
        except NotOwner:
            raise
        except EmcoError:
            return None  # the event itself will say so
        forgotten = False
        for cluster in loaded.plan.clusters:
            for phase in (HookPhase.UPGRADE, HookPhase.ROLLBACK):
                for hook in (*cluster.due(phase.before), *cluster.due(phase.after)):
                    if loaded.recorder.may_be_there(cluster.app, cluster.cluster, hook.resource):
                        loaded.recorder.resource(cluster.app, cluster.cluster, hook.resource, ResourceState.PENDING)
                        forgotten = True
        if not forgotten:
            return loaded
        await loaded.recorder.flush()
        return None

    async def _until_cut_short(self, work: Awaitable[Outcome], element: QueueElement) -> Outcome:
        """The outcome of the work, unless a stop or a terminate comes first."""
        run = asyncio.ensure_future(work)
        apart = untraced(copy_context())  # it asks once a second, for as long as it takes
        stop = asyncio.create_task(self._stop_requested(), name=f"stop flag {self.context}", context=apart)
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
            await self._shop.pace.sleep(STOP_POLL_SECONDS)  # what was asked before, the desk has said
            try:
                asked = await self._shop.queue.asked(self.context)
                self._given_up.add(asked.given_up)
                if asked.stop:
                    return
            except EmcoError as error:
                _log.info("stop_flag_not_read", context=self.context, why=str(error))

    async def _finish(
        self,
        desk: Desk,
        element: QueueElement,
        result: QueueState,
        *,
        state: ContextState | None = None,
        reason: str = "",
    ) -> bool:
        queue = self._shop.queue
        last = await self._shop.surely(
            lambda: queue.finish(desk, element, result, state=state, fence=self._fence, reason=reason)
        )
        _log.info("event_finished", context=self.context, queued=element.event, result=str(result), why=reason)
        seconds = self._shop.pace.clock() - self._began if self._began is not None else None
        self._shop.finished(element.event, result, seconds)
        self._began = None
        if state is ContextState.TERMINATED and self._plan is not None:
            self._home.terminated(self._plan)
        return last
