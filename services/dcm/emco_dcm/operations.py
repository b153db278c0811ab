"""Instantiate, terminate, update and stop: the order of steps (spec dcm 5).

Everything is checked first; then the context is written, the new state recorded, and rsync told last (defects 1, 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

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
from emco_common.errors import BadRequest, Conflict, Unprocessable
from emco_common.lifecycle import Action, State
from emco_common.runtime import Clock
from emco_common.store.api import Key, described
from emco_dcm import lifecycle
from emco_dcm.clouds import Cloud, Clouds, ClusterReference
from emco_dcm.handover import Handover
from emco_dcm.lifecycle import Operation, Situation
from emco_dcm.schemas import ADMIN

APP = "logical-cloud"


class LogicalClouds:
    """The life of logical clouds."""

    def __init__(
        self,
        clouds: Clouds,
        contexts: AppContextStore,
        access: CloudConfigs,
        handover: Handover,
        *,
        clock: Clock,
        randbelow: Callable[[int], int],
    ) -> None:
        self._clouds = clouds
        self._contexts = contexts
        self._access = access
        self._handover = handover
        self._clock = clock
        self._randbelow = randbelow

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
                await self._handover.discard(instance)

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
            raise BadRequest(text, detail=f"It is used by {described(groups[0])}")
        lifecycle.check(Operation.TERMINATE, await self._clouds.situation(before))

        def terminated(cloud: Cloud, situation: Situation) -> Cloud:
            lifecycle.check(Operation.TERMINATE, situation)
            return cloud.with_info(cloud.info.then(self._action(State.TERMINATED, cloud.info.instance, cloud)))

        with self._handover.working_on(before.info.instance):
            cloud = await self._clouds.change(key, terminated)
            await self._handover.hand_over(cloud)

    async def stop(self, key: Key) -> None:
        """Ask rsync to leave off what it is doing for the cloud (5.5)."""

        def stopped(cloud: Cloud, situation: Situation) -> Cloud:
            state = lifecycle.stopped(cloud.info.state, situation)
            return cloud.with_info(cloud.info.then(self._action(state, cloud.info.instance, cloud)))

        cloud = await self._clouds.change(key, stopped)
        await self._contexts.set_stop_flag(cloud.info.instance, True)

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
        with self._handover.working_on(context.id):
            try:
                await self._contexts.write_new(context)
                cloud = await self._clouds.change(key, decide)
            except ContextExists:
                raise
            except BaseException:
                await asyncio.shield(self._handover.discard(context.id))
                raise
            await self._handover.hand_over(cloud)
            return cloud

    def _action(self, state: State, instance: str, cloud: Cloud) -> Action:
        return Action(state, instance, self._clock(), revision=cloud.info.revision + 1)
