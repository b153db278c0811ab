"""Handing an AppContext to the resource synchronizer over gRPC (spec orchestrator-lifecycle 2.2 and 11, rsync 2).

rsync answers as soon as the work is durably queued; what becomes of it is read from the context's status. Where rsync
listens is what its controller record says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc import aio

from emco_common.contextbus.api import Put
from emco_common.errors import Conflict, EmcoError, Unavailable
from emco_common.metrics.peers import PeerCalls
from emco_common.rpc import (
    installapp_pb2,
    installapp_pb2_grpc,
    planapp_pb2,
    planapp_pb2_grpc,
    readynotify_pb2,
    readynotify_pb2_grpc,
    updateapp_pb2,
    updateapp_pb2_grpc,
)
from emco_common.rpc.channels import Channels, PeerUnreachable, cause_of
from emco_common.store.api import DocumentStore, Key

CONTROLLER_KEY: Key = {"controller": "rsync", "controllerGroup": "orchestrator"}
CONFIRMED_WITHIN = 2.0
"""Seconds within which a subscription is confirmed by a resource synchronizer that confirms it."""


class RsyncNotRegistered(Conflict):
    """No controller named rsync; nothing was asked of it."""


class RsyncUnreachable(Unavailable):
    """Nothing answers at the registered address; nothing was queued."""


class RsyncSilent(Unavailable):
    """rsync was called and did not answer: the work may or may not be queued. Asking again does no harm."""


class RsyncRefused(Conflict):
    """rsync says that it cannot do this; nothing was queued."""


class RsyncLacksMethod(RsyncRefused):
    """This resource synchronizer does not know the call; nothing was queued."""


class RsyncClient:
    """``timeout`` is how long rsync may take to queue the work, in seconds; ``calls`` are told how each goes."""

    def __init__(
        self, store: DocumentStore, channels: Channels, *, timeout: float, calls: PeerCalls | None = None
    ) -> None:
        self._store = store
        self._calls = calls or PeerCalls()
        self._channels = channels
        self._timeout = timeout

    async def install(self, context_id: str) -> None:
        """Bring the context to the clusters. Raises one of the errors of this module."""
        with self._calls.timed("rsync", "InstallApp"):
            stub = installapp_pb2_grpc.installappStub(await self._channel("InstallApp"))
            request = installapp_pb2.InstallAppRequest(app_context=context_id)
            answer = await self._call(stub.InstallApp, request)
            _accepted("InstallApp", answer.app_context_installed, answer.app_context_install_message)

    async def uninstall(self, context_id: str) -> None:
        """Remove what the context brought."""
        with self._calls.timed("rsync", "UninstallApp"):
            stub = installapp_pb2_grpc.installappStub(await self._channel("UninstallApp"))
            request = installapp_pb2.UninstallAppRequest(app_context=context_id)
            answer = await self._call(stub.UninstallApp, request)
            _accepted("UninstallApp", answer.app_context_uninstalled, answer.app_context_uninstall_message)

    async def update(self, old: str, new: str) -> None:
        """Replace what context ``old`` brought by what ``new`` holds."""
        with self._calls.timed("rsync", "UpdateApp"):
            stub = updateapp_pb2_grpc.updateappStub(await self._channel("UpdateApp"))
            request = updateapp_pb2.UpdateAppRequest(update_from_appContext=old, update_to_appContext=new)
            answer = await self._call(stub.UpdateApp, request)
            _accepted("UpdateApp", answer.app_context_updated, answer.app_context_update_message)

    async def alerts(
        self, status_context: str, *, client: str, patience: float = CONFIRMED_WITHIN
    ) -> AsyncGenerator[None, None]:
        """One item when subscribed, then one for each change of what clusters report, until rsync ends the stream.

        Our rsync says when the subscription stands; others say nothing before the first news, and count as subscribed
        after ``patience`` seconds. A second subscription under the same ``client`` ends the first. Raises as the other
        calls do.
        """
        stub = readynotify_pb2_grpc.readyNotifyStub(await self._channel("Alert"))
        stream = stub.Alert(readynotify_pb2.Topic(clientName=client, appContext=status_context))
        confirmed = asyncio.ensure_future(stream.initial_metadata())
        try:
            await asyncio.wait({confirmed}, timeout=patience)  # to cancel it would be to cancel the call
            yield None
            async for _ in stream:
                yield None
        except grpc.RpcError as error:
            raise RsyncSilent(cause_of(error)) from error
        finally:
            stream.cancel()
            await asyncio.gather(confirmed, return_exceptions=True)

    async def plan(
        self, context_id: str, entries: Sequence[Put], *, replaces: str = "", timeout: float
    ) -> AsyncGenerator[planapp_pb2.PlanAppPlace, None]:
        """What a context, given by its keys as it is not on the bus, would change on the clusters, place by place.
        ``replaces`` is the context it would replace. All of it may take ``timeout`` seconds. Raises as the other calls
        do; ``RsyncLacksMethod`` of an original one."""
        stub = planapp_pb2_grpc.planappStub(await self._channel("PlanApp"))
        values = {value: place for place, value in enumerate(dict.fromkeys(entry.value for entry in entries))}
        request = planapp_pb2.PlanAppRequest(
            app_context=context_id,
            replaces_app_context=replaces,
            values=list(values),
            entries=[planapp_pb2.PlanAppEntry(key=entry.key, value=values[entry.value]) for entry in entries],
        )
        call = stub.PlanApp(request, timeout=timeout)
        try:
            async for place in call:
                yield place
        except grpc.RpcError as error:
            raise _error_of(error) from error
        finally:
            call.cancel()

    async def rollback(self, old: str, new: str) -> None:
        """The same, back to a context that was there before: hooks of a rollback run instead of those of an update.

        A resource synchronizer that knows no rollback is asked for an update, as the original asks for both.
        """
        with self._calls.timed("rsync", "RollbackApp"):
            stub = updateapp_pb2_grpc.updateappStub(await self._channel("UpdateApp"))
            request = updateapp_pb2.RollbackAppRequest(rollback_from_appContext=old, rollback_to_appContext=new)
            try:
                answer = await self._call(stub.RollbackApp, request)
            except RsyncLacksMethod:
                await self.update(old, new)
            else:
                _accepted("UpdateApp", answer.app_context_rolledback, answer.app_context_rollback_message)

    async def _channel(self, operation: str) -> aio.Channel:
        record = await self._store.get(CONTROLLER_KEY)
        if record is None:
            raise RsyncNotRegistered(
                "queryRsyncInfoInMCODB Failed - Could not get find rsync by name : rsync"
                " (register it: POST /v2/controllers with metadata.name rsync, spec.host and spec.port)"
            )
        spec = record.body["spec"]
        try:
            return await self._channels.ready(str(spec["host"]), int(spec["port"]))
        except PeerUnreachable as error:
            raise RsyncUnreachable(f"{operation} Failed - Could not get InstallAppClient: rsync ({error})") from error

    async def _call(self, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        try:
            return await method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise _error_of(error) from error


def _error_of(error: grpc.RpcError) -> EmcoError:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return RsyncLacksMethod(cause_of(error))
    if error.code() in _REFUSED:
        return RsyncRefused(cause_of(error))
    if error.code() in _SILENT:
        return RsyncSilent(cause_of(error))
    return EmcoError(cause_of(error))


_REFUSED = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
_SILENT = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


def _accepted(operation: str, accepted: bool, message: str) -> None:
    if not accepted:
        raise RsyncRefused(f"{operation} Failed: {message}")
