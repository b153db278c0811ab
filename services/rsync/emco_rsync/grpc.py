"""The gRPC services: every call answers as soon as its event is durably queued (rsync 2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from emco_common.appcontext.states import QueueEvent
from emco_common.errors import BadRequest
from emco_common.rpc import (
    installapp_pb2,
    installapp_pb2_grpc,
    readynotify_pb2,
    readynotify_pb2_grpc,
    updateapp_pb2,
    updateapp_pb2_grpc,
)
from emco_rsync.events.supervisor import Supervisor
from emco_rsync.notify import Subscriptions


class InstallApp(installapp_pb2_grpc.installappServicer):
    """Failures end the call with the text of the error; the server turns them into status codes."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def InstallApp(self, request: Any, context: Any) -> installapp_pb2.InstallAppResponse:
        await self._submit(request.app_context, QueueEvent.INSTANTIATE)
        return installapp_pb2.InstallAppResponse(app_context_installed=True)

    async def UninstallApp(self, request: Any, context: Any) -> installapp_pb2.UninstallAppResponse:
        await self._submit(request.app_context, QueueEvent.TERMINATE)
        return installapp_pb2.UninstallAppResponse(app_context_uninstalled=True)

    async def ReadAppContext(self, request: Any, context: Any) -> installapp_pb2.ReadAppContextResponse:
        await self._submit(request.app_context, QueueEvent.READ)
        return installapp_pb2.ReadAppContextResponse(
            app_context_read_successful=True, app_context_read_message="AppContext read successfully"
        )

    async def _submit(self, context_id: str, event: QueueEvent) -> None:
        if not context_id:
            raise BadRequest("appContexID is nil")
        await self._supervisor.submit(context_id, event)


class UpdateApp(updateapp_pb2_grpc.updateappServicer):
    """A rollback is an update to a context that was there before; only its hooks are others."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def UpdateApp(self, request: Any, context: Any) -> updateapp_pb2.UpdateAppResponse:
        await self._submit(request.update_from_appContext, request.update_to_appContext, rollback=False)
        return updateapp_pb2.UpdateAppResponse(app_context_updated=True)

    async def RollbackApp(self, request: Any, context: Any) -> updateapp_pb2.RollbackAppResponse:
        await self._submit(request.rollback_from_appContext, request.rollback_to_appContext, rollback=True)
        return updateapp_pb2.RollbackAppResponse(app_context_rolledback=True)

    async def _submit(self, old: str, new: str, *, rollback: bool) -> None:
        if not old or not new:
            raise BadRequest("appContexID is nil")
        await self._supervisor.submit_update(old, new, rollback=rollback)


class ReadyNotify(readynotify_pb2_grpc.readyNotifyServicer):
    """One message per change; the stream ends when the client goes or unsubscribes.

    The initial metadata is sent as soon as the subscription stands: whoever looks after that misses nothing.
    """

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def Alert(self, request: Any, context: Any) -> AsyncIterator[readynotify_pb2.Notification]:
        async with self._subscriptions.of(request.appContext, request.clientName) as news:
            await context.send_initial_metadata(())
            async for one in news:
                yield readynotify_pb2.Notification(appContext=one.context, app=one.app, cluster=one.cluster)

    async def Unsubscribe(self, request: Any, context: Any) -> readynotify_pb2.UnsubscribeResponse:
        self._subscriptions.unsubscribe(request.appContext, request.clientName)
        return readynotify_pb2.UnsubscribeResponse()


def register(server: aio.Server, *, supervisor: Supervisor, subscriptions: Subscriptions) -> None:
    installapp_pb2_grpc.add_installappServicer_to_server(InstallApp(supervisor), server)
    updateapp_pb2_grpc.add_updateappServicer_to_server(UpdateApp(supervisor), server)
    readynotify_pb2_grpc.add_readyNotifyServicer_to_server(ReadyNotify(subscriptions), server)
