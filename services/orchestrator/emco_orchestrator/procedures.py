"""What instantiate, stop and terminate do to a deployment intent group (spec orchestrator-lifecycle 3, 9.1, 9.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.errors import BadRequest, Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rpc import contextupdate_pb2
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.tools import Tools

_UNDER_WAY = frozenset(
    {ContextState.CREATED, ContextState.INSTANTIATING, ContextState.UPDATING, ContextState.TERMINATING}
)
"""``Created``: the work is queued and has not begun."""


class Instantiate(Procedure):
    """What a termination that failed or was stopped has left on the clusters is taken over and, where the new context
    does not have it, removed: such a context is replaced like one that is updated, and keeps its status context."""

    verb = Verb.INSTANTIATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        return Begun(self._tools.new_context(), await self._left_over(subject))

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.builder.build(
            subject, operation.instance, status_context=subject.state.status_context if operation.source else ""
        )

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with self._tools.steps.timed("queue"):
            if operation.source:
                await self._tools.rsync.update(operation.source, operation.instance)
            else:
                await self._tools.rsync.install(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        state = subject.state
        action = Action(State.INSTANTIATED, operation.instance, now, revision=state.next_revision)
        return state.then(action, status_context=state.status_context if operation.source else operation.instance)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.INSTANTIATE)
        await self._tools.keeper.collect(subject)

    async def _left_over(self, subject: Subject) -> str:
        """The context of a termination that has come to a bad end. Raises ``Conflict`` while one is under way."""
        latest = subject.state.latest
        if latest is None or latest.state not in (State.TERMINATED, State.TERMINATE_STOPPED):
            return ""
        with suppress(ContextNotFound):
            status = await self._tools.contexts.get_status(latest.instance)
            if status == ContextState.TERMINATE_FAILED:
                return latest.instance
            if status not in (None, ContextState.TERMINATED):
                text = f"DeploymentIntentGroup {subject.name} is still terminating"
                raise Conflict(f"{text}; wait until its deployedStatus is Terminated")
        return ""


class Stop(Procedure):
    """rsync looks for the flag about once a second, and ends what it does at the next step (9.2)."""

    verb = Verb.STOP

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        status = await self._tools.status_of(subject.state.instance)
        if status not in _UNDER_WAY:
            text = f"DeploymentIntentGroup is not instantiating or terminating:{subject.name}"
            raise Conflict(text, detail=f"its deployedStatus is {status or 'not known yet'}")
        return Begun(subject.state.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with suppress(ContextNotFound):
            await self._tools.contexts.set_stop_flag(operation.instance, True)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        state = LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        assert state is not None
        return subject.state.then(Action(state, operation.instance, now))


class Terminate(Procedure):
    """Controllers are told first, and may object; then rsync removes what the deployment has brought (9.1).

    With clusters to give up (``asked["giveUp"]``, joined by commas) those are not waited for, and it is possible where
    a termination is under way or was stopped as well: a cluster that is lost keeps nobody for ever (defect 33).
    Without, it may be asked for again once it has failed.
    """

    verb = Verb.TERMINATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        given_up = _given_up(asked)
        again = given_up or await self._has_failed(subject)
        LIFECYCLE.next(Verb.GIVE_UP if again else self.verb, subject.state.state, name=subject.name)
        instance = subject.state.instance
        if not given_up:
            await self._tools.status_of(instance)
        elif await self._tools.contexts.exists(instance):
            await self._check(subject, given_up)
        return Begun(instance)

    async def build(self, subject: Subject, operation: Operation) -> None:
        if subject.state.state in _LEAVING:
            return  # controllers were told when it began to leave
        controllers = await self._tools.inputs.controllers(subject)
        await self._tools.controllers.terminate_context(controllers, operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        contexts, instance = self._tools.contexts, operation.instance
        given_up = _given_up(operation.asked)
        if given_up and not await contexts.exists(instance):
            return
        if given_up:
            await contexts.give_up(instance, given_up)
        if subject.state.state in (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED):
            await contexts.set_stop_flag(instance, False)
        if subject.state.state is not State.TERMINATED or await self._has_ended(instance):
            await self._uninstall(instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        given_up = _given_up(operation.asked)
        why = f"gave up {', '.join(given_up)}" if given_up else ""
        return subject.state.then(Action(State.TERMINATED, operation.instance, now, reason=why))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.TERMINATE)

    async def _uninstall(self, instance: str) -> None:
        contexts, rsync = self._tools.contexts, self._tools.rsync
        meta = await contexts.read_meta(instance)
        with self._tools.steps.timed("queue"):
            for child in meta.child_contexts if meta else ():
                if await contexts.exists(child):
                    await rsync.uninstall(child)
            await rsync.uninstall(instance)

    async def _has_failed(self, subject: Subject) -> bool:
        """A termination that came to a bad end may be asked for again, when what stood in its way is mended."""
        if subject.state.state is not State.TERMINATED:
            return False
        with suppress(ContextNotFound):
            return await self._has_ended(subject.state.instance)
        return False

    async def _has_ended(self, instance: str) -> bool:
        """A removal that goes on hears by itself that a cluster was given up."""
        return await self._tools.contexts.get_status(instance) == ContextState.TERMINATE_FAILED

    async def _check(self, subject: Subject, given_up: Sequence[str]) -> None:
        state = subject.state
        if await self._tools.contexts.get_status(state.instance) == ContextState.TERMINATED:
            raise Conflict(f"DeploymentIntentGroup {subject.name} is terminated already; nothing is waited for")
        known = {
            cluster.name for app in (await self._tools.contexts.read(state.instance)).apps for cluster in app.clusters
        }
        with suppress(ContextNotFound):
            known |= {cluster for _, cluster in (await self._tools.contexts.read_status(state.status_context)).clusters}
        unknown = sorted(set(given_up) - known)
        if unknown:
            there = ", ".join(sorted(known)) or "none"
            raise BadRequest(f"giveUp {unknown[0]}: {subject.name} is not on this cluster; it is on {there}")


_LEAVING = frozenset({State.TERMINATED, State.TERMINATE_STOPPED})


def _given_up(asked: Mapping[str, str]) -> Sequence[str]:
    return [name for name in asked.get("giveUp", "").split(",") if name]
