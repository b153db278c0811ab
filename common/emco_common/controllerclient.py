"""Calling placement and action controllers (spec orchestrator-lifecycle 10); ``controllers`` is the other side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import grpc
import structlog

from emco_common.errors import EmcoError, Unavailable, Unprocessable
from emco_common.metrics.peers import PeerCalls
from emco_common.rpc import contextupdate_pb2, contextupdate_pb2_grpc, placement_pb2, placement_pb2_grpc
from emco_common.rpc.channels import Channels, PeerUnreachable, PeerUntrusted, cause_of

_log = structlog.get_logger()
PLACEMENT = "placement"
ACTION = "action"


@dataclass(frozen=True, slots=True)
class ControllerInput:
    """A controller that takes part, with the name of its intent."""

    name: str
    host: str
    port: int
    type: str
    priority: int
    intent: str


class ControllerFailed(Unprocessable):
    """A controller refused, or its call broke."""


class ControllerClient:
    """``timeout`` is the deadline of one call, in seconds; ``calls`` are told how each goes."""

    def __init__(self, channels: Channels, *, timeout: float, calls: PeerCalls | None = None) -> None:
        self._channels = channels
        self._timeout = timeout
        self._calls = calls or PeerCalls()

    async def filter_clusters(self, controllers: Iterable[ControllerInput], instance: str) -> None:
        """Let every placement controller, in order, remove clusters from the context."""
        for controller in _of_type(controllers, PLACEMENT):
            with self._calls.timed(controller.name, "FilterClusters"):
                await self._filter(controller, instance)

    async def _filter(self, controller: ControllerInput, instance: str) -> None:
        where = f"controllerName[{controller.name}] appContextId[{instance}]"
        try:
            channel = await self._channels.ready(controller.host, controller.port)
            stub = placement_pb2_grpc.PlacementControllerStub(channel)
            answer = await stub.FilterClusters(
                placement_pb2.ResourceRequest(appContext=instance), timeout=self._timeout
            )
        except PeerUnreachable as error:
            raise _away(f"FilterClusters Failed - Could not get client connection. {where}", error) from error
        except grpc.RpcError as error:
            raise ControllerFailed(cause_of(error)) from error
        if not answer.status:
            raise ControllerFailed(f"FilterClusters UnSuccessful - Received message[{answer.message}] for {where}")

    async def update_context(self, controllers: Iterable[ControllerInput], instance: str, *, source: str = "") -> None:
        """Let every action controller, in order, change the context; ``source`` is the one it replaces."""
        for controller in _of_type(controllers, ACTION):
            with self._calls.timed(controller.name, "UpdateAppContext"):
                await self._update(controller, instance, source=source)

    async def _update(self, controller: ControllerInput, instance: str, *, source: str) -> None:
        request = contextupdate_pb2.ContextUpdateRequest(
            app_context=instance, intent_name=controller.intent, update_from_appContext=source
        )
        try:
            stub = await self._action(controller)
            answer = await stub.UpdateAppContext(request, timeout=self._timeout)
        except PeerUnreachable as error:
            text = f"ContextUpdate Failed - Could not get ContextupdateClient: {controller.name}"
            raise _away(text, error) from error
        except grpc.RpcError as error:
            raise ControllerFailed(cause_of(error)) from error
        if not answer.app_context_updated:
            raise ControllerFailed(f"ContextUpdate Failed: {answer.app_context_update_message}")

    async def terminate_context(self, controllers: Iterable[ControllerInput], instance: str) -> None:
        """Tell every action controller, in order; one that has no such method is passed over."""
        for controller in _of_type(controllers, ACTION):
            with self._calls.timed(controller.name, "TerminateAppContext"):
                await self._terminate(controller, instance)

    async def _terminate(self, controller: ControllerInput, instance: str) -> None:
        try:
            stub = await self._action(controller)
            request = contextupdate_pb2.TerminateRequest(app_context=instance)
            answer = await stub.TerminateAppContext(request, timeout=self._timeout)
        except PeerUnreachable as error:
            raise _away(f"Error in callTerminateScheduler: {controller.name} is unreachable", error) from error
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED or "not implemented" in (error.details() or ""):
                return
            raise ControllerFailed(f"Error in callTerminateScheduler: {cause_of(error)}") from error
        if not answer.app_context_terminated:
            raise ControllerFailed(f"Error in callTerminateScheduler: {answer.app_context_terminated_message}")

    async def post_event(
        self, controllers: Sequence[ControllerInput], instance: str, event: contextupdate_pb2.EventType
    ) -> None:
        """Tell all; a failure is logged and hinders neither the others nor the operation, which is over."""
        for controller in controllers:
            try:
                with self._calls.timed(controller.name, "PostEvent"):
                    stub = await self._action(controller)
                    request = contextupdate_pb2.PostEventRequest(app_context=instance, event_type=event)
                    await stub.PostEvent(request, timeout=self._timeout)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    _log.warning("post_event_failed", controller=controller.name, error=cause_of(error))
            except EmcoError as error:
                _log.warning("post_event_failed", controller=controller.name, error=str(error))

    async def _action(self, controller: ControllerInput) -> contextupdate_pb2_grpc.contextupdateStub:
        return contextupdate_pb2_grpc.contextupdateStub(await self._channels.ready(controller.host, controller.port))


def _away(text: str, error: PeerUnreachable) -> Unavailable:
    """The original's text, and what it cannot know of: that somebody answers who is not believed."""
    return Unavailable(f"{text} ({error})" if isinstance(error, PeerUntrusted) else text, detail=str(error))


def _of_type(controllers: Iterable[ControllerInput], kind: str) -> list[ControllerInput]:
    return [controller for controller in controllers if controller.type == kind]
