"""Follows the status stream of an object over gRPC, a line of JSON per notification (emcoctl 9).

A stream that breaks is opened again with growing pauses; an interrupt deregisters the client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import grpc
from google.protobuf.json_format import MessageToDict
from grpc import aio

from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
from emco_common.rpc.channels import Channels, PeerUnreachable, PeerUntrusted
from emco_common.rpc.tls import ClientTls
from emco_emcoctl.errors import ConfigError, TransportError
from emco_emcoctl.output import Reporter
from emco_emcoctl.registration import Registration

_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_DEREGISTER_SECONDS = 2.0


def json_lines(stream: TextIO) -> Callable[[Mapping[str, Any]], None]:
    """Shows each notification as a line of JSON."""

    def show(notification: Mapping[str, Any]) -> None:
        print(json.dumps(notification, separators=(",", ":")), file=stream, flush=True)

    return show


class RefusedError(TransportError):
    """The server does not let the object be watched: it is not there, or not for this client."""

    exit_code = 3


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for the first connection, and for one after a break."""

    first: float = 5.0
    again: float = 300.0


@dataclass(frozen=True)
class Watcher:
    """``client_id`` stays the same over all streams of one watch; ``pause`` waits for a number of seconds."""

    registration: Registration
    host: str
    port: int
    client_id: str
    token: str
    show: Callable[[Mapping[str, Any]], None]
    report: Reporter
    pause: Callable[[float], Awaitable[None]]
    patience: Patience
    deregisters: bool = True
    tls: ClientTls | None = None

    async def run(self) -> None:
        """Ends only by an error: ``ConfigError`` if nobody ever answered, ``TransportError`` if nobody does any more,
        ``RefusedError``; or by cancellation, after which the client is deregistered."""
        channels = Channels(connect_timeout=self.patience.first, credentials=self.tls)
        try:
            await self._connected(channels)
            try:
                await self._follow(channels)
            except asyncio.CancelledError:
                if self.deregisters:
                    await self._deregister(channels)
                raise
        finally:
            await channels.close()

    async def _connected(self, channels: Channels) -> None:
        service = self.registration.service
        try:
            await channels.ready(self.host, self.port)
        except PeerUntrusted as error:
            raise ConfigError(f"{error}; check {service}.statusTls and the certificates named beside it") from error
        except PeerUnreachable as error:
            raise ConfigError(f"{error}; check {service}.host and {service}.statusPort") from error

    async def _follow(self, channels: Channels) -> None:
        pause = _FIRST_PAUSE
        channel = await channels.ready(self.host, self.port)
        while True:
            stub: Any = stubs.StatusNotifyStub(channel)
            reason = "the server ended the stream"
            try:
                async for notification in stub.StatusRegister(self._request(), metadata=self._metadata):
                    pause = _FIRST_PAUSE
                    self.show(MessageToDict(notification))
            except aio.AioRpcError as error:
                reason = self._passing_reason(error)
            self.report.warning(f"{reason}; registering again in {pause:g} s")
            await self.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            channel = await self._reconnected(channels)

    async def _reconnected(self, channels: Channels) -> aio.Channel:
        """With the certificates that are there by now."""
        try:
            return await channels.ready(self.host, self.port, within=self.patience.again)
        except PeerUntrusted as error:
            raise TransportError(str(error)) from error
        except PeerUnreachable as error:
            raise TransportError(f"{self._address} has not answered for {self.patience.again:g} s") from error

    def _passing_reason(self, error: aio.AioRpcError) -> str:
        code, details = error.code(), error.details()
        if code not in _PASSING:
            raise RefusedError(f"{self._address} refused the watch: {code.name}: {details}") from error
        return f"the stream broke: {code.name}: {details}"

    async def _deregister(self, channels: Channels) -> None:
        request = messages.StatusDeregistration(clientId=self.client_id)
        try:
            channel = await channels.ready(self.host, self.port, within=_DEREGISTER_SECONDS)
            stub: Any = stubs.StatusNotifyStub(channel)
            await stub.StatusDeregister(request, timeout=_DEREGISTER_SECONDS, metadata=self._metadata)
        except PeerUnreachable as error:
            self.report.warning(f"the client could not be deregistered: {error}")
        except aio.AioRpcError as error:
            self.report.warning(f"the client could not be deregistered: {error.code().name}")

    @property
    def _address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def _request(self) -> messages.StatusRegistration:
        wanted = self.registration
        keys = {"digKey": messages.DigKey, "lcKey": messages.LcKey, "clusterKey": messages.ClusterKey}
        key = keys[wanted.key]
        descriptor: Any = key.DESCRIPTOR  # type: ignore[attr-defined]
        names = [field.name for field in descriptor.fields]
        return messages.StatusRegistration(
            clientId=self.client_id,
            statusType=wanted.status,
            apps=wanted.apps,
            clusters=wanted.clusters,
            resources=wanted.resources,
            output=wanted.output,
            **{wanted.key: key(**dict(zip(names, wanted.identifiers, strict=True)))},
        )
