"""What a worker reads before it begins: the plan of its context, the status context, and further contexts they name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from emco_common.appcontext import codec, keys
from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.keys import Placed
from emco_common.appcontext.model import AppContext
from emco_common.appcontext.status import ContextStatus, decode_queue, status_of
from emco_common.contextbus.api import MAX_TRANSACTION_OPERATIONS, ContextBus, Entry
from emco_rsync.events.queue import is_settled, replaced_by
from emco_rsync.fence import Fence
from emco_rsync.plan.deployment import Deployment, Place, referred, sources
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


@dataclass(frozen=True, slots=True)
class Checked:
    """All of a context, and what it says."""

    entries: Sequence[Entry]
    content: AppContext


async def check(bus: ContextBus, context: str) -> Checked:
    """``ContextNotFound``; ``MalformedContext`` for what could not be worked on."""
    entries = await _entries(bus, context)
    return Checked(entries, await _aside(entries, codec.decode, entries))


async def load(
    bus: ContextBus, journal: Journal, context: str, *, fence: Fence, checked: Checked | None = None
) -> Loaded:
    """What is needed to work on a context alone, as long as its deployment is ours. ``checked``: the context, where it
    was read a moment ago."""
    revisions = Revisions(bus)
    checked = checked or await check(bus, context)
    entries = checked.entries
    journal.saw(context, entries)
    plan = await _aside(entries, make_plan, checked.content, items=revisions.items)
    collected = plan.status_context
    if collected != context:
        entries = (await bus.range(keys.root(collected))).entries
        journal.saw(collected, entries)
    found, status, held = await _aside(entries, _status, collected, entries)
    if collected != context and entries:
        revisions.known[collected] = found
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


async def load_deployment(
    bus: ContextBus, loaded: Loaded, replaced: Sequence[str], *, first: bool = False
) -> Deployment:
    """The contexts that this one replaces, and those that have the manifests of what may be on the clusters. ``first``:
    nothing was done yet to replace them."""
    formers = await _unfinished(bus, replaced, own=loaded.plan.context, first=first)
    return await _with_revisions(loaded.plan, loaded.status, loaded.revisions, formers)


async def imagine(bus: ContextBus, entries: Sequence[Entry], replaced: str) -> Deployment:
    """The deployment as it would be if the context of these entries, which is not on the bus, were to replace
    ``replaced`` (``""``: were installed). ``ContextNotFound``, ``MalformedContext``."""
    revisions = Revisions(bus)
    plan = make_plan(await _aside(entries, codec.decode, entries), items=revisions.items)
    if not replaced:
        return Deployment(plan, status_of(plan.status_context, []), {plan.context: plan})
    if await bus.get(keys.root(replaced)) is None:
        raise ContextNotFound(replaced)
    collected = (await bus.range(keys.root(plan.status_context))).entries
    found, status, _ = await _aside(collected, _status, plan.status_context, collected)
    if collected:
        revisions.known[plan.status_context] = found
    formers = await _unfinished(bus, [replaced], own=plan.context, first=True)
    return await _with_revisions(plan, status, revisions, formers)


async def _with_revisions(
    plan: Plan, status: ContextStatus, revisions: Revisions, formers: tuple[str, ...]
) -> Deployment:
    read = {plan.context: plan}

    async def known(contexts: Iterable[str]) -> Deployment:
        for context in sorted(set(contexts) - set(read)):
            with suppress(ContextNotFound):
                read[context] = await revisions.read(context)
        return Deployment(plan, status, read, formers)

    deployment = await known({*formers, *sources(status)})
    if await _aside(status.resources, deployment.stays):
        return deployment
    return await known(referred(status))


async def _unfinished(bus: ContextBus, replaced: Sequence[str], *, own: str, first: bool) -> tuple[str, ...]:
    """The replaced contexts, and those that these were to replace in turn and did not get to the end of. None if it is
    the ``first`` attempt to replace one that did: until something is sent, the records tell all that there is of it."""
    found: dict[str, None] = {}
    waiting = list(replaced)
    while waiting:
        context = waiting.pop()
        if context in found or context == own:
            continue
        queue = keys.queue(context)
        stored = {entry.key: entry for entry in (await bus.read(keys=[queue, keys.given_up(context)])).entries}
        elements = decode_queue(queue, stored[queue].value) if queue in stored else ()
        if first and len(replaced) == 1 and is_settled(elements) and keys.given_up(context) not in stored:
            return ()
        found[context] = None
        waiting += replaced_by(elements)
    return tuple(found)


def _status(context: str, entries: Sequence[Entry]) -> tuple[list[Placed], ContextStatus, Held]:
    """What lies in a status context, what it says, and what of that is kept."""
    found = keys.placed(entries)
    status = status_of(context, found)
    return found, status, Held.read(found, status)


class Revisions:
    """The plans of a deployment: what they have in common, its ``items``, is read once. ``known`` is what was read of
    the bus before, and has not been asked for yet."""

    def __init__(self, bus: ContextBus) -> None:
        self.known: dict[str, list[Placed]] = {}
        self.items = Items()
        self._bus = bus

    async def read(self, context: str) -> Plan:
        """``ContextNotFound``, ``MalformedContext``."""
        found = self.known.pop(context, None)
        if found is None:
            entries = await _entries(self._bus, context)
            found = await _aside(entries, keys.placed, entries)
        return await _aside(found, self._plan, found)

    def _plan(self, found: list[Placed]) -> Plan:
        return make_plan(codec.context_of(found), items=self.items)


async def _aside(entries: Sized, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
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
