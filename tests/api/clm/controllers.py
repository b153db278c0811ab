"""A clm-controller that accepts, refuses or fails, by the cluster's name, and remembers what it was told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc import aio

from emco_common.rpc import clmevents_pb2 as messages
from emco_common.rpc.clmevents_pb2_grpc import (
    ClmControllerEventChannelServicer,
    add_ClmControllerEventChannelServicer_to_server,
)


class Listener(ClmControllerEventChannelServicer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []

    async def Publish(
        self, request: messages.ClmControllerEventRequest, context: aio.ServicerContext
    ) -> messages.ClmControllerEventResponse:
        event = messages.ClmControllerEventType.Name(request.event)
        self.heard.append((request.providerName, request.clusterName, event))
        if request.clusterName.startswith("boom"):
            await context.abort(grpc.StatusCode.INTERNAL, "boom")
        refused = request.clusterName.startswith("refuse")
        return messages.ClmControllerEventResponse(status=not refused, message="not wanted" if refused else "")

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        server = aio.server()
        add_ClmControllerEventChannelServicer_to_server(self, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)
