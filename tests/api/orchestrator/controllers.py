"""Controllers for tests: real gRPC servers that note when they are asked and for what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc import aio

from emco_common.appcontext import AppContext
from emco_common.controllers import Change, RemoveCluster, serve_action, serve_placement
from emco_common.rpc import (
    contextupdate_pb2,
    contextupdate_pb2_grpc,
    placement_pb2,
    placement_pb2_grpc,
)
from emco_common.rpc.serving import GrpcServer
from tests.support.core import Core, named

Call = tuple[str, ...]


@dataclass
class Log:
    """Every call to any controller, in order: name, method, and what was given."""

    calls: list[Call] = field(default_factory=list)

    def methods(self) -> list[tuple[str, str]]:
        return [(call[0], call[1]) for call in self.calls]


@dataclass
class Servicer:
    """Both contracts by hand, with every method; ``says`` is what it answers: empty is yes."""

    name: str
    log: Log
    says: str = ""
    aborts: grpc.StatusCode | None = None

    async def FilterClusters(self, request: Any, context: Any) -> placement_pb2.ResourceResponse:
        await self._note(context, "filter", request.appContext)
        return placement_pb2.ResourceResponse(status=not self.says, message=self.says)

    async def UpdateAppContext(self, request: Any, context: Any) -> contextupdate_pb2.ContextUpdateResponse:
        await self._note(context, "update", request.app_context, request.intent_name, request.update_from_appContext)
        return contextupdate_pb2.ContextUpdateResponse(
            app_context_updated=not self.says, app_context_update_message=self.says
        )

    async def TerminateAppContext(self, request: Any, context: Any) -> contextupdate_pb2.TerminateResponse:
        await self._note(context, "terminate", request.app_context)
        return contextupdate_pb2.TerminateResponse(
            app_context_terminated=not self.says, app_context_terminated_message=self.says
        )

    async def PostEvent(self, request: Any, context: Any) -> contextupdate_pb2.PostEventResponse:
        event = contextupdate_pb2.EventType.Name(request.event_type)
        await self._note(context, "event", request.app_context, event)
        return contextupdate_pb2.PostEventResponse(success=True)

    def register(self, server: aio.Server) -> None:
        placement_pb2_grpc.add_PlacementControllerServicer_to_server(self, server)
        contextupdate_pb2_grpc.add_contextupdateServicer_to_server(self, server)

    async def _note(self, context: Any, method: str, *given: str) -> None:
        self.log.calls.append((self.name, method, *given))
        if self.aborts is not None:
            await context.abort(self.aborts, self.says)


@asynccontextmanager
async def serving(
    world: Core, name: str, kind: str, register: Callable[[aio.Server], None], *, priority: int = 1
) -> AsyncIterator[None]:
    """A registered controller; its record stays, as an intent may name it."""
    server = GrpcServer("127.0.0.1", 0, register)
    await server.start()
    body = named(name, host="127.0.0.1", port=server.port, type=kind, priority=priority)
    await world.call("PUT", f"/v2/controllers/{name}", body)
    try:
        yield
    finally:
        await server.stop(grace=0)


def placement(world: Core, name: str, log: Log, *removals: RemoveCluster) -> Callable[[aio.Server], None]:
    """One made with the kernel's shell, which takes these clusters away."""

    def decide(context: AppContext) -> Iterable[RemoveCluster]:
        log.calls.append((name, "filter", context.id))
        return removals

    return serve_placement(world.contexts, decide)


def action(world: Core, name: str, log: Log, *changes: Change) -> Callable[[aio.Server], None]:
    """One made with the kernel's shell, which makes these changes."""

    async def read_intents(context: AppContext, intent: str) -> str:
        return intent

    def decide(context: AppContext, intent: str) -> Iterable[Change]:
        log.calls.append((name, "update", context.id, intent))
        return changes

    return serve_action(world.contexts, decide, read_intents)


async def involve(world: Core, path: str, intent: str, **controllers: str) -> None:
    """Name controllers, with their intents, in an intent of the group."""
    await world.post(f"{path}/intents", named(intent, intent=controllers))
