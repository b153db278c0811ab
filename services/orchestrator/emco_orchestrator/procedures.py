"""What instantiate, stop and terminate do to a deployment intent group (spec orchestrator-lifecycle 3, 9.1, 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from emco_common.appcontext.io import ContextNotFound
from emco_common.appcontext.states import ContextState
from emco_common.errors import Conflict
from emco_common.givingup import UNDER_WAY, check_given_up, given_up, reason_of
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rpc import contextupdate_pb2
from emco_orchestrator.groups import LIFECYCLE, NOTHING_UNDER_WAY, Verb
from emco_orchestrator.tools import Tools


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
        among = [operation.instance, *([operation.source] if operation.source else [])]
        await check_given_up(self._tools.contexts, subject, given_up(operation.asked), among=among)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with self._tools.steps.timed("queue"):
            if operation.source:
                await self._tools.rsync.update(operation.source, operation.instance)
            else:
                await self._tools.rsync.install(operation.instance)
        await self._tools.give_up(operation)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        state = subject.state
        action = Action(State.INSTANTIATED, operation.instance, now, state.next_revision, reason_of(operation.asked))
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
        if status not in UNDER_WAY:
            text = NOTHING_UNDER_WAY.format(name=subject.name)
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
        lost, instance = given_up(asked), subject.state.instance
        again = lost or await self._has_failed(subject)
        LIFECYCLE.next(Verb.LEAVE if again else self.verb, subject.state.state, name=subject.name)
        if not lost:
            await self._tools.status_of(instance)
        elif await self._tools.contexts.exists(instance):
            if await self._tools.contexts.get_status(instance) == ContextState.TERMINATED:
                raise Conflict(f"DeploymentIntentGroup {subject.name} is terminated already; nothing is waited for")
            await check_given_up(self._tools.contexts, subject, lost, among=[instance])
        return Begun(instance)

    async def build(self, subject: Subject, operation: Operation) -> None:
        if subject.state.state in _LEAVING:
            return  # controllers were told when it began to leave
        controllers = await self._tools.inputs.controllers(subject)
        await self._tools.controllers.terminate_context(controllers, operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        contexts, instance = self._tools.contexts, operation.instance
        lost = given_up(operation.asked)
        if lost and not await contexts.exists(instance):
            return
        if subject.state.state is not State.TERMINATED:
            await contexts.wait_again(instance)  # what an installation went without is another matter
        if lost:
            await contexts.give_up(instance, lost)
        if subject.state.state in (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED):
            await contexts.set_stop_flag(instance, False)
        if subject.state.state is not State.TERMINATED or await self._has_ended(instance):
            await self._uninstall(instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        action = Action(State.TERMINATED, operation.instance, now, reason=reason_of(operation.asked))
        return subject.state.then(action)

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


_LEAVING = frozenset({State.TERMINATED, State.TERMINATE_STOPPED})
