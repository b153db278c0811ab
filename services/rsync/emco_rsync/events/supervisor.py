"""Keeps one worker per context with work, takes up after a restart what was left, and answers what is asked over gRPC.

A context that cannot be worked on (its values make no sense) is put aside with its reason; the others go on (D3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState, QueueEvent
from emco_common.errors import EmcoError
from emco_rsync.events.loading import check, load
from emco_rsync.events.queue import SUPERSEDED
from emco_rsync.events.states import FIRST, REPLACED
from emco_rsync.events.worker import Worker, Workshop
from emco_rsync.plan.plan import Plan

_log = structlog.get_logger()


class Supervisor:
    """``equip`` makes what workers share; it is given this, to be told of what has ended.

    ``submit`` may be called before ``run``; its events are durable and are found then.
    """

    def __init__(self, equip: Callable[[Supervisor], Workshop]) -> None:
        self._shop = equip(self)
        self._queue = self._shop.queue
        self._executor = self._shop.executor
        self._workers: dict[str, Worker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False

    async def submit(self, context: str, event: QueueEvent) -> None:
        """Queue an event durably and see to it. ``ContextNotFound``, ``MalformedContext``, ``Unavailable``."""
        await check(self._shop.bus, context)  # what makes no sense is refused now, not later
        await self._queue.add(context, event)
        _log.info("event_queued", context=context, queued=str(event))
        if event == QueueEvent.TERMINATE:
            self._interrupt(context, "cut short by a terminate")
        self._see_to(context)

    async def submit_update(self, old: str, new: str, *, rollback: bool) -> None:
        """Queue the replacement of ``old`` by ``new``; what ``old`` is in the middle of ends early.

        A context that was there before is gone back to, whatever the caller calls it. Raises as ``submit`` does, and
        ``Conflict`` if one of them is being taken away.
        """
        for context in (new, old):
            await check(self._shop.bus, context)
        before = (await self._queue.read(new)).state not in FIRST
        event = QueueEvent.ROLLBACK if rollback or before else QueueEvent.UPDATE
        await self._queue.add_update(old, new, event)
        _log.info("event_queued", context=new, queued=str(event), replaces=old)
        if old != new:
            self._interrupt(old, SUPERSEDED + new)
        self._see_to(new)

    async def run(self) -> None:
        """Take up what was left, then supervise until cancelled."""
        self._running = True
        try:
            await self._take_up()
            await asyncio.Event().wait()
        finally:
            self._running = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take_up(self) -> None:
        """Work in progress first; then the watch over what is on the clusters (D4)."""
        active = await self._shop.surely(self._queue.active)
        live = await self._shop.surely(self._queue.live)
        for context in active:
            self._see_to(context)
        for context in live:
            if context not in active:
                self._start(self._watch_again(context), name=f"watch again {context}")
        _log.info("work_taken_up", active=len(active), live=len(live))

    def terminated(self, plan: Plan) -> None:
        """Nothing is left to remove; see the end of what the objects leave behind."""
        self._start(self._see_off(plan), name=f"see off {plan.context}")

    def _interrupt(self, context: str, why: str) -> None:
        worker = self._workers.get(context)
        if worker is not None:
            worker.interrupt(why)

    def _see_to(self, context: str) -> None:
        worker = self._workers.get(context)
        if worker is None:
            if self._running:
                worker = self._workers[context] = Worker(context, self._shop)
                self._start(self._work(worker), name=f"worker {context}")
            return
        worker.wake()

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, worker: Worker) -> None:
        try:
            if await worker.run() and not worker.carried_out_any:
                # The former process ended between the last result and its own tidying up.
                self._start(self._watch_again(worker.context), name=f"watch again {worker.context}")
        except Exception as error:
            _log.exception("context_put_aside", context=worker.context, why=str(error))
        finally:
            del self._workers[worker.context]

    async def _watch_again(self, context: str) -> None:
        try:
            desk = await self._shop.surely(lambda: self._queue.read(context))
            loaded = await self._shop.surely(lambda: load(self._shop.bus, self._shop.journal, context))
            if desk.state is ContextState.TERMINATED:
                await self._executor.follow(loaded.plan, loaded.recorder, complete=False)
                await self._see_off(loaded.plan)
            elif desk.state in REPLACED:
                await self._shop.surely(lambda: self._queue.forget(context))
            elif desk.state is not ContextState.CREATED:
                await self._executor.follow(loaded.plan, loaded.recorder)
        except ContextNotFound:
            await self._shop.surely(lambda: self._queue.forget(context))
        except EmcoError as error:
            _log.error("watch_not_taken_up", context=context, why=str(error))

    def left(self, places: list[tuple[str, str]]) -> None:
        """Nothing of an app is wanted there any more; see the end of what its objects leave behind."""
        self._start(self._executor.unfollow(places), name="see off what an update has left")

    async def _see_off(self, plan: Plan) -> None:
        await self._executor.unfollow((cluster.label, cluster.cluster) for cluster in plan.clusters)
        await self._shop.surely(lambda: self._queue.forget(plan.context))
