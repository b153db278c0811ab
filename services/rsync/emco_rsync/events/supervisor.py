"""Answers what is asked over gRPC, at whichever replica: events are queued durably, and their owner hears of it.

Who works on what is said by ``sharing``; what is done, by ``holding`` and ``worker``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from emco_common.appcontext.states import QueueEvent
from emco_common.tracing.origin import origin_here
from emco_rsync.events.loading import check
from emco_rsync.events.ownership import Ownership
from emco_rsync.events.queue import desk_of
from emco_rsync.events.sharing import STAGGER_SECONDS, Load, Sharing
from emco_rsync.events.states import FIRST
from emco_rsync.events.worker import Workshop

_log = structlog.get_logger()
CHECKPOINT_SECONDS = 2.0
"""How long the bus may take, as the process stops, to note down what was done until then."""


class Supervisor:
    """``submit`` may be called before ``run``; its events are durable and are found then."""

    def __init__(self, shop: Workshop, ownership: Ownership, *, stagger: float = STAGGER_SECONDS) -> None:
        self._shop = shop
        self._queue = shop.queue
        self._sharing = Sharing(shop, ownership, stagger=stagger)

    async def submit(self, context: str, event: QueueEvent) -> None:
        """Queue an event durably and have it seen to. ``ContextNotFound``, ``MalformedContext``, ``Unavailable``."""
        checked = await check(self._shop.bus, context)  # what makes no sense is refused now, not later
        desk = desk_of(context, checked.entries)
        with self._sharing.adding(desk, claims=True) as claim:
            added = await self._queue.add(context, event, desk=desk, claim=claim, origin=origin_here())
            _log.info("event_queued", context=context, queued=str(event))
            self._sharing.added(added, checked)

    async def submit_update(self, old: str, new: str, *, rollback: bool) -> None:
        """Queue the replacement of ``old`` by ``new``; what ``old`` is in the middle of ends early.

        A context that was there before is gone back to, whatever the caller calls it. Raises as ``submit`` does, and
        ``Conflict`` if one of them is being taken away.
        """
        checked = await check(self._shop.bus, new)
        desks = [desk_of(new, checked.entries), await self._queue.read(old)]  # the old one was checked in its time
        before = desks[0].state not in FIRST
        event = QueueEvent.ROLLBACK if rollback or before else QueueEvent.UPDATE
        with self._sharing.adding(desks[0], claims=False):
            added = await self._queue.add_update(old, new, event, desks=desks, origin=origin_here())
            _log.info("event_queued", context=new, queued=str(event), replaces=old)
            self._sharing.added(added, checked)

    def heal(self, status_context: str, app: str, cluster: str, resources: Iterable[str]) -> None:
        """Somebody has changed what was applied. Brought back by its owner, between two events, if that is us; the
        next owner sees it as well."""
        held = self._sharing.holding(status_context)
        if held is not None:
            held.heal(self._sharing.contexts(status_context), app, cluster, resources)

    def load(self) -> Load:
        """For metrics."""
        return self._sharing.load()

    async def run(self) -> None:
        """Work on what is this replica's to work on, until cancelled."""
        await self._sharing.run()

    async def pause(self) -> None:
        """As the process stops: end all work, and have the bus know how far it came. What is owned is let go by the
        end of ``run``, so that others go on at once."""
        await self._sharing.pause()
        try:
            async with asyncio.timeout(CHECKPOINT_SECONDS):
                await self._shop.journal.flush()
        except TimeoutError:
            _log.warning("checkpoint_not_written", waited=CHECKPOINT_SECONDS)
