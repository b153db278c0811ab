"""The durable queue of a context and the states around it, as they lie on the bus (appcontext 4.2, rsync 3 and 4).

Every change is one transaction that holds only if nobody else changed the queue, so neither a second caller nor a
second process loses an event (D2). Anybody adds; what the owner of the deployment alone may do takes its ``Fence`` and
raises ``NotOwner`` once another is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from emco_common.appcontext import keys, values
from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState, QueueEvent, QueueState
from emco_common.appcontext.status import QueueElement, decode_queue, encode_queue
from emco_common.contextbus.api import Compare, ContextBus, Delete, Entry, LeaseLost, Put
from emco_common.errors import Conflict, Unavailable
from emco_common.tracing.origin import NOBODY, Origin
from emco_rsync.events.ownership import Claim
from emco_rsync.events.states import GONE
from emco_rsync.fence import Fence

LIVE = "/livecontext/"
"""Contexts whose objects may be on clusters, so that their watch is taken up after a restart; rsync's own. The value is
the status context."""

SUPERSEDED = "cut short by an update to context "

_EVENTS, _FLAGS = "rsync/", "s"
"""Below these lies what decides; stop flag, status and status context begin with the second, and nothing else does."""
_SWAPS = 20
_KEPT = 20
"""Finished elements that stay in the queue; older ones are dropped (D9)."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything about a context that decides what is to be done next, as of one read."""

    context: str
    elements: tuple[QueueElement, ...]
    state: ContextState
    stop: bool
    pending_terminate: bool
    status_context: str
    given_up: tuple[str, ...]
    stored: Mapping[str, Entry]

    @property
    def next(self) -> tuple[int, QueueElement] | None:
        """The first element that is still to be done, with its position."""
        return next(((i, e) for i, e in enumerate(self.elements) if e.status == QueueState.PENDING), None)

    @property
    def waiting(self) -> tuple[QueueElement, ...]:
        return tuple(element for element in self.elements if element.status == QueueState.PENDING)

    @property
    def replaced(self) -> tuple[str, ...]:
        """The contexts that this one has replaced or is to replace, as far as that has not come to its good end."""
        return replaced_by(self.elements)

    def guard(self) -> list[Compare]:
        """Holds as long as the context is there and its queue is what was read."""
        known = (keys.root(self.context), keys.queue(self.context))
        return [Compare(key, self.stored[key].mod_revision if key in self.stored else 0) for key in known]

    def after(self, writes: Iterable[Put | Delete], *, revision: int) -> Desk:
        """As these writes have left it."""
        entries = dict(self.stored)
        for write in writes:
            entries.pop(write.key, None)
            if isinstance(write, Put):
                entries[write.key] = Entry(write.key, write.value, revision, revision, write.lease)
        return desk_of(self.context, entries.values())


@dataclass(frozen=True, slots=True)
class Added:
    """What was put to the queue of a context, and the bus's revision with it; ``desk`` is as of then. ``first``: there
    was no queue before, so nobody has ever worked on the context; ``claimed``: the deployment was claimed
    with it."""

    desk: Desk
    revision: int
    first: bool
    claimed: bool = False

    @property
    def context(self) -> str:
        return self.desk.context

    @property
    def status_context(self) -> str:
        return self.desk.status_context


@dataclass(frozen=True, slots=True)
class Asked:
    """``given_up`` are clusters that are not to be waited for."""

    stop: bool
    given_up: tuple[str, ...]


class Queue:
    """The queues of all contexts. Any method: ``ContextNotFound``, ``MalformedContext``, ``Unavailable``."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus

    async def read(self, context: str) -> Desk:
        if not context:
            raise ContextNotFound(context)
        root = keys.root(context)
        known = [root, keys.given_up(context)]
        return desk_of(context, (await self._bus.read(keys=known, prefixes=[root + _EVENTS, root + _FLAGS])).entries)

    async def add(
        self,
        context: str,
        event: QueueEvent,
        *,
        desk: Desk | None = None,
        claim: Claim | None = None,
        origin: Origin = NOBODY,
    ) -> Added:
        """Queue an event durably. The same event still waiting at the end of the queue is not queued twice.

        ``origin`` is who asks for it.
        ``desk`` if it was read a moment ago. ``claim``: the deployment is taken with it, if nobody has it.
        """
        for _ in range(_SWAPS):
            desk = desk or await self.read(context)
            waiting = desk.waiting
            if waiting and waiting[-1].event == event:
                elements = desk.elements
            else:
                elements = (*desk.elements, _element(event, origin))
            writes = [
                Put(keys.queue(context), encode_queue(_shortened(elements))),
                Put(keys.active(context), values.encode(context)),
                Put(f"{LIVE}{context}/", values.encode(desk.status_context)),
                *_missing_states(desk),
            ]
            if event == QueueEvent.TERMINATE and waiting:
                writes = [put for put in writes if put.key != keys.pending_terminate(context)]
                writes.append(Put(keys.pending_terminate(context), values.encode(True)))
            claims, free = ([claim.put], [claim.compare]) if claim is not None else ([], [])
            try:
                revision = await self._bus.transact([*writes, *claims], when=[*desk.guard(), *free])
            except LeaseLost:
                revision = None  # with the claim nothing was written
            if revision is not None:
                after = desk.after(writes, revision=revision)
                return Added(after, revision, first=not desk.elements, claimed=claim is not None)
            desk = claim = None
        raise Unavailable(f"the queue of context {context} is being changed by too many writers at once")

    async def add_update(
        self, old: str, new: str, event: QueueEvent, *, desks: Sequence[Desk] = (), origin: Origin = NOBODY
    ) -> Added:
        """Queue the replacement of context ``old`` by ``new`` durably; what ``old`` was still to do is not done.

        A stop that was asked for before this is over with (lifecycle defect 23), and the state that ``new`` may have of
        an earlier time is not shown any longer (34). ``Conflict`` if either is being taken away. ``desks``: as of a
        moment ago.
        """
        known = {desk.context: desk for desk in desks}
        for _ in range(_SWAPS):
            target = known.get(new) or await self.read(new)
            source = target if old == new else known.get(old) or await self.read(old)
            known = {}
            for desk in (source, target):
                if _terminates(desk) or (desk is target and desk.state in GONE):
                    what = "is being terminated" if _terminates(desk) else f"is {desk.state}"
                    raise Conflict(f"no update of context {old} to {new}: context {desk.context} {what}")
            element = replace(_element(event, origin), update_context=old)
            writes, guard = self._update_writes(target, element), target.guard()
            if source is not target:
                writes += await self._superseded_writes(source, new)
                guard += source.guard()
            revision = await self._bus.transact(writes, when=guard)
            if revision is not None:
                own = [write for write in writes if write.key.startswith(keys.root(new))]
                return Added(target.after(own, revision=revision), revision, first=not target.elements)
        raise Unavailable(f"the queues of contexts {old} and {new} are being changed by too many writers at once")

    def _update_writes(self, desk: Desk, element: QueueElement) -> list[Put | Delete]:
        context = desk.context
        writes: list[Put | Delete] = [
            Put(keys.active(context), values.encode(context)),
            Put(f"{LIVE}{context}/", values.encode(desk.status_context)),
        ]
        if desk.waiting[-1:] == (element,):
            return writes
        first = {put.key: put for put in _missing_states(desk)}
        first[keys.stop_flag(context)] = Put(keys.stop_flag(context), values.encode(False))
        first[keys.status(context)] = Put(keys.status(context), values.encode_state(ContextState.UPDATING))
        first[keys.reason(context)] = Put(keys.reason(context), values.encode(""))
        queue = Put(keys.queue(context), encode_queue(_shortened((*desk.elements, element))))
        return [*writes, queue, Delete(keys.given_up(context)), *first.values()]

    async def _superseded_writes(self, desk: Desk, new: str) -> list[Put | Delete]:
        context = desk.context
        elements = tuple(replace(e, status=QueueState.SKIP) if e in desk.waiting else e for e in desk.elements)
        writes: list[Put | Delete] = [
            Put(keys.stop_flag(context), values.encode(False)),
            Delete(keys.active(context)),
            Delete(f"{LIVE}{context}/"),
        ]
        if desk.waiting:
            writes.append(Put(keys.queue(context), encode_queue(elements)))
        for replaced in {e.update_context for e in desk.waiting} - {"", context, new}:
            if await self._bus.get(keys.root(replaced)) is not None:
                writes += _state_writes(replaced, ContextState.UPDATE_FAILED, SUPERSEDED + new)
        return writes

    async def mark(self, context: str, state: ContextState, *, fence: Fence, reason: str = "") -> None:
        """The state of a context that is being replaced. One that is gone, or was terminated, stays so."""
        try:
            desk = await self.read(context)
        except ContextNotFound:
            return
        if desk.state not in GONE:
            await self._own(_state_writes(context, state, reason), when=[desk.guard()[0]], fence=fence)

    async def finish(
        self,
        desk: Desk,
        element: QueueElement,
        result: QueueState,
        *,
        state: ContextState | None,
        fence: Fence,
        reason: str = "",
    ) -> bool:
        """The first waiting element, as ``desk`` shows it, is done with; the state changes if one is given, in the same
        transaction. True if it was the last: then the context counts as having no more work."""
        for _ in range(_SWAPS):
            found = desk.next
            if found is None or found[1] != element:
                return False  # finished by another pass
            elements = list(desk.elements)
            elements[found[0]] = replace(found[1], status=result)
            writes: list[Put | Delete] = [Put(keys.queue(desk.context), encode_queue(_shortened(tuple(elements))))]
            last = len(desk.waiting) == 1
            if last:
                writes += _retirement(desk)
            if state is not None:
                writes += _state_writes(desk.context, state, reason)
            if await self._own(writes, when=desk.guard(), fence=fence):
                return last
            desk = await self.read(desk.context)
        raise Unavailable(f"the queue of context {desk.context} is being changed by too many writers at once")

    async def asked(self, context: str) -> Asked:
        """What its owner has asked for while the context is worked on."""
        stop, given_up = keys.stop_flag(context), keys.given_up(context)
        found = {entry.key: entry for entry in (await self._bus.read(keys=[stop, given_up])).entries}
        return Asked(_flag(found.get(stop)), _names(found.get(given_up)))

    async def retire(self, desk: Desk, *, fence: Fence) -> bool:
        """There is no more work; false if there is some after all."""
        return await self._own(_retirement(desk), when=desk.guard(), fence=fence)

    async def forget(self, context: str, *, fence: Fence, live: bool = True) -> None:
        """The context is no longer to be watched (``live``), or does not exist any more."""
        writes: list[Put | Delete] = [Delete(f"{LIVE}{context}/")]
        if not live:
            writes.append(Delete(keys.active(context)))
        await self._own(writes, when=[], fence=fence)

    async def deployment_of(self, context: str) -> str:
        """The status context, of a context that may not be there."""
        return _text(await self._bus.get(keys.status_context(context))) or context

    async def _own(self, writes: Sequence[Put | Delete], *, when: Sequence[Compare], fence: Fence) -> bool:
        """What only the owner may do. False if something else than the ownership was in the way."""
        fence()
        if await self._bus.transact(writes, when=[*when, *fence.guard()]) is not None:
            return True
        await fence.confirm()
        return False


def _element(event: QueueEvent, origin: Origin) -> QueueElement:
    return QueueElement(event, QueueState.PENDING, request=origin.request, trace=origin.trace)


def desk_of(context: str, entries: Iterable[Entry]) -> Desk:
    """From what lies on the bus: the keys of the context, of which there may be more than matter here."""
    root = keys.root(context)
    decisive = (root + _EVENTS, root + _FLAGS, keys.given_up(context))
    stored = {entry.key: entry for entry in entries if entry.key == root or entry.key.startswith(decisive)}
    if root not in stored:
        raise ContextNotFound(context)
    queue = stored.get(keys.queue(context))
    return Desk(
        context=context,
        elements=decode_queue(queue.key, queue.value) if queue is not None else (),
        state=_state(stored.get(keys.current_state(context))),
        stop=_flag(stored.get(keys.stop_flag(context))),
        pending_terminate=_flag(stored.get(keys.pending_terminate(context))),
        status_context=_text(stored.get(keys.status_context(context))) or context,
        given_up=_names(stored.get(keys.given_up(context))),
        stored=stored,
    )


def beginning(context: str, *, running: ContextState, desired: ContextState) -> list[Put]:
    """What says that an event is being worked on."""
    return [
        Put(keys.desired_state(context), values.encode_state(desired)),
        *_state_writes(context, running, ""),
    ]


def replaced_by(elements: Iterable[QueueElement]) -> tuple[str, ...]:
    """The contexts that updates in the queue are to replace, or were to and did not; an event that was carried out
    since has cleaned up behind them."""
    found: list[str] = []
    for element in elements:
        if element.status == QueueState.DONE and element.event != QueueEvent.READ:
            found.clear()
        elif element.update_context:
            found.append(element.update_context)
    return tuple(found)


def is_settled(elements: Sequence[QueueElement]) -> bool:
    """Has the last event come to its good end? Then all that the context brought is recorded, unless a cluster was
    given up meanwhile."""
    last = next((element for element in reversed(elements) if element.event != QueueEvent.READ), None)
    return last is not None and last.status == QueueState.DONE


def _retirement(desk: Desk) -> list[Put | Delete]:
    writes: list[Put | Delete] = [Delete(keys.active(desk.context))]
    if desk.pending_terminate:
        writes.append(Put(keys.pending_terminate(desk.context), values.encode(False)))
    return writes


def _terminates(desk: Desk) -> bool:
    return any(element.event == QueueEvent.TERMINATE for element in desk.waiting)


def _state_writes(context: str, state: ContextState, reason: str) -> list[Put]:
    return [
        Put(keys.current_state(context), values.encode_state(state)),
        Put(keys.status(context), values.encode_state(state)),
        Put(keys.reason(context), values.encode(reason)),
    ]


def _missing_states(desk: Desk) -> list[Put]:
    """What a context gets the first time it is seen (appcontext 10.1)."""
    first: dict[str, bytes] = {
        keys.current_state(desk.context): values.encode_state(ContextState.CREATED),
        keys.status(desk.context): values.encode_state(ContextState.CREATED),
        keys.stop_flag(desk.context): values.encode(False),
        keys.pending_terminate(desk.context): values.encode(False),
    }
    return [Put(key, value) for key, value in first.items() if key not in desk.stored]


def _shortened(elements: tuple[QueueElement, ...]) -> tuple[QueueElement, ...]:
    done = [element for element in elements if element.status != QueueState.PENDING]
    dropped = len(done) - _KEPT
    if dropped <= 0:
        return elements
    oldest = {id(element) for element in done[:dropped]}
    return tuple(element for element in elements if id(element) not in oldest)


def _state(entry: Entry | None) -> ContextState:
    if entry is None:
        return ContextState.CREATED
    text = values.decode_state(entry.key, entry.value)
    try:
        return ContextState(text)
    except ValueError:
        raise values.MalformedContext(f"the value of {entry.key} is no state: {text[:50]}") from None


def _text(entry: Entry | None) -> str:
    return "" if entry is None else values.decode_string(entry.key, entry.value)


def _names(entry: Entry | None) -> tuple[str, ...]:
    return () if entry is None else values.strings(entry.key, values.decode(entry.key, entry.value))


def _flag(entry: Entry | None) -> bool:
    return entry is not None and values.decode_bool(entry.key, entry.value)
