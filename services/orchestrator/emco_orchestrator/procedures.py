"""What each verb does to a deployment intent group (spec orchestrator-lifecycle 3 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from emco_common.appcontext.io import AppContextStore, ContextNotFound, new_id
from emco_common.appcontext.states import ContextState
from emco_common.controllerclient import ControllerClient
from emco_common.errors import Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rpc import contextupdate_pb2
from emco_common.rsyncclient import RsyncClient
from emco_orchestrator.building import Builder
from emco_orchestrator.groups import LIFECYCLE, Verb
from emco_orchestrator.inputs import InputReader
from emco_orchestrator.measures import Steps


@dataclass(frozen=True, slots=True)
class Tools:
    """What the procedures work with."""

    inputs: InputReader
    builder: Builder
    contexts: AppContextStore
    controllers: ControllerClient
    rsync: RsyncClient
    steps: Steps
    randbelow: Callable[[int], int]

    async def tell(self, group: Subject, instance: str, event: contextupdate_pb2.EventType) -> None:
        """Post the event to every controller that the group's intents name (10.4)."""
        await self.controllers.post_event(await self.inputs.controllers(group), instance, event)


class Instantiate(Procedure):
    verb = Verb.INSTANTIATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        await self._refuse_while_terminating(subject)
        return Begun(new_id(self._tools.randbelow))

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.builder.build(subject, operation.instance)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        with self._tools.steps.timed("queue"):
            await self._tools.rsync.install(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        action = Action(State.INSTANTIATED, operation.instance, now, revision=1)
        return subject.state.then(action, status_context=operation.instance)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.INSTANTIATE)

    async def _refuse_while_terminating(self, subject: Subject) -> None:
        if not subject.state.instance:
            return
        with suppress(ContextNotFound):
            if await self._tools.contexts.get_status(subject.state.instance) == ContextState.TERMINATING:
                text = f"DeploymentIntentGroup {subject.name} is still terminating"
                raise Conflict(f"{text}; wait until its deployedStatus is Terminated")


class Terminate(Procedure):
    """Controllers are told first, and may object; then rsync removes what the current context brought (9.1)."""

    verb = Verb.TERMINATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        LIFECYCLE.next(self.verb, subject.state.state, name=subject.name)
        return Begun(subject.state.instance)

    async def build(self, subject: Subject, operation: Operation) -> None:
        controllers = await self._tools.inputs.controllers(subject)
        await self._tools.controllers.terminate_context(controllers, operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        if subject.state.state is State.INSTANTIATE_STOPPED:
            await self._tools.contexts.set_stop_flag(operation.instance, False)
        with self._tools.steps.timed("queue"):
            await self._tools.rsync.uninstall(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return subject.state.then(Action(State.TERMINATED, operation.instance, now))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.TERMINATE)
