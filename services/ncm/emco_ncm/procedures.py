"""What each verb does to the networks of a cluster (spec ncm 6, defects 9 to 12 and 18)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from emco_common.appcontext import (
    App,
    AppContext,
    AppContextStore,
    AppDependencyForm,
    Cluster,
    ContextNotFound,
    new_id,
)
from emco_common.controllerclient import ACTION, ControllerClient, ControllerInput
from emco_common.errors import Conflict
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.operations import Begun, Operation, Procedure, Subject
from emco_common.rpc import contextupdate_pb2
from emco_common.rsyncclient import RsyncClient, RsyncRefused
from emco_ncm import lifecycle
from emco_ncm.clusters import NetworkSets, info_of, name_of
from emco_ncm.lifecycle import Verb
from emco_ncm.resources import CONTROLLER

APP = "network-intents"
_STOPPED = (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED)
_BUSY = "Cluster network intents were changed by another request; look at their status"


@dataclass(frozen=True, slots=True)
class Tools:
    """What the procedures work with."""

    sets: NetworkSets
    contexts: AppContextStore
    controllers: ControllerClient
    rsync: RsyncClient
    randbelow: Callable[[int], int]

    async def build(self, cluster: Subject, operation: Operation, *, status_context: str = "") -> None:
        """Write the context of the cluster's networks and let every controller have its say."""
        resources = await self.sets.rendered(cluster.key)
        app = App(APP, (Cluster(name_of(cluster.key), resources=resources),))
        context = AppContext(
            operation.instance,
            (app,),
            status_context=status_context,
            dependency_form=AppDependencyForm.WRAPPED,
        )
        await self.contexts.write_new(context)
        await self.controllers.update_context(
            await self.participants(cluster), operation.instance, source=operation.source
        )

    async def participants(self, cluster: Subject) -> list[ControllerInput]:
        """Every registered network controller, by priority; the cluster's name stands for an intent."""
        documents = await self.sets.store.list(CONTROLLER.key_names, CONTROLLER.fixed)
        found = [(document.key["controller"], document.body["spec"]) for document in documents]
        return [
            ControllerInput(name, spec["host"], spec["port"], ACTION, spec["priority"], name_of(cluster.key))
            for name, spec in sorted(found, key=lambda one: (one[1]["priority"], one[0]))
        ]

    async def set_stop_flag(self, instance: str, stop: bool) -> None:
        """A context that went away meanwhile is a refusal, after which nothing is tried again."""
        try:
            await self.contexts.set_stop_flag(instance, stop)
        except ContextNotFound as error:
            raise RsyncRefused(str(error)) from error

    async def tell(self, cluster: Subject, instance: str, event: contextupdate_pb2.EventType) -> None:
        await self.controllers.post_event(await self.participants(cluster), instance, event)


class Apply(Procedure):
    """All intents become a new context, which rsync installs (6.1)."""

    verb = Verb.APPLY

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        info = info_of(subject)
        if lifecycle.to_apply(info, await self._tools.sets.progress(info)) is not self.verb:
            raise Conflict(_BUSY)
        return Begun(new_id(self._tools.randbelow))

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.build(subject, operation)

    async def discard(self, operation: Operation) -> None:
        await self._tools.contexts.delete(operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await self._tools.rsync.install(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        action = Action(State.APPLIED, operation.instance, now)
        return info_of(subject).then(action, status_context=operation.instance)

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.INSTANTIATE)


class Update(Apply):
    """What the intents say now takes the place of what was applied; the status stays where it is kept."""

    verb = Verb.UPDATE

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        info = info_of(subject)
        lifecycle.check_update(info, await self._tools.sets.progress(info))
        return Begun(new_id(self._tools.randbelow), source=info.instance)

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.build(subject, operation, status_context=info_of(subject).status_context)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await self._tools.rsync.update(operation.source, operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return info_of(subject).then(Action(State.APPLIED, operation.instance, now, reason="update"))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.UPDATE)


class Retry(Procedure):
    """What failed is handed over again as it is (defect 12)."""

    verb = Verb.RETRY

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        info = info_of(subject)
        if lifecycle.to_apply(info, await self._tools.sets.progress(info)) is not self.verb:
            raise Conflict(_BUSY)
        return Begun(info.instance, source=lifecycle.source_of(info))

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        if operation.source:
            await self._tools.rsync.update(operation.source, operation.instance)
        else:
            await self._tools.rsync.install(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return info_of(subject).then(Action(State.APPLIED, operation.instance, now, reason="retry"))


class Terminate(Procedure):
    """Controllers are told first, and may object; then rsync removes what the present context brought (6.2)."""

    verb = Verb.TERMINATE

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        info = info_of(subject)
        if not lifecycle.to_terminate(info, await self._tools.sets.progress(info)):
            raise Conflict(_BUSY)
        return Begun(info.instance)

    async def build(self, subject: Subject, operation: Operation) -> None:
        await self._tools.controllers.terminate_context(await self._tools.participants(subject), operation.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        if info_of(subject).state in _STOPPED:
            await self._tools.set_stop_flag(operation.instance, False)
        await self._tools.rsync.uninstall(operation.instance)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        return info_of(subject).then(Action(State.TERMINATED, operation.instance, now))

    async def ended(self, subject: Subject, operation: Operation) -> None:
        await self._tools.tell(subject, operation.instance, contextupdate_pb2.TERMINATE)


class Stop(Procedure):
    """rsync leaves off what it is doing (6.2)."""

    verb = Verb.STOP

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def begin(self, subject: Subject, asked: Mapping[str, str]) -> Begun:
        info = info_of(subject)
        lifecycle.stopped(info, await self._tools.sets.progress(info))
        return Begun(info.instance)

    async def hand_over(self, subject: Subject, operation: Operation) -> None:
        await self._tools.set_stop_flag(operation.instance, True)

    def history(self, subject: Subject, operation: Operation, now: datetime) -> StateInfo:
        info = info_of(subject)
        state = lifecycle.LIFECYCLE.next(self.verb, info.state, name="")
        assert state is not None
        return info.then(Action(state, operation.instance, now))
