"""What makes a process a placement or an action controller: one pure function, and this shell around it.

A placement controller says which clusters an app must not go to; an action controller says how the objects of the
context change. Both get the whole context as it stands. The shell serves the gRPC contract of spec
orchestrator-lifecycle 14, reads the context, applies the decision and answers. ``docs/extending.md`` shows one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from grpc import aio

from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import AppContext, Resource
from emco_common.errors import EmcoError
from emco_common.rpc import contextupdate_pb2, contextupdate_pb2_grpc, placement_pb2, placement_pb2_grpc


@dataclass(frozen=True, slots=True)
class RemoveCluster:
    """Take a cluster from an app."""

    app: str
    cluster: str


@dataclass(frozen=True, slots=True)
class PutResource:
    """Add an object at the end of the order of one cluster, or replace the one of the same name."""

    app: str
    cluster: str
    resource: Resource


@dataclass(frozen=True, slots=True)
class RemoveResource:
    app: str
    cluster: str
    name: str


Change = PutResource | RemoveResource
Filter = Callable[[AppContext], Iterable[RemoveCluster]]
Update = Callable[[AppContext, Any], Iterable[Change]]
"""(context, the controller's intents) → changes."""
ReadIntents = Callable[[AppContext, str], Awaitable[Any]]
"""(context, name of the intent) → whatever the controller's ``Update`` understands."""


def serve_placement(contexts: AppContextStore, decide: Filter) -> Callable[[aio.Server], None]:
    """Registers a placement controller with a gRPC server."""

    def register(server: aio.Server) -> None:
        placement_pb2_grpc.add_PlacementControllerServicer_to_server(_Placement(contexts, decide), server)

    return register


def serve_action(contexts: AppContextStore, decide: Update, read_intents: ReadIntents) -> Callable[[aio.Server], None]:
    """Registers an action controller with a gRPC server. Terminate and post events are answered as not implemented."""

    def register(server: aio.Server) -> None:
        contextupdate_pb2_grpc.add_contextupdateServicer_to_server(_Action(contexts, decide, read_intents), server)

    return register


class _Placement(placement_pb2_grpc.PlacementControllerServicer):
    def __init__(self, contexts: AppContextStore, decide: Filter) -> None:
        self._contexts = contexts
        self._decide = decide

    async def FilterClusters(
        self, request: placement_pb2.ResourceRequest, context: aio.ServicerContext
    ) -> placement_pb2.ResourceResponse:
        instance = request.appContext
        try:
            for removal in self._decide(await self._contexts.read(instance)):
                await self._contexts.delete_cluster(instance, removal.app, removal.cluster)
        except EmcoError as error:
            return placement_pb2.ResourceResponse(appContext=instance, status=False, message=str(error))
        return placement_pb2.ResourceResponse(appContext=instance, status=True)


class _Action(contextupdate_pb2_grpc.contextupdateServicer):
    def __init__(self, contexts: AppContextStore, decide: Update, read_intents: ReadIntents) -> None:
        self._contexts = contexts
        self._decide = decide
        self._read_intents = read_intents

    async def UpdateAppContext(
        self, request: contextupdate_pb2.ContextUpdateRequest, context: aio.ServicerContext
    ) -> contextupdate_pb2.ContextUpdateResponse:
        try:
            before = await self._contexts.read(request.app_context)
            intents = await self._read_intents(before, request.intent_name)
            for change in self._decide(before, intents):
                await self._apply(request.app_context, change)
        except EmcoError as error:
            return contextupdate_pb2.ContextUpdateResponse(
                app_context_updated=False, app_context_update_message=str(error)
            )
        return contextupdate_pb2.ContextUpdateResponse(app_context_updated=True)

    async def TerminateAppContext(
        self, request: contextupdate_pb2.TerminateRequest, context: aio.ServicerContext
    ) -> contextupdate_pb2.TerminateResponse:
        return await _unimplemented(context, "TerminateAppContext")

    async def PostEvent(
        self, request: contextupdate_pb2.PostEventRequest, context: aio.ServicerContext
    ) -> contextupdate_pb2.PostEventResponse:
        return await _unimplemented(context, "PostEvent")

    async def _apply(self, instance: str, change: Change) -> None:
        if isinstance(change, PutResource):
            await self._contexts.put_resource(instance, change.app, change.cluster, change.resource)
        else:
            await self._contexts.delete_resource(instance, change.app, change.cluster, change.name)


async def _unimplemented(context: aio.ServicerContext, method: str) -> NoReturn:
    # The original recognises the text, not the code (orchestrator-lifecycle 14).
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"method {method} not implemented")
    raise AssertionError("abort raises")
