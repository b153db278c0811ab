"""A resource synchronizer that queues nothing: it notes what it is asked and answers as a test wants.

Only for tests of how its callers behave; what rsync does is tested with rsync itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc import aio

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
from emco_common.rpc.serving import GrpcServer
from emco_common.rsyncclient import CONTROLLER_KEY
from emco_common.store.api import Document, DocumentStore


async def _nothing(_operation: str, _context: str) -> None:
    return None


@dataclass
class FakeRsync:
    """``calls`` are operation and context; ``then`` runs inside an accepted call, to set a status or to hold it up."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    accepts: bool = True
    message: str = ""
    aborts: grpc.StatusCode | None = None
    rolls_back: bool = True
    foresees: tuple[planapp_pb2.PlanAppPlace, ...] | None = None
    """What it tells of any plan; the original knows none."""
    confirms: bool = True
    """Does it say that a subscription stands? The original does not."""
    refuses_listeners: bool = False
    listeners: list[tuple[str, str, asyncio.Queue[None]]] = field(default_factory=list)
    """Client, status context, and what it is still to be told."""
    then: Callable[[str, str], Awaitable[None]] = _nothing
    port: int = 0

    async def InstallApp(self, request: Any, context: Any) -> Any:
        await self._take("install", request.app_context, context)
        return installapp_pb2.InstallAppResponse(
            app_context_installed=self.accepts, app_context_install_message=self.message
        )

    async def UninstallApp(self, request: Any, context: Any) -> Any:
        await self._take("uninstall", request.app_context, context)
        return installapp_pb2.UninstallAppResponse(
            app_context_uninstalled=self.accepts, app_context_uninstall_message=self.message
        )

    async def ReadAppContext(self, request: Any, context: Any) -> Any:
        await self._take("read", request.app_context, context)
        return installapp_pb2.ReadAppContextResponse(app_context_read_successful=self.accepts)

    async def UpdateApp(self, request: Any, context: Any) -> Any:
        await self._take("update", f"{request.update_from_appContext}>{request.update_to_appContext}", context)
        return updateapp_pb2.UpdateAppResponse(
            app_context_updated=self.accepts, app_context_update_message=self.message
        )

    async def RollbackApp(self, request: Any, context: Any) -> Any:
        if not self.rolls_back:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "method RollbackApp not implemented")
        await self._take("rollback", f"{request.rollback_from_appContext}>{request.rollback_to_appContext}", context)
        return updateapp_pb2.RollbackAppResponse(
            app_context_rolledback=self.accepts, app_context_rollback_message=self.message
        )

    async def Alert(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if self.refuses_listeners:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        news: asyncio.Queue[None] = asyncio.Queue()
        self.listeners.append((request.clientName, request.appContext, news))
        try:
            if self.confirms:
                await context.send_initial_metadata(())
            while True:
                await news.get()
                yield readynotify_pb2.Notification(appContext=request.appContext)
        finally:
            self.listeners.remove((request.clientName, request.appContext, news))

    async def Unsubscribe(self, request: Any, context: Any) -> Any:
        return readynotify_pb2.UnsubscribeResponse()

    def alert(self, status_context: str) -> None:
        """Tell whoever listens that there is something new to read."""
        for _, wanted, news in self.listeners:
            if wanted == status_context:
                news.put_nowait(None)

    async def register(self, store: DocumentStore) -> None:
        """Make it known as the controller ``rsync``."""
        body = {"metadata": {"name": "rsync"}, "spec": {"host": "127.0.0.1", "port": self.port}}
        await store.create(Document(key=CONTROLLER_KEY, body=body))

    async def PlanApp(self, request: Any, context: Any) -> AsyncIterator[planapp_pb2.PlanAppPlace]:
        if self.foresees is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        for place in self.foresees or ():
            yield place

    async def _take(self, operation: str, context_id: str, context: Any) -> None:
        self.calls.append((operation, context_id))
        if self.aborts is not None:
            await context.abort(self.aborts, self.message)
        if self.accepts:
            await self.then(operation, context_id)


def _register(fake: FakeRsync) -> Callable[[aio.Server], None]:
    def register(server: aio.Server) -> None:
        installapp_pb2_grpc.add_installappServicer_to_server(fake, server)
        updateapp_pb2_grpc.add_updateappServicer_to_server(fake, server)
        readynotify_pb2_grpc.add_readyNotifyServicer_to_server(fake, server)
        planapp_pb2_grpc.add_planappServicer_to_server(fake, server)

    return register


@asynccontextmanager
async def fake_rsync(port: int = 0) -> AsyncIterator[FakeRsync]:
    fake = FakeRsync()
    server = GrpcServer("127.0.0.1", port, _register(fake))
    await server.start()
    fake.port = server.port
    try:
        yield fake
    finally:
        await server.stop(grace=0)
