"""Takes an operation through its phases, and brings to an end what was cut off.

begin → build → hand over → finish. What fails or crashes before the handover leaves nothing behind. From the handover
on the operation only goes forward: when rsync did not answer, or the process died, ``resume`` hands over again; only
a refusal takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime

import structlog

from emco_common.errors import EmcoError, NotFound
from emco_common.lifecycle import StateInfo
from emco_common.operations.record import Begun, Operation, Phase, Subject
from emco_common.operations.subjects import Subjects
from emco_common.operations.unfinished import Unfinished
from emco_common.rsyncclient import RsyncNotRegistered, RsyncRefused, RsyncUnreachable
from emco_common.store.api import Key

_log = structlog.get_logger()
LOOK_AROUND = 15.0
"""Seconds between looks at what processes that are gone have left behind."""
_NOT_TAKEN = (RsyncNotRegistered, RsyncUnreachable, RsyncRefused)


class Procedure:
    """What one verb does; the driver knows when. Everything after ``begin`` must do no harm when done again."""

    verb: str

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        """Refuse by raising, or choose the contexts. Nothing may be changed here."""
        raise NotImplementedError

    async def build(self, subject: Subject, operation: Operation) -> None:
        """Make what will be handed over; raising takes the operation back."""

    async def discard(self, operation: Operation) -> None:
        """Leave nothing of ``build``; raising keeps the operation for another attempt."""

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        """Ask rsync. Its refusal takes the operation back; anything else raised means that it will be asked again."""
        raise NotImplementedError

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        """The history with what was achieved. Pure."""
        raise NotImplementedError

    def spec(self, subject: Subject, operation: Operation) -> Mapping[str, object]:
        """Members of ``spec`` that are written together with the history. Pure."""
        return {}

    async def is_left(self, subject: Subject, operation: Operation) -> bool:
        """Whether this record is to be resumed: false for one that only holds its subject for another's operation."""
        return True

    async def ended(self, subject: Subject, operation: Operation) -> None:
        """Afterwards, in the background; what it raises is logged and lost."""


class Operations:
    """Runs the procedures of one kind of subject."""

    def __init__(self, subjects: Subjects, procedures: Iterable[Procedure]) -> None:
        self.subjects = subjects
        self._procedures = {procedure.verb: procedure for procedure in procedures}
        self._unfinished = Unfinished()
        self._afterwards: set[asyncio.Task[None]] = set()

    async def run(self, key: Key, verb: str, asked: Mapping[str, str] | None = None) -> Subject:
        """From the request to the end of the operation; answers the subject with its new history."""
        procedure = self._procedures[verb]
        asked = dict(asked or {})
        with self._unfinished.working_on(_id(key)):
            subject = await self.subjects.begin(key, verb, lambda present: procedure.begin(present, asked), asked=asked)
            operation = subject.operation
            assert operation is not None
            try:
                await procedure.build(subject, operation)
                await self.subjects.enter(key, operation.instance, Phase.HANDOVER)
            except BaseException:
                await asyncio.shield(self._abandon(key, procedure, operation))
                raise
            return await self._hand_over(subject, procedure, operation, final=_NOT_TAKEN)

    async def resume(self) -> None:
        """Bring to its end what this process or one that is gone has begun: at start, after silence, now and then."""
        await self._unfinished.resume(self._resume_all, every=LOOK_AROUND)

    async def _resume_all(self) -> None:
        for subject in await self.subjects.left_behind():
            if subject.operation and not self._unfinished.is_at_work_on(_id(subject.key)):
                await self._resume(subject, subject.operation)

    async def _resume(self, subject: Subject, operation: Operation) -> None:
        facts = {"subject": subject.name, "verb": operation.verb, "instance": operation.instance}
        procedure = self._procedures[operation.verb]
        try:
            if not await procedure.is_left(subject, operation):
                return
            if operation.phase is Phase.BUILDING:
                await self._abandon(subject.key, procedure, operation)
            else:
                await self._hand_over(subject, procedure, operation, final=(RsyncRefused,))
            _log.info("operation_resumed", **facts)
        except EmcoError as error:
            _log.warning("operation_not_resumed", **facts, error=str(error))

    async def _hand_over(
        self, subject: Subject, procedure: Procedure, operation: Operation, *, final: tuple[type[EmcoError], ...]
    ) -> Subject:
        key, instance = subject.key, operation.instance
        try:
            await procedure.hand_over(subject, operation)
        except final:
            await self.subjects.enter(key, instance, Phase.BUILDING)
            await asyncio.shield(self._abandon(key, procedure, operation))
            raise
        except BaseException:
            self._unfinished.remember()
            raise
        now = self.subjects.clock()
        try:
            ended = await self.subjects.finish(
                key,
                instance,
                lambda present: procedure.history(present, operation, now),
                **procedure.spec(subject, operation),
            )
        except BaseException:
            self._unfinished.remember()
            raise
        self._after(procedure, ended, operation)
        return ended

    async def _abandon(self, key: Key, procedure: Procedure, operation: Operation) -> None:
        """Leave nothing of the operation; what cannot be undone now is left to ``resume``."""
        try:
            await procedure.discard(operation)
            await self.subjects.finish(key, operation.instance, None)
        except NotFound:
            return
        except BaseException:
            self._unfinished.remember()
            raise

    def _after(self, procedure: Procedure, subject: Subject, operation: Operation) -> None:
        async def run() -> None:
            try:
                await procedure.ended(subject, operation)
            except EmcoError as error:
                _log.warning("afterwards_failed", subject=subject.name, verb=operation.verb, error=str(error))

        task = asyncio.create_task(run(), name=f"after {operation.verb} {operation.instance}")
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)


def _id(key: Key) -> str:
    return repr(sorted(key.items()))
