"""What a worker reads before it begins: the plan of its context, the status context, and further contexts they name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from emco_common.appcontext import codec, keys
from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.status import ContextStatus, decode_queue, decode_status
from emco_common.contextbus.api import MAX_TRANSACTION_OPERATIONS, ContextBus, Entry
from emco_rsync.events.queue import replaced_by
from emco_rsync.fence import Fence
from emco_rsync.plan.deployment import Deployment, Place, referred
from emco_rsync.plan.plan import Items, Plan, make_plan
from emco_rsync.record.held import Held
from emco_rsync.record.journal import Journal
from emco_rsync.record.recorder import Recorder

P = ParamSpec("P")
T = TypeVar("T")

FEW = 200
"""Keys of a context that are read in a millisecond."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """``status`` is the status context as it is now, ``recorder`` writes there what is done, ``revisions`` reads what
    else there was of the deployment."""

    plan: Plan
    recorder: Recorder
    status: ContextStatus
    revisions: Revisions


async def check(bus: ContextBus, context: str) -> Sequence[Entry]:
    """All of the context. ``ContextNotFound``; ``MalformedContext`` for what could not be worked on."""
    entries = await _entries(bus, context)
    await _aside(entries, codec.decode, entries)
    return entries


async def load(
    bus: ContextBus, journal: Journal, context: str, *, fence: Fence, entries: Sequence[Entry] | None = None
) -> Loaded:
    """What is needed to work on a context alone, as long as its deployment is ours. ``entries``: all of the context,
    where it was read a moment ago."""
    revisions = Revisions(bus)
    entries = entries or await _entries(bus, context)
    journal.saw(context, entries)
    plan = await _aside(entries, revisions.plan, entries)
    if plan.status_context != context:
        entries = (await bus.range(keys.root(plan.status_context))).entries
        revisions.known[plan.status_context] = entries
    status = await _aside(entries, decode_status, plan.status_context, entries)
    found = [entry.key for entry in entries]
    held = await _aside(entries, Held.read, plan.status_context, found, status.resources)
    recorder = Recorder(
        journal.under(fence),
        context=context,
        status_context=plan.status_context,
        held=held,
    )
    return Loaded(plan, recorder, status, revisions)


async def load_part(bus: ContextBus, context: str, places: Mapping[Place, Collection[str]]) -> Plan:
    """The plan of a context as far as it concerns these of its ordered resources: what is read does not grow with the
    deployment. ``ContextNotFound``, ``MalformedContext``."""
    wanted = codec.keys_of_part(context, places)
    parts = [wanted[at : at + MAX_TRANSACTION_OPERATIONS] for at in range(0, len(wanted), MAX_TRANSACTION_OPERATIONS)]
    entries = [entry for part in parts for entry in (await bus.read(keys=part)).entries]
    return make_plan(codec.decode(_there(context, entries), part=places))


async def load_deployment(bus: ContextBus, loaded: Loaded, replaced: Iterable[str]) -> Deployment:
    """The contexts that this one replaces, and those that have the manifests of what may be on the clusters."""
    formers = await _unfinished(bus, replaced, own=loaded.plan.context)
    revisions = {loaded.plan.context: loaded.plan}
    for context in sorted({*formers, *referred(loaded.status)} - set(revisions)):
        try:
            revisions[context] = await loaded.revisions.read(context)
        except ContextNotFound:
            continue
    return Deployment(loaded.plan, loaded.status, revisions, formers)


async def _unfinished(bus: ContextBus, replaced: Iterable[str], *, own: str) -> tuple[str, ...]:
    """The replaced contexts, and those that these were to replace in turn and did not get to the end of."""
    found: dict[str, None] = {}
    waiting = list(replaced)
    while waiting:
        context = waiting.pop()
        if context in found or context == own:
            continue
        found[context] = None
        entry = await bus.get(keys.queue(context))
        if entry is not None:
            elements = decode_queue(entry.key, entry.value)
            waiting += replaced_by(elements)
    return tuple(found)


class Revisions:
    """The plans of a deployment: what they have in common is read once. ``known`` is what was read of the bus before,
    and has not been asked for yet."""

    def __init__(self, bus: ContextBus) -> None:
        self.known: dict[str, Sequence[Entry]] = {}
        self._bus = bus
        self._items = Items()

    async def read(self, context: str) -> Plan:
        """``ContextNotFound``, ``MalformedContext``."""
        entries = self.known.pop(context, None) or (await self._bus.range(keys.root(context))).entries
        return await _aside(entries, self.plan, _there(context, entries))

    def plan(self, entries: Sequence[Entry]) -> Plan:
        return make_plan(codec.decode(entries), items=self._items)


async def _aside(entries: Sequence[Entry], work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What these entries mean, found out in a thread, so that nobody waits for it; or at once where they are so few
    that to be given the processor there, and here again, would take longer."""
    if len(entries) <= FEW:
        return work(*given, **named)
    return await asyncio.to_thread(work, *given, **named)


async def _entries(bus: ContextBus, context: str) -> Sequence[Entry]:
    return _there(context, (await bus.range(keys.root(context))).entries)


def _there(context: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    if not entries or entries[0].key != keys.root(context):
        raise ContextNotFound(context)
    return entries
