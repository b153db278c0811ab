"""A deployment goes over to another group of the same composite app: migrate (9.3).

Two documents take part, and no write changes both. The source's operation leads: it is recorded first and ended last.
The target is held by a record of its own, which whoever resumes it leaves alone as long as the source's is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from emco_common.errors import NotFound
from emco_common.givingup import check_given_up, given_up, reason_of
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject, SubjectMissing
from emco_common.rpc import contextupdate_pb2
from emco_common.store.api import Key
from emco_orchestrator.asking import may_leave
from emco_orchestrator.groups import LIFECYCLE, Verb, missing_text
from emco_orchestrator.keeping import INHERITED_TAG, inherited_by
from emco_orchestrator.removalguard import Placement
from emco_orchestrator.resources import GROUP
from emco_orchestrator.tools import Tools


class Migrate(Procedure):
    """The part of the source. ``asked`` is the key of the target, and what else the request said."""

    verb = Verb.MIGRATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        source = await self._tools.running(subject, self.verb)
        try:
            target = await self._tools.groups.read(_target(asked))
        except SubjectMissing as error:
            name = asked["deploymentIntentGroup"]
            where = f"there is no group {name} in version {asked['compositeAppVersion']} of the composite app"
            raise NotFound(missing_text(Verb.RECEIVE, name), detail=where) from error
        LIFECYCLE.next(Verb.RECEIVE, target.state.state, name=target.name)
        self._tools.groups.refuse_if_busy(target)
        return Begun(self._tools.new_context(), source)

    async def build(self, subject: Subject, operation: Operation) -> None:
        async def choose(target: Subject) -> Begun:
            LIFECYCLE.next(Verb.RECEIVE, target.state.state, name=target.name)
            return Begun(operation.instance, operation.source)

        before = await self._tools.contexts.placement(operation.source)

        def allows(after: Placement) -> None:
            agreed = may_leave(operation.asked)
            self._tools.guard.check(before, after, agreed=agreed, verb=self.verb, name=subject.name)

        target = await self._tools.groups.begin(_target(operation.asked), Verb.RECEIVE, choose, asked=dict(subject.key))
        await self._tools.builder.build(
            target,
            operation.instance,
            source=operation.source,
            status_context=subject.state.status_context,
            verb=self.verb,
            allows=allows,
        )
        among = [operation.source, operation.instance]
        await check_given_up(self._tools.contexts, subject, given_up(operation.asked), among=among)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)
        await self._release(_target(operation.asked), operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        if await self._has_arrived(operation):
            return  # before a crash; what has become of the target since then is its own affair
        if subject.state.state is State.INSTANTIATE_STOPPED:
            await self._tools.contexts.set_stop_flag(operation.source, False)
        with self._tools.steps.timed("queue"):
            await self._tools.rsync.update(operation.source, operation.instance)
        await self._tools.give_up(operation)
        await self._arrive(subject, operation)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        state = subject.state
        why = f"migrated to {_where(operation.asked)}"
        return state.then(Action(State.UPDATED, operation.source, now, state.deployed_revision, why))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        target = await self._tools.groups.read(_target(operation.asked))
        await self._tools.tell(target, operation.instance, contextupdate_pb2.UPDATE)

    async def _has_arrived(self, operation: Operation) -> bool:
        try:
            target = await self._tools.groups.read(_target(operation.asked))
        except SubjectMissing:
            return True  # it cannot be deleted while it is held
        return operation.instance in target.state.instances

    async def _arrive(self, source: Subject, operation: Operation) -> None:
        now = self._tools.groups.clock()
        why = reason_of(operation.asked, f"migrated from {_where(source.key)}")
        former = dict.fromkeys((*(action.instance for action in source.state.deployment), *inherited_by(source)))

        async def arrived(target: Subject) -> Subject | None:
            state = target.state
            if operation.instance in state.instances:
                return None
            action = Action(State.INSTANTIATED, operation.instance, now, state.next_revision, why)
            ended = target.with_operation(None).with_state(
                state.then(action, status_context=source.state.status_context)
            )
            tags = {**ended.document.tags, INHERITED_TAG: [*former]}
            return Subject(replace(ended.document, tags=tags))

        await self._tools.groups.change(_target(operation.asked), arrived)

    async def _release(self, key: Key, instance: str) -> None:
        async def released(target: Subject) -> Subject | None:
            held = target.operation is not None and target.operation.instance == instance
            return target.with_operation(None) if held else None

        with suppress(SubjectMissing):
            await self._tools.groups.change(key, released)


class Receive(Procedure):
    """The part of the target: to be held. ``asked`` is the key of the source."""

    verb = Verb.RECEIVE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def is_left(self, subject: Subject, operation: Operation) -> bool:
        """When the source knows nothing of it: a process that was paused recorded it after its work was taken over.

        The source is asked first. A migration frees its target before it ends, so that a target which is held after
        that is held by none.
        """
        if await self._holds(operation.asked, operation.instance):
            return False
        return await self._holds(subject.key, operation.instance)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def _holds(self, key: Key, instance: str) -> bool:
        with suppress(SubjectMissing):
            operation = (await self._tools.groups.read(key)).operation
            return operation is not None and operation.instance == instance
        return False


def _target(asked: Mapping[str, str]) -> Key:
    return {name: asked[name] for name in GROUP.key_names}


def _where(key: Key) -> str:
    return f"{key['compositeAppVersion']}/{key['deploymentIntentGroup']}"
