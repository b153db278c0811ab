"""What each verb does to a logical cloud (spec dcm 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from emco_common.appcontext import AppContextStore, ContextNotFound, new_id
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rsyncclient import RsyncClient
from emco_common.store.api import Key, described
from emco_dcm import lifecycle
from emco_dcm.clouds import Clouds, is_admin
from emco_dcm.drafts import INDICES_TAG, Draft, Drafts
from emco_dcm.lifecycle import Verb
from emco_dcm.members import Members

_STOPPED = (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the procedures work with. ``changed`` is told of every cloud whose life has gone on."""

    clouds: Clouds
    contexts: AppContextStore
    drafts: Drafts
    members: Members
    rsync: RsyncClient
    randbelow: Callable[[int], int]
    changed: Callable[[Key], None]


class _Bringing(Procedure):
    """What makes a new context and hands it over."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        lifecycle.check(Verb(self.verb), await self._tools.clouds.situation(subject))
        return Begun(new_id(self._tools.randbelow), self._source(subject))

    async def build(self, subject: Subject, operation: Operation) -> None:
        draft = await self._draft(subject, operation, self._tools.clouds.subjects.clock())
        await self._tools.clouds.subjects.change(subject.key, _keeping(draft))
        await self._tools.contexts.write_new(draft.context)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await self._tools.rsync.update(operation.source, operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        revision, reason = subject.state.revision + 1, self._reason(operation)
        return subject.state.then(Action(State.UPDATED, operation.instance, now, revision, reason))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        self._tools.changed(subject.key)

    def _source(self, subject: Subject) -> str:
        return subject.state.instance

    def _reason(self, operation: Operation) -> str:
        return ""

    async def _draft(self, subject: Subject, operation: Operation, now: datetime) -> Draft:
        return await self._tools.drafts.whole(subject, operation, now=now)


class Instantiate(_Bringing):
    """Nothing of an earlier life counts any more, neither its context nor its certificates (5.2, defects 2 and 8)."""

    verb = Verb.INSTANTIATE

    async def build(self, subject: Subject, operation: Operation) -> None:
        await super().build(subject, operation)
        await self._tools.members.forget_certificates(subject.key)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await self._tools.rsync.install(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        action = Action(State.INSTANTIATED, operation.instance, now, subject.state.revision + 1)
        return subject.state.then(action, status_context=operation.instance)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await super().ended(subject, operation)
        for instance in subject.state.instances:
            if instance != operation.instance:
                await self._tools.contexts.delete(instance)

    def _source(self, subject: Subject) -> str:
        return ""


class Update(_Bringing):
    """What stands below the cloud comes into force; its status stays in the first context (5.4, defect 11)."""

    verb = Verb.UPDATE

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.members.refuse_to_lose_deployments(subject)
        await super().build(subject, operation)


class Renew(_Bringing):
    """New signing requests for the clusters in ``asked``, else for all; nothing else changes (defect 8)."""

    verb = Verb.RENEW

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        if is_admin(subject):
            raise Conflict("A Logical Cloud of level 0 has no user, and so no certificates")
        return await super().begin(subject, asked)

    def _reason(self, operation: Operation) -> str:
        return f"new certificates for {operation.asked['clusters'] or 'all clusters'}"

    async def _draft(self, subject: Subject, operation: Operation, now: datetime) -> Draft:
        clusters = frozenset(filter(None, operation.asked["clusters"].split(", ")))
        return await self._tools.drafts.with_new_requests(subject, operation, clusters, now=now)


class Terminate(Procedure):
    """Refused while a deployment may still be on the cloud (5.3)."""

    verb = Verb.TERMINATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        if groups := await self._tools.clouds.deployed_groups(subject.key):
            text = "Found at least one DIG associated with Logical Cloud attempted to be terminated"
            raise BadRequest(text, detail="It is used by " + "; ".join(described(group.key) for group in groups))
        lifecycle.check(Verb.TERMINATE, await self._tools.clouds.situation(subject))
        return Begun(subject.state.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        if subject.state.state in _STOPPED:
            await self._tools.contexts.set_stop_flag(operation.instance, False)
        await self._tools.contexts.wait_again(operation.instance)  # what was brought without one is another matter
        await self._tools.rsync.uninstall(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        action = Action(State.TERMINATED, operation.instance, now, subject.state.revision + 1)
        return subject.state.then(action)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        self._tools.changed(subject.key)


class Stop(Procedure):
    """rsync leaves off what it is doing for the cloud (5.5)."""

    verb = Verb.STOP

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        lifecycle.stopped(subject.state.state, await self._tools.clouds.situation(subject))
        return Begun(subject.state.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with suppress(ContextNotFound):  # nothing is left that could be stopped
            await self._tools.contexts.set_stop_flag(operation.instance, True)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        state = lifecycle.stopped_state(subject.state.state)
        return subject.state.then(Action(state, operation.instance, now, subject.state.revision + 1))


def _keeping(draft: Draft) -> Callable[[Subject], Awaitable[Subject | None]]:
    """What the draft has found out goes into the document, so that it is the same the next time."""

    async def kept(subject: Subject) -> Subject | None:
        tags = {**subject.document.tags, INDICES_TAG: dict(draft.indices)}
        changed = Subject(replace(subject.document, tags=tags)).with_spec(namespace=draft.namespace)
        return None if changed.document == subject.document else changed

    return kept
