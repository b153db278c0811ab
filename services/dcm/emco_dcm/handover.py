"""Telling rsync what the last action of a cloud asks for, and what follows when it does not take it (spec dcm 5).

What rsync surely did not take is undone. What it may have taken, or what a crash left between recording and telling, is
told again until it is taken; a second telling does no harm (defects 1, 2, 19).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

import structlog

from emco_common.appcontext import AppContextStore
from emco_common.errors import Conflict, EmcoError
from emco_common.lifecycle import State
from emco_common.operations import Unfinished
from emco_common.rsyncclient import RsyncClient, RsyncNotRegistered, RsyncRefused, RsyncUnreachable
from emco_dcm import lifecycle
from emco_dcm.clouds import Cloud, Clouds
from emco_dcm.lifecycle import Situation

_log = structlog.get_logger()
_NOT_TAKEN = (RsyncNotRegistered, RsyncRefused, RsyncUnreachable)
_STOPPED = (State.INSTANTIATE_STOPPED, State.TERMINATE_STOPPED)


class Handover:
    """Between the recorded state of clouds and rsync."""

    def __init__(self, clouds: Clouds, contexts: AppContextStore, rsync: RsyncClient) -> None:
        self._clouds = clouds
        self._contexts = contexts
        self._rsync = rsync
        self._unfinished = Unfinished()

    def working_on(self, instance: str) -> AbstractContextManager[None]:
        """``resume`` keeps away from a context that a request is busy with."""
        return self._unfinished.working_on(instance)

    async def hand_over(self, cloud: Cloud, *, resuming: bool = False) -> None:
        """Tell rsync what the last action of the cloud asks for; undo the action if it surely will not be done."""
        final = (RsyncNotRegistered, RsyncRefused) if resuming else _NOT_TAKEN
        try:
            await self._tell(cloud)
        except final:
            await asyncio.shield(self._undo(cloud))
            raise
        except BaseException:
            self._unfinished.remember()
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
            self._unfinished.remember()
            return
        if undone.state is not State.TERMINATED:
            await self.discard(undone.instance)

    async def discard(self, instance: str) -> None:
        """Remove a context; one that stays is in nobody's way and must not hide why it was to go."""
        try:
            await self._contexts.delete(instance)
        except EmcoError as error:
            _log.warning("context_not_removed", instance=instance, error=str(error))

    async def resume(self) -> None:
        """Until cancelled: at start, and whenever rsync did not answer, hand over what it has not taken."""
        await self._unfinished.resume(self._resume_all)

    async def _resume_all(self) -> None:
        for cloud in await self._clouds.all():
            await self._resume(cloud)

    async def _resume(self, cloud: Cloud) -> None:
        info = cloud.info
        if not info.instance:
            return
        if self._unfinished.is_at_work_on(info.instance):
            self._unfinished.remember()
            return
        try:
            if lifecycle.is_pending(info, await self._clouds.status_of(info.instance)):
                await self.hand_over(cloud, resuming=True)
                _log.info("operation_resumed", logical_cloud=cloud.name, state=info.state, instance=info.instance)
        except EmcoError as error:
            _log.warning("operation_not_resumed", logical_cloud=cloud.name, state=info.state, error=str(error))
