"""Instantiate, terminate, update and stop: the order of steps, and what remains when one of them fails (spec dcm 5).

Everything is checked first; then the context is written, the new state recorded, and rsync told last. What rsync
surely did not take is undone. What it may have taken, or what a crash left between recording and telling, is told
again until it is taken; a second telling does no harm (defects 1, 2, 19).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from emco_common.appcontext import (
    App,
    AppContext,
    AppContextStore,
    AppDependencyForm,
    Cluster,
    ContextExists,
    Meta,
    new_id,
)
from emco_common.cloudconfig import AccessMissing, CloudConfigs
from emco_common.errors import BadRequest, Conflict, EmcoError, Unprocessable
from emco_common.lifecycle import Action, State
from emco_common.rsyncclient import RsyncClient, RsyncNotRegistered, RsyncRefused, RsyncUnreachable
from emco_common.runtime import Clock
from emco_common.store.api import Key
from emco_dcm import lifecycle
from emco_dcm.clouds import Cloud, Clouds, ClusterReference
from emco_dcm.lifecycle import Operation, Situation
from emco_dcm.schemas import ADMIN

_log = structlog.get_logger()
APP = "logical-cloud"
RESUME_PAUSE = 2.0
"""Seconds between attempts to hand over what rsync did not take."""
_NOT_TAKEN = (RsyncNotRegistered, RsyncRefused, RsyncUnreachable)
_STOPPED = (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED)


class LogicalClouds:
    """The life of logical clouds."""

    def __init__(
        self,
        clouds: Clouds,
        contexts: AppContextStore,
        access: CloudConfigs,
        rsync: RsyncClient,
        *,
        clock: Clock,
        randbelow: Callable[[int], int],
    ) -> None:
        self._clouds = clouds
        self._contexts = contexts
        self._access = access
        self._rsync = rsync
        self._clock = clock
        self._randbelow = randbelow
        self._unfinished = asyncio.Event()
        self._at_work: set[str] = set()

    async def instantiate(self, key: Key) -> None:
        """Raises ``NotFound``, ``BadRequest``, ``Conflict`` or ``Unprocessable`` (5.2), and the errors of rsync."""
        before = await self._possible(key, Operation.INSTANTIATE)
        context, namespace = await self._new_context(before)

        def instantiated(cloud: Cloud, situation: Situation) -> Cloud:
            lifecycle.check(Operation.INSTANTIATE, situation)
            info = cloud.info.then(self._action(State.INSTANTIATED, context.id, cloud), status_context=context.id)
            return cloud.with_info(info, namespace=namespace)

        cloud = await self._bring(key, context, instantiated)
        for instance in cloud.info.instances:
            if instance != context.id:
                await self._discard(instance)

    async def update(self, key: Key) -> Cloud:
        """Bring the cloud to what its references now say. Answers the cloud."""
        before = await self._possible(key, Operation.UPDATE)
        context, _ = await self._new_context(before, status_context=before.info.status_context)

        def updated(cloud: Cloud, situation: Situation) -> Cloud:
            lifecycle.check(Operation.UPDATE, situation)
            return cloud.with_info(cloud.info.then(self._action(State.UPDATED, context.id, cloud)))

        return await self._bring(key, context, updated)

    async def terminate(self, key: Key) -> None:
        """Raises ``NotFound``, ``BadRequest`` while a deployment uses the cloud, ``Conflict`` (5.1), and of rsync."""
        before = await self._clouds.read(key)
        if groups := await self._clouds.deployed_groups(key):
            text = "Found at least one DIG associated with Logical Cloud attempted to be terminated"
            raise BadRequest(f"{text}: {groups[0]}")
        lifecycle.check(Operation.TERMINATE, await self._clouds.situation(before))

        def terminated(cloud: Cloud, situation: Situation) -> Cloud:
            lifecycle.check(Operation.TERMINATE, situation)
            return cloud.with_info(cloud.info.then(self._action(State.TERMINATED, cloud.info.instance, cloud)))

        with self._working_on(before.info.instance):
            cloud = await self._clouds.change(key, terminated)
            await self._hand_over(cloud)

    async def stop(self, key: Key) -> None:
        """Ask rsync to leave off what it is doing for the cloud (5.5)."""

        def stopped(cloud: Cloud, situation: Situation) -> Cloud:
            state = lifecycle.stopped(cloud.info.state, situation)
            return cloud.with_info(cloud.info.then(self._action(state, cloud.info.instance, cloud)))

        cloud = await self._clouds.change(key, stopped)
        await self._contexts.set_stop_flag(cloud.info.instance, True)

    async def resume(self) -> None:
        """Until cancelled: at start, and whenever rsync did not answer, hand over what it has not taken."""
        self._unfinished.set()
        while True:
            await self._unfinished.wait()
            self._unfinished.clear()
            try:
                for cloud in await self._clouds.all():
                    await self._resume(cloud)
            except EmcoError as error:
                _log.warning("logical_clouds_not_read", error=str(error))
                self._unfinished.set()
            if self._unfinished.is_set():
                await asyncio.sleep(RESUME_PAUSE)

    async def _resume(self, cloud: Cloud) -> None:
        info = cloud.info
        if not info.instance:
            return
        if info.instance in self._at_work:
            self._unfinished.set()
            return
        try:
            if lifecycle.is_pending(info, await self._clouds.status_of(info.instance)):
                await self._hand_over(cloud, resuming=True)
                _log.info("operation_resumed", logical_cloud=cloud.name, state=info.state, instance=info.instance)
        except EmcoError as error:
            _log.warning("operation_not_resumed", logical_cloud=cloud.name, state=info.state, error=str(error))

    async def _possible(self, key: Key, operation: Operation) -> Cloud:
        cloud = await self._clouds.read(key)
        if cloud.level != ADMIN:
            raise Unprocessable(f"Logical Cloud level {cloud.level} is not supported yet")
        lifecycle.check(operation, await self._clouds.situation(cloud))
        return cloud

    async def _new_context(self, cloud: Cloud, *, status_context: str = "") -> tuple[AppContext, str]:
        """The context of a level-0 cloud and the namespace that its clusters share."""
        references = await self._clouds.references(cloud.key)
        if not references:
            raise BadRequest("No Cluster References associated")
        namespace = await self._shared_namespace(references)
        clusters = tuple(Cluster(reference.cluster_name) for reference in references)
        meta = Meta(project=cloud.key["project"], logical_cloud=cloud.name, namespace=namespace, level=ADMIN)
        context = AppContext(
            new_id(self._randbelow), (App(APP, clusters),), meta, status_context, AppDependencyForm.ABSENT
        )
        return context, namespace

    async def _shared_namespace(self, references: Sequence[ClusterReference]) -> str:
        namespaces = set()
        for reference in references:
            try:
                namespaces.add((await self._access.get(reference.provider, reference.cluster)).namespace)
            except AccessMissing as error:
                text = "The cluster provided as reference does not exist"
                raise Conflict(f"{text}: {reference.cluster_name}") from error
        if len(namespaces) > 1:
            raise Conflict("The clusters associated to this L0 logical cloud don't all share the same namespace name")
        return str(namespaces.pop())

    async def _bring(self, key: Key, context: AppContext, decide: Callable[[Cloud, Situation], Cloud]) -> Cloud:
        """Write the context, record it, tell rsync."""
        with self._working_on(context.id):
            try:
                await self._contexts.write_new(context)
                cloud = await self._clouds.change(key, decide)
            except ContextExists:
                raise
            except BaseException:
                await asyncio.shield(self._discard(context.id))
                raise
            await self._hand_over(cloud)
            return cloud

    async def _hand_over(self, cloud: Cloud, *, resuming: bool = False) -> None:
        """Tell rsync what the last action of the cloud asks for; undo the action if it surely will not be done."""
        final = (RsyncNotRegistered, RsyncRefused) if resuming else _NOT_TAKEN
        try:
            await self._tell(cloud)
        except final:
            await asyncio.shield(self._undo(cloud))
            raise
        except BaseException:
            self._unfinished.set()
            raise

    async def _tell(self, cloud: Cloud) -> None:
        info = cloud.info
        match info.state:
            case State.INSTANTIATED:
                await self._rsync.install(info.instance)
            case State.UPDATED:
                await self._rsync.update(info.actions[-2].instance, info.instance)
            case State.TERMINATED:
                if info.actions[-2].state in _STOPPED:
                    await self._contexts.set_stop_flag(info.instance, False)
                await self._rsync.uninstall(info.instance)

    async def _undo(self, cloud: Cloud) -> None:
        """Take back the last action, and the context it brought, unless something else has happened since."""
        undone = cloud.info

        def as_before(present: Cloud, _situation: Situation) -> Cloud:
            if present.info != undone:
                raise Conflict("the Logical Cloud has moved on")
            earlier = undone.actions[:-1]
            # A new instantiation replaces the status context; before the first there is none.
            status_context = undone.status_context
            if undone.state is State.INSTANTIATED:
                status_context = next((a.instance for a in reversed(earlier) if a.state is State.INSTANTIATED), "")
            return present.with_info(type(undone)(status_context, earlier))

        try:
            await self._clouds.change(cloud.key, as_before)
        except EmcoError as error:
            _log.warning("operation_not_undone", logical_cloud=cloud.name, state=undone.state, error=str(error))
            self._unfinished.set()
            return
        if undone.state is not State.TERMINATED:
            await self._discard(undone.instance)

    async def _discard(self, instance: str) -> None:
        """Remove a context; one that stays is in nobody's way and must not hide why it was to go."""
        try:
            await self._contexts.delete(instance)
        except EmcoError as error:
            _log.warning("context_not_removed", instance=instance, error=str(error))

    def _action(self, state: State, instance: str, cloud: Cloud) -> Action:
        return Action(state, instance, self._clock(), revision=cloud.info.revision + 1)

    @contextmanager
    def _working_on(self, instance: str) -> Iterator[None]:
        self._at_work.add(instance)
        try:
            yield
        finally:
            self._at_work.discard(instance)
