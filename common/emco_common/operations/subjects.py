"""Documents with a history, read and changed by compare-and-swap: of several callers at once exactly one wins.

An operation is recorded before anything is done, so that a crash leaves its trace and a second one is refused (spec
orchestrator-lifecycle defects 1 and 2, dcm defect 26, ncm defects 9 and 10).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from emco_common.errors import Conflict, NotFound
from emco_common.lifecycle import STATE_TAG, StateInfo
from emco_common.operations.record import Begun, Operation, Phase, Subject
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import DocumentStore, Key, StaleRevision

_ATTEMPTS = 5


class SubjectMissing(NotFound):
    """There is no such document."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """All documents of one kind; ``presence`` is this process among those that serve the same store.

    ``changed`` is told the key of each document that has got a new history.
    """

    store: DocumentStore
    key_names: tuple[str, ...]
    title: str
    not_found: str
    clock: Clock
    presence: Presence
    changed: Callable[[Key], Awaitable[None]] | None = None

    async def read(self, key: Key) -> Subject:
        """Raises ``SubjectMissing``."""
        document = await self.store.get(key)
        if document is None:
            raise SubjectMissing(self.not_found)
        return Subject(document)

    async def all(self) -> list[Subject]:
        return [Subject(document) for document in await self.store.list(self.key_names, {})]

    async def change(self, key: Key, decide: Callable[[Subject], Awaitable[Subject | None]]) -> Subject:
        """Read, decide, write; again when somebody else wrote in between. ``None`` from ``decide`` writes nothing."""
        for _ in range(_ATTEMPTS):
            subject = await self.read(key)
            changed = await decide(subject)
            if changed is None:
                return subject
            try:
                written = Subject(await self.store.replace(changed.document, expected=subject.document.revision))
            except StaleRevision:
                continue
            if _history(written) != _history(subject):
                await self.tell(key)
            return written
        raise Conflict(f"{self.title} {subject.name} is being changed by others; try again")

    async def tell(self, key: Key) -> None:
        """Something that its status shows has changed, or the document is gone; done by itself for the history."""
        if self.changed is not None:
            await self.changed(key)

    async def begin(
        self,
        key: Key,
        verb: str,
        choose: Callable[[Subject], Awaitable[Begun]],
        *,
        asked: Mapping[str, str] | None = None,
        phase: Phase = Phase.BUILDING,
    ) -> Subject:
        """Record the start of an operation; ``choose`` refuses it by raising. Others get a ``Conflict`` meanwhile."""

        async def begun(subject: Subject) -> Subject:
            self.refuse_if_busy(subject)
            chosen = await choose(subject)
            await self.presence.wait()
            since = self.clock().isoformat(timespec="milliseconds")
            operation = Operation(
                verb, phase, chosen.instance, self.presence.name, since, chosen.source, dict(asked or {})
            )
            return subject.with_operation(operation)

        return await self.change(key, begun)

    async def enter(self, key: Key, instance: str, phase: Phase) -> Subject:
        """The operation is in ``phase`` from here on. Raises ``Conflict`` if another process has taken over."""

        async def entered(subject: Subject) -> Subject:
            return subject.with_operation(replace(self._own(subject, instance), phase=phase))

        return await self.change(key, entered)

    async def finish(
        self, key: Key, instance: str, history: Callable[[Subject], StateInfo] | None, **spec: object
    ) -> Subject:
        """End the operation with a new history or, without one, as if it had never been; ``spec`` members go along.

        Nothing is done if it was ended already; ``Conflict`` if another process has taken over.
        """

        async def finished(subject: Subject) -> Subject | None:
            if subject.operation is None or subject.operation.instance != instance:
                return None
            self._own(subject, instance)
            ended = subject.with_operation(None)
            if history is None:
                return ended
            return (ended.with_spec(**spec) if spec else ended).with_state(history(subject))

        return await self.change(key, finished)

    async def left_behind(self) -> list[Subject]:
        """Those with an operation of this process, or of one that is gone; all of them are this process's now."""
        others = await self.presence.others()
        left = [s for s in await self.all() if s.operation and s.operation.owner not in others]
        return [await self._take_over(subject, others) for subject in left]

    def refuse_if_busy(self, subject: Subject) -> None:
        """Raises ``Conflict`` while an operation is under way."""
        if operation := subject.operation:
            under_way = f"{operation.verb} is under way since {operation.since}"
            raise Conflict(f"{self.title} {subject.name} is busy: {under_way}; try again when it has ended")

    async def _take_over(self, subject: Subject, others: frozenset[str]) -> Subject:
        async def taken(present: Subject) -> Subject | None:
            operation = present.operation
            if operation is None or operation.owner in others or operation.owner == self.presence.name:
                return None
            return present.with_operation(replace(operation, owner=self.presence.name))

        return await self.change(subject.key, taken)

    def _own(self, subject: Subject, instance: str) -> Operation:
        operation = subject.operation
        if operation is None or operation.instance != instance or operation.owner != self.presence.name:
            raise Conflict(f"{self.title} {subject.name}: another process has taken over; look at its status")
        return operation


def _history(subject: Subject) -> object:
    return subject.document.tags.get(STATE_TAG)
