"""One deployment that this process owns: the workers of its contexts, the watch over what is on the clusters, healing.

A context that cannot be worked on (its values make no sense) is put aside with its reason; the others go on (D3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.courtesy import giving_way
from emco_common.errors import EmcoError
from emco_common.tracing.spans import nobodys
from emco_rsync.events.loading import load_part
from emco_rsync.events.states import REPLACED
from emco_rsync.events.worker import Fresh, Heal, Places, Worker, Workshop
from emco_rsync.fence import Fence, NotOwner
from emco_rsync.plan.plan import Plan

_log = structlog.get_logger()


class Holding:
    """``fence`` is the right to it. ``idle`` is called whenever some work has ended."""

    def __init__(self, name: str, fence: Fence, shop: Workshop, *, idle: Callable[[str], None]) -> None:
        self.name = name
        self._fence = fence
        self._shop = shop
        self._told_idle = idle
        self._workers: dict[str, Worker] = {}
        self._watched: set[str] = set()
        self._carried_out: set[str] = set()
        self._drifted: dict[tuple[str, str], set[str]] = {}
        self._healing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def fence(self) -> Fence:
        return self._fence

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def see_to(self, context: str, fresh: Fresh | None = None) -> None:
        """There is something new in its queue, perhaps while somebody is at it. ``fresh`` if that was just read."""
        self._watched.add(context)
        worker = self._workers.get(context)
        if worker is None:
            worker = self._workers[context] = Worker(context, self._shop, self, fresh=fresh)
            self._start(self._work(worker), name=f"worker {context}")
        else:
            worker.wake()
            self._start(worker.glance(), name=f"glance {context}")

    def withdrawn(self, context: str) -> None:
        """It is not among those with work any more; perhaps while somebody was at it."""
        worker = self._workers.get(context)
        if worker is not None and worker.at_work:
            self._start(worker.glance(), name=f"glance {context}")

    def watch(self, context: str) -> None:
        """Its objects may be on clusters; look at them, unless that is done already."""
        if context not in self._watched:
            self._watched.add(context)
            self._start(self._watch_again(context), name=f"watch again {context}")

    def heal(self, contexts: Iterable[str], app: str, cluster: str, resources: Iterable[str]) -> None:
        """Somebody has changed what was applied; bring it back when nothing else is to be done. Told again and again,
        it is done once."""
        if self._shop.heal is None:
            return
        self._drifted.setdefault((app, cluster), set()).update(resources)
        if not self._healing:
            self._healing = True
            self._start(self._heal(self._shop.heal, list(contexts)), name=f"heal {self.name}")

    def terminated(self, plan: Plan) -> None:
        """Nothing is left to remove; see the end of what the objects leave behind."""
        self._start(self._see_off(plan), name=f"see off {plan.context}")

    def left(self, places: list[tuple[str, str]]) -> None:
        """Nothing of an app is wanted there any more; see the end of what its objects leave behind."""
        self._start(self._shop.executor.unfollow(places), name="see off what an update has left")

    async def end(self) -> None:
        """Returns when nothing is done or watched for it any more; calls under way have ended."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._shop.executor.let_go(self.name)

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(self._borne(work, name), name=name, context=nobodys(giving_way()))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks and not task.cancelled():
            self._told_idle(self.name)

    async def _borne(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Whatever becomes of one task is no affair of the others."""
        try:
            await work
        except NotOwner as error:
            _log.info("work_left_to_another", work=name, why=str(error))
        except EmcoError as error:
            _log.error("work_given_up", work=name, why=str(error))
        except Exception:
            _log.exception("work_given_up", work=name)

    async def _work(self, worker: Worker) -> None:
        try:
            there = await worker.run()
            if worker.carried_out_any:
                self._carried_out.add(worker.context)
            elif there and worker.context not in self._carried_out:
                # The former process ended between the last result and its own tidying up.
                self._start(self._watch_again(worker.context), name=f"watch again {worker.context}")
        except NotOwner:
            raise
        except EmcoError as error:
            _log.error("context_put_aside", context=worker.context, why=str(error))
        except Exception as error:
            _log.exception("context_put_aside", context=worker.context, why=str(error))
        finally:
            del self._workers[worker.context]

    async def _watch_again(self, context: str) -> None:
        try:
            async with self._shop.recalls:
                ended = await self._recall(context)
            if ended is not None:
                await self._see_off(ended)
        except ContextNotFound:
            await self._forget(context)

    async def _recall(self, context: str) -> Plan | None:
        """Follow what the context has on clusters; its plan, if only the end of that is still to be seen."""
        queue, executor = self._shop.queue, self._shop.executor
        desk = await self._shop.surely(lambda: queue.read(context))
        if desk.state in REPLACED:
            await self._forget(context)
        elif desk.state is not ContextState.CREATED:
            loaded = await self._shop.load(context, fence=self._fence)
            ended = desk.state is ContextState.TERMINATED
            await executor.follow(loaded.plan, loaded.recorder, complete=not ended)
            return loaded.plan if ended else None
        return None

    async def _heal(self, heal: Heal, contexts: list[str]) -> None:
        try:
            while self._drifted:
                drifted, self._drifted = self._drifted, {}
                places = {place: frozenset(found) for place, found in drifted.items()}
                for context in contexts:
                    await self._heal_one(heal, context, places)
        finally:
            self._healing = False

    async def _heal_one(self, heal: Heal, context: str, places: Places) -> None:
        """Whichever of the contexts it is that stands; an event that waits brings everything right by itself."""
        async with self._shop.turns.of({context, self.name}):
            try:
                desk = await self._shop.surely(lambda: self._shop.queue.read(context))
                if desk.state is not ContextState.INSTANTIATED or desk.next is not None:
                    return
                plan = await self._shop.surely(lambda: load_part(self._shop.bus, context, places))
            except ContextNotFound:
                return
            problems = await heal(plan)
            _log.info("healing_ended", context=context, places=len(places), problems=problems)

    async def _see_off(self, plan: Plan) -> None:
        await self._shop.executor.unfollow((cluster.label, cluster.cluster) for cluster in plan.clusters)
        await self._forget(plan.context)

    async def _forget(self, context: str) -> None:
        await self._shop.surely(lambda: self._shop.queue.forget(context, fence=self._fence))
