"""Which deployment this replica takes, keeps and hands over, from what the bus tells of all replicas (rsync D21).

A deployment that nobody owns is taken by the replica that comes first for it, by the others a moment later in case the
first does not. One that is ours and idle goes over to a replica for which it comes first, once that is there. What is
owned goes as soon as the lease does, whoever noticed it first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from emco_common.appcontext import keys, values
from emco_common.courtesy import giving_way
from emco_common.errors import EmcoError
from emco_common.tracing.spans import nobodys
from emco_rsync.events.division import ranking
from emco_rsync.events.holding import Holding
from emco_rsync.events.loading import Checked
from emco_rsync.events.mirror import Mirror
from emco_rsync.events.ownership import OWNERS, REPLICAS, Claim, Ownership, Token
from emco_rsync.events.queue import LIVE, Added, Desk
from emco_rsync.events.worker import Fresh, Workshop

_log = structlog.get_logger()

STAGGER_SECONDS = 2.0
"""How much later each further replica reaches for what the ones before it have left."""
MOVES_AT_ONCE = 32
"""Deployments with work in progress that are taken at a time."""
IDLE_MOVES_AT_ONCE = 8
"""Others, taken or handed over."""
TOLD_EACH = 1_000
MOST_HANDED_OVER = 4_000
"""Keys of a context that are kept from its acceptance until it is worked on; those of a larger one are read again."""


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do, as this replica knows. ``waiting`` are contexts with events that are not done with, of
    deployments that are this replica's, ``busy`` the deployments on which something is being done; ``unowned`` such
    contexts of deployments that nobody has taken. ``replicas`` live."""

    waiting: int = 0
    unowned: int = 0
    busy: int = 0
    replicas: int = 0


@dataclass(slots=True)
class _Deployment:
    """``live`` and ``active`` are contexts: with objects on clusters, and with work in their queues."""

    live: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    held: Holding | None = None
    token: Token | None = None
    moving: bool = False
    """Is it being taken, handed over or left right now?"""
    timer: asyncio.TimerHandle | None = None


class Sharing:
    """``run`` until cancelled, ``leave`` then."""

    def __init__(self, shop: Workshop, ownership: Ownership, *, stagger: float = STAGGER_SECONDS) -> None:
        self._shop = shop
        self._ownership = ownership
        self._stagger = stagger
        self._deployments: dict[str, _Deployment] = {}
        self._names: dict[str, str] = {}
        self._urgent = asyncio.Semaphore(MOVES_AT_ONCE)
        self._slots = asyncio.Semaphore(IDLE_MOVES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._adding: Counter[str] = Counter()
        self._untold: set[str] = set()
        """Contexts of which the bus has told something while this process was adding to them."""
        self._claims: dict[str, Claim] = {}
        """By deployment, while they are being written."""
        self._taken = 0
        self._running = False
        self._replicas = self._mirror(REPLICAS, lambda name, value: self._consider_all())
        self._owners = self._mirror(OWNERS, lambda name, value: self._consider(name))
        self._live = self._mirror(LIVE, self._live_changed)
        self._active = self._mirror(keys.ACTIVE, self._active_changed)

    def _mirror(self, prefix: str, changed: Callable[[str, bytes | None], None]) -> Mirror:
        backoff = self._shop.pace.bus_backoff
        return Mirror(self._shop.bus, prefix, changed=changed, backoff=backoff, sleep=self._shop.pace.sleep)

    def load(self) -> Load:
        """For metrics."""
        waiting = unowned = busy = 0
        for name, found in self._deployments.items():
            if found.held is not None:
                waiting += len(found.active)
                busy += found.held.busy
            elif name not in self._owners.values:
                unowned += len(found.active)
        return Load(waiting, unowned, busy, len(self._replicas.values))

    def holding(self, name: str) -> Holding | None:
        """Of a deployment that is ours."""
        found = self._deployments.get(name)
        return found.held if found is not None else None

    def contexts(self, name: str) -> list[str]:
        found = self._deployments.get(name)
        return sorted(found.live | found.active) if found is not None else []

    @contextmanager
    def adding(self, desk: Desk, *, claims: bool) -> Iterator[Claim | None]:
        """While this process queues something for a context: ``added`` knows better than what the bus tells of it
        meanwhile. With ``claims``, what is to be written with it so that the deployment is ours at once, where that is
        so far nobody's and ours to take."""
        context, name = desk.context, desk.status_context
        self._adding[context] += 1
        found = self._deployment(name)
        claim = self._ownership.claim(name) if claims and self._is_to_take(name, found) else None
        if claim is not None:
            found.moving = True
            self._claims[name] = claim
        try:
            yield claim
        finally:
            if claim is not None and self._claims.pop(name, None) is not None:  # it may have been written
                found.moving = False
                self._move(name, found, self._take)
            self._adding[context] -= 1
            if not self._adding[context]:
                del self._adding[context]
                if context in self._untold:
                    self._untold.discard(context)
                    self._active_changed(context, self._active.values.get(context))
            self._consider(name)

    def added(self, added: Added, checked: Checked) -> None:
        """Within ``adding``: this process has queued something, and need not wait until the bus tells. ``checked`` is
        the context, as it was read before."""
        context, name = added.context, added.status_context
        self._belongs(context, name)
        found = self._deployment(name)
        if self._live.note(context, values.encode(name), revision=added.revision):
            found.live.add(context)
        newest = self._active.note(context, values.encode(context), revision=added.revision)
        if not newest and not self._active.is_of(context, revision=added.revision):
            return  # somebody has changed it since, and the bus has told
        self._untold.discard(context)
        found.active.add(context)
        fresh = None
        if added.first:  # else somebody may have changed what goes without the queue
            fresh = Fresh(added.desk, checked if len(checked.entries) <= MOST_HANDED_OVER else None)
        if added.claimed and (claim := self._claims.pop(name, None)) is not None:
            found.moving = False
            token = self._ownership.granted(claim, added.revision)
            if token is not None:
                self._begin(name, found, token, fresh=fresh)
        elif found.held is not None and not found.moving:
            found.held.see_to(context, fresh)

    async def run(self) -> None:
        """Take what is ours to take, until cancelled. Then nothing is worked on any more."""
        for found in self._deployments.values():
            found.moving = False
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for mirror in (self._replicas, self._owners, self._live, self._active):
                    tasks.create_task(mirror.run(), name="what the bus tells")
                    await mirror.ready.wait()  # whose a context is, is known before it is found to have work
                _log.info("work_found", active=len(self._active.values), live=len(self._live.values))
                await self._ownership.run(present=self._consider_all, lost=self._lost)
        finally:
            self._running = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def pause(self) -> None:
        """Take nothing more, and end what is being done; what is owned stays so."""
        self._running = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        held = [found.held for found in self._deployments.values() if found.held is not None]
        await asyncio.gather(*(holding.end() for holding in held))

    # What the bus tells

    def _live_changed(self, context: str, value: bytes | None) -> None:
        if value is None:
            name = self._names.get(context, context)
            if name in self._deployments:
                self._deployments[name].live.discard(context)
        else:
            name = values.decode_string(f"{LIVE}{context}/", value)
            self._belongs(context, name)
            self._deployment(name).live.add(context)
        self._consider(name)

    def _active_changed(self, context: str, value: bytes | None) -> None:
        if self._adding[context]:
            self._untold.add(context)
            return
        if value is not None and context not in self._names:
            self._start(self._find_out(context), name=f"whose is {context}")
            return
        name = self._names.get(context, context)
        found = self._deployment(name)
        held = found.held if not found.moving else None
        if value is None:
            found.active.discard(context)
            if held is not None:
                held.withdrawn(context)
        else:
            found.active.add(context)
            if held is not None:
                held.see_to(context)
        self._consider(name)

    async def _find_out(self, context: str) -> None:
        """Queued by somebody who does not note what is live, or before its status context was told."""
        self._names[context] = await self._shop.surely(lambda: self._shop.queue.deployment_of(context))
        if context in self._active.values:
            self._active_changed(context, self._active.values[context])

    def _belongs(self, context: str, name: str) -> None:
        former = self._names.get(context)
        if former not in (None, name) and former in self._deployments:
            self._deployments[former].live.discard(context)
            if context in self._deployments[former].active:
                self._deployments[former].active.discard(context)
                self._deployment(name).active.add(context)
        self._names[context] = name

    def _deployment(self, name: str) -> _Deployment:
        return self._deployments.setdefault(name, _Deployment())

    # What follows from it

    def _consider_all(self) -> None:
        if self._running and self._ownership.present:
            first = sorted(self._deployments, key=lambda name: not self._deployments[name].active)
            for name in first:
                self._consider(name)

    def _consider(self, name: str) -> None:
        found = self._deployments.get(name)
        if found is None or found.moving or not self._running or not self._ownership.present:
            return
        if found.timer is not None:
            found.timer.cancel()
            found.timer = None
        if found.held is not None:
            self._look_after(name, found, found.held)
        elif not (found.live or found.active):
            del self._deployments[name]
        elif name not in self._owners.values:
            wait = self._stagger * self._rank(name)
            if wait:
                found.timer = asyncio.get_running_loop().call_later(wait, self._move, name, found, self._take)
            else:
                self._move(name, found, self._take)

    def _is_to_take(self, name: str, found: _Deployment) -> bool:
        """Is it nobody's, and would we be the first to reach for it?"""
        free = found.held is None and not found.moving and name not in self._owners.values
        return free and self._running and self._ownership.present and not self._rank(name)

    def _look_after(self, name: str, found: _Deployment, held: Holding) -> None:
        if not held.busy and (not (found.live or found.active) or self._rank(name)):
            self._move(name, found, self._hand_over)

    def _rank(self, name: str) -> int:
        replicas = {self._ownership.replica, *self._replicas.values}
        return ranking(name, replicas).index(self._ownership.replica)

    def _move(
        self, name: str, found: _Deployment, how: Callable[[str, _Deployment], Coroutine[Any, Any, None]]
    ) -> None:
        if found.moving or not self._running:
            return
        found.moving = True
        self._start(self._moved(name, found, how), name=f"{how.__name__.strip('_')} {name}")

    async def _moved(
        self, name: str, found: _Deployment, how: Callable[[str, _Deployment], Coroutine[Any, Any, None]]
    ) -> None:
        try:
            async with self._urgent if found.active else self._slots:
                await how(name, found)
        finally:
            found.moving = False
        self._consider(name)

    async def _take(self, name: str, found: _Deployment) -> None:
        token = await self._shop.surely(lambda: self._ownership.acquire(name))
        if token is None:
            return  # the bus tells whose it is, or that it is nobody's again
        self._begin(name, found, token)

    def _begin(self, name: str, found: _Deployment, token: Token, *, fresh: Fresh | None = None) -> None:
        """It is ours. ``fresh``: what was read of one of its contexts as it was claimed."""
        found.token = token
        found.held = held = Holding(name, token, self._shop, idle=self._consider)
        for context in sorted(found.active):
            held.see_to(context, fresh if fresh is not None and fresh.desk.context == context else None)
        for context in sorted(found.live - found.active):
            held.watch(context)
        self._taken += 1
        if not self._taken % TOLD_EACH:
            _log.info("work_taken_up", deployments=self._taken)

    async def _hand_over(self, name: str, found: _Deployment) -> None:
        held, token = found.held, found.token
        assert held is not None
        assert token is not None
        await held.end()
        await self._shop.journal.flush()
        found.held = found.token = None
        await self._shop.surely(lambda: self._ownership.release(token))
        if found.live or found.active:
            _log.info("deployment_handed_over", deployment=name)

    def _lost(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            found = self._deployments.get(token.name)
            if found is not None and found.token is token and found.held is not None and not found.moving:
                held, found.held, found.token, found.moving = found.held, None, None, True
                self._start(self._end(token.name, found, held), name=f"end {token.name}")
        _log.warning("deployments_lost", deployments=len(tokens))

    async def _end(self, name: str, found: _Deployment, held: Holding) -> None:
        try:
            await held.end()
        finally:
            found.moving = False
        self._consider(name)

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(self._borne(work), name=name, context=nobodys(giving_way()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _borne(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EmcoError as error:
            _log.error("deployment_not_moved", why=str(error))
