"""Instantiate and terminate: the order of steps, and what remains when one of them fails.

The operation is recorded on the group first; the context is written next and becomes visible whole; rsync is told last.
A failure before rsync may know of the context undoes everything. From then on the operation only goes forward: when
rsync did not answer, or this process died, ``resume`` asks again (spec orchestrator-lifecycle 3, 9.1, defects 1 to 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from emco_common.appcontext.io import AppContextStore, ContextNotFound, new_id
from emco_common.appcontext.states import ContextState
from emco_common.errors import Conflict, EmcoError, NotFound, Unprocessable
from emco_common.lifecycle import Action, State
from emco_common.operations import Unfinished
from emco_common.rpc import contextupdate_pb2
from emco_common.rsyncclient import RsyncClient, RsyncNotRegistered, RsyncRefused, RsyncUnreachable
from emco_common.runtime import Clock
from emco_common.store.api import Key
from emco_orchestrator.assembly import assemble, groups_of, pruned
from emco_orchestrator.controllers import PLACEMENT, ControllerClient
from emco_orchestrator.groups import LIFECYCLE, Group, Groups, Operation, Phase, Verb
from emco_orchestrator.inputs import InputReader
from emco_orchestrator.measures import Steps
from emco_orchestrator.placement import survivors
from emco_orchestrator.rendering import Renderings

_log = structlog.get_logger()
_EVENTS = {Verb.INSTANTIATE: contextupdate_pb2.INSTANTIATE, Verb.TERMINATE: contextupdate_pb2.TERMINATE}
LOOK_AROUND = 15.0
"""Seconds between looks at what processes that are gone have left behind."""


class Deployments:
    """The lifecycle of deployment intent groups."""

    def __init__(
        self,
        groups: Groups,
        inputs: InputReader,
        renderings: Renderings,
        contexts: AppContextStore,
        controllers: ControllerClient,
        rsync: RsyncClient,
        *,
        steps: Steps,
        clock: Clock,
        randbelow: Callable[[int], int],
    ) -> None:
        self._groups = groups
        self._inputs = inputs
        self._renderings = renderings
        self._contexts = contexts
        self._controllers = controllers
        self._rsync = rsync
        self._steps = steps
        self._clock = clock
        self._randbelow = randbelow
        self._unfinished = Unfinished()
        self._events: set[asyncio.Task[None]] = set()

    async def approve(self, key: Key) -> None:
        await self._groups.approve(key)

    async def instantiate(self, key: Key) -> None:
        """Build the context of the group and hand it to rsync. Raises the errors of spec orchestrator-lifecycle 3.1."""
        group = await self._groups.read(key)
        LIFECYCLE.next(Verb.INSTANTIATE, group.state.state, name=group.name)
        await self._refuse_while_terminating(group)
        instance = new_id(self._randbelow)
        with self._unfinished.working_on(instance):
            group = await self._groups.begin(key, Verb.INSTANTIATE, instance)
            try:
                await self._build(instance, group)
                await self._groups.enter(key, instance, Phase.HANDOVER)
            except BaseException:
                await asyncio.shield(self._abandon(key, instance))
                raise
            await self._hand_over(key, Verb.INSTANTIATE, instance)

    async def terminate(self, key: Key) -> None:
        """Tell the controllers, then have rsync remove what the current context brought."""
        instance = (await self._groups.read(key)).state.instance
        with self._unfinished.working_on(instance):
            group = await self._groups.begin(key, Verb.TERMINATE, instance)
            try:
                await self._controllers.terminate_context(await self._inputs.controllers(group), instance)
                if group.state.state is State.INSTANTIATE_STOPPED:
                    await self._contexts.set_stop_flag(instance, False)
            except BaseException:
                await asyncio.shield(self._undo(key, instance))
                raise
            await self._hand_over(key, Verb.TERMINATE, instance)

    async def resume(self) -> None:
        """Bring to its end what this process or one that is gone has begun: at start, after silence, now and then."""
        await self._unfinished.resume(self._resume_all, every=LOOK_AROUND)

    async def _resume_all(self) -> None:
        for group in await self._groups.left_behind():
            if group.operation and not self._unfinished.is_at_work_on(group.operation.instance):
                await self._resume(group, group.operation)

    async def _resume(self, group: Group, operation: Operation) -> None:
        try:
            if operation.phase is Phase.BUILDING:
                await self._abandon(group.key, operation.instance)
            else:
                await self._hand_over(group.key, operation.verb, operation.instance, again=True)
            _log.info("operation_resumed", group=group.name, verb=operation.verb, instance=operation.instance)
        except EmcoError as error:
            _log.warning("operation_not_resumed", group=group.name, verb=operation.verb, error=str(error))

    async def _refuse_while_terminating(self, group: Group) -> None:
        if not group.state.instance:
            return
        with suppress(ContextNotFound):
            if await self._contexts.get_status(group.state.instance) == ContextState.TERMINATING:
                text = f"DeploymentIntentGroup {group.name} is still terminating"
                raise Conflict(f"{text}; wait until its deployedStatus is Terminated")

    async def _build(self, instance: str, group: Group) -> None:
        with self._steps.timed("read"):
            inputs = await self._inputs.read(group)
        asked = any(controller.type == PLACEMENT for controller in inputs.controllers)
        with self._steps.timed("place"):
            groups = groups_of(inputs)
        with self._steps.timed("render"):
            rendered = await self._renderings.all_of(inputs)
        with self._steps.timed("assemble"):
            context = assemble(instance, inputs, groups if asked else pruned(groups), rendered)
        with self._steps.timed("write"):
            await self._contexts.write_new(context)
        with self._steps.timed("controllers"):
            if asked:
                await self._controllers.filter_clusters(inputs.controllers, instance)
                await self._prune(instance)
            await self._controllers.update_context(inputs.controllers, instance)

    async def _prune(self, instance: str) -> None:
        for app in (await self._contexts.read(instance)).apps:
            kept = survivors({n: [c.name for c in clusters] for n, clusters in app.groups().items()})
            if not kept:
                raise NoClusterLeft(
                    f"No Qualified Clusters to deploy App {app.name}: the placement controllers left none"
                )
            for cluster in app.clusters:
                if cluster.name not in kept:
                    await self._contexts.delete_cluster(instance, app.name, cluster.name)

    async def _hand_over(self, key: Key, verb: Verb, instance: str, *, again: bool = False) -> None:
        """Tell rsync and record it. ``again``: rsync may have been told before, so only a refusal takes it back."""
        final = (RsyncRefused,) if again else (RsyncNotRegistered, RsyncUnreachable, RsyncRefused)
        try:
            with self._steps.timed("queue"):
                await (self._rsync.install if verb is Verb.INSTANTIATE else self._rsync.uninstall)(instance)
        except final:
            if verb is Verb.INSTANTIATE:
                await self._groups.enter(key, instance, Phase.BUILDING)
                await self._abandon(key, instance)
            else:
                await self._undo(key, instance)
            raise
        except BaseException:
            self._unfinished.remember()
            raise
        first = verb is Verb.INSTANTIATE
        state, revision = (State.INSTANTIATED, 1) if first else (State.TERMINATED, 0)
        try:
            await self._groups.finish(key, instance, Action(state, instance, self._clock(), revision))
        except BaseException:
            self._unfinished.remember()
            raise
        self._tell(key, instance, _EVENTS[verb])

    async def _abandon(self, key: Key, instance: str) -> None:
        """Leave nothing of an instantiate; what cannot be undone now is left to ``resume``."""
        try:
            await self._contexts.delete(instance)
        except BaseException:
            self._unfinished.remember()
            raise
        await self._undo(key, instance)

    async def _undo(self, key: Key, instance: str) -> None:
        try:
            await self._groups.finish(key, instance, None)
        except NotFound:
            return
        except BaseException:
            self._unfinished.remember()
            raise

    def _tell(self, key: Key, instance: str, event: contextupdate_pb2.EventType) -> None:
        async def tell() -> None:
            try:
                controllers = await self._inputs.controllers(await self._groups.read(key))
                await self._controllers.post_event(controllers, instance, event)
            except EmcoError as error:
                _log.warning("post_event_failed", group=key["deploymentIntentGroup"], error=str(error))

        task = asyncio.create_task(tell(), name=f"post event {instance}")
        self._events.add(task)
        task.add_done_callback(self._events.discard)


class NoClusterLeft(Unprocessable):
    """Placement controllers removed every cluster of an app."""
