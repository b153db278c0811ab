"""StatusNotify over gRPC (spec orchestrator-lifecycle 13 and 14, dcm 10, ncm 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from emco_common.errors import EmcoError, NotFound
from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.status.notify.notification import NotificationView
from emco_common.status.notify.notifier import Notifier, Seats
from emco_common.status.notify.watcher import End, Ended, Watcher
from emco_common.store.api import Key

MAX_CLIENTS = 10_000
"""Registrations in one process; each costs little, as many share a connection."""
_SEND_DEADLINE = 60.0
"""Seconds that a client may leave a message unread before its stream is ended."""


@dataclass(frozen=True, slots=True)
class Contract:
    """``field`` is the key of a registration that the service takes, ``wrong_key`` what it says to another, and
    ``missing`` what it says of an object that is not there."""

    field: str
    wrong_key: str
    missing: Callable[[Key], str]


def serve_status(notifier: Notifier, contract: Contract, *, limit: int = MAX_CLIENTS) -> Callable[[aio.Server], None]:
    """Registers the service with a gRPC server."""
    service = StatusNotify(notifier, contract, limit=limit)

    def register(server: aio.Server) -> None:
        # Messages are encoded once for all clients that see the same, so they pass as they are.
        methods = {
            "StatusRegister": grpc.unary_stream_rpc_method_handler(
                service.register, request_deserializer=messages.StatusRegistration.FromString
            ),
            "StatusDeregister": grpc.unary_unary_rpc_method_handler(
                service.deregister,
                request_deserializer=messages.StatusDeregistration.FromString,
                response_serializer=messages.StatusDeregistrationResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("StatusNotify", methods),))

    return register


class StatusNotify:
    """Knows its clients by their ids."""

    def __init__(self, notifier: Notifier, contract: Contract, *, limit: int) -> None:
        self._notifier = notifier
        self._contract = contract
        self._seats = Seats(limit)
        self._clients: dict[str, Watcher | None] = {}

    async def register(self, request: Any, context: Any) -> None:
        """The stream of one client: the present state at once, then each that differs from the one before."""
        client = request.clientId
        if not client:
            await context.abort(grpc.StatusCode.UNKNOWN, "Invalid client ID")
        if client in self._clients:
            await context.abort(grpc.StatusCode.UNKNOWN, f"Duplicate client ID: {client}")
        if request.WhichOneof("key") != self._contract.field:
            await context.abort(grpc.StatusCode.UNKNOWN, self._contract.wrong_key)
        self._clients[client] = None
        try:
            await self._stream(client, request, context)
        except NotFound:
            await context.abort(grpc.StatusCode.UNKNOWN, self._contract.missing(self._key(request)))
        except EmcoError as error:
            await context.abort(error.code, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the client does not read its messages")
        except Ended as ended:
            if ended.end is End.DELETED:
                await context.abort(grpc.StatusCode.NOT_FOUND, self._contract.missing(self._key(request)))
            if ended.end is End.STOPPING:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the service is stopping")
        finally:
            self._clients.pop(client, None)

    async def deregister(self, request: Any, context: Any) -> messages.StatusDeregistrationResponse:
        """Ends the stream of the client; unknown ones are fine."""
        if watcher := self._clients.get(request.clientId):
            watcher.end(End.LEFT)
        return messages.StatusDeregistrationResponse()

    async def _stream(self, client: str, request: Any, context: Any) -> None:
        view = NotificationView.of(request, self._notifier.reader.dialect)
        async with self._seats.seat(), self._notifier.watching(self._key(request), view) as watcher:
            self._clients[client] = watcher
            while True:
                message = await watcher.next()
                async with asyncio.timeout(_SEND_DEADLINE):
                    await context.write(message.body)

    def _key(self, request: Any) -> Key:
        key = getattr(request, self._contract.field)
        return {field.name: getattr(key, field.name) for field in key.DESCRIPTOR.fields}
