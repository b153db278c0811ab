"""Follows the status stream of an object over gRPC, a line of JSON per notification (emcoctl 9).

A stream that breaks is opened again with growing pauses; an interrupt deregisters the client.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

import grpc
from google.protobuf.json_format import MessageToDict

from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
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


class RefusedError(TransportError):
    """The server does not let the object be watched: it is not there, or not for this client."""

    exit_code = 3


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for the first connection, and for one after a break."""

    first: float = 10.0
    again: float = 300.0


class Watcher:
    """``endpoint`` is ``host:port``; ``client_id`` stays the same over all streams of one watch."""

    def __init__(
        self,
        registration: Registration,
        *,
        endpoint: str,
        client_id: str,
        token: str,
        stdout: TextIO,
        report: Reporter,
        sleep: Callable[[float], None],
        patience: Patience,
    ) -> None:
        self._registration = registration
        self._endpoint = endpoint
        self._client_id = client_id
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._stdout = stdout
        self._report = report
        self._sleep = sleep
        self._patience = patience

    def run(self) -> None:
        """Ends only by an error: ``ConfigError`` if nobody ever answered, ``TransportError`` if nobody does any more,
        ``RefusedError``, or ``KeyboardInterrupt``, after which the client is deregistered."""
        with grpc.insecure_channel(self._endpoint) as channel:
            stub = stubs.StatusNotifyStub(channel)
            try:
                self._connect(channel)
                self._follow(channel, stub)
            except KeyboardInterrupt:
                self._deregister(stub)
                raise

    def _connect(self, channel: grpc.Channel) -> None:
        try:
            grpc.channel_ready_future(channel).result(timeout=self._patience.first)
        except grpc.FutureTimeoutError as error:
            service = self._registration.service
            raise ConfigError(
                f"nothing answers at {self._endpoint}; check {service}.host and {service}.statusPort"
            ) from error

    def _follow(self, channel: grpc.Channel, stub: Any) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                for notification in stub.StatusRegister(self._request(), metadata=self._metadata):
                    pause = _FIRST_PAUSE
                    self._print(notification)
                reason = "the server ended the stream"
            except grpc.RpcError as error:
                reason = self._passing_reason(error)
            self._report.warning(f"{reason}; registering again in {pause:g} s")
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._reconnect(channel)

    def _reconnect(self, channel: grpc.Channel) -> None:
        try:
            grpc.channel_ready_future(channel).result(timeout=self._patience.again)
        except grpc.FutureTimeoutError as error:
            raise TransportError(f"{self._endpoint} has not answered for {self._patience.again:g} s") from error

    def _passing_reason(self, error: grpc.RpcError) -> str:
        code, details = error.code(), error.details()
        if code not in _PASSING:
            raise RefusedError(f"{self._endpoint} refused the watch: {code.name}: {details}") from error
        return f"the stream broke: {code.name}: {details}"

    def _print(self, notification: Any) -> None:
        print(json.dumps(MessageToDict(notification), separators=(",", ":")), file=self._stdout, flush=True)

    def _deregister(self, stub: Any) -> None:
        request = messages.StatusDeregistration(clientId=self._client_id)
        try:
            stub.StatusDeregister(request, timeout=_DEREGISTER_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            self._report.warning(f"the client could not be deregistered: {error.code().name}")

    def _request(self) -> messages.StatusRegistration:
        wanted = self._registration
        keys = {"digKey": messages.DigKey, "lcKey": messages.LcKey, "clusterKey": messages.ClusterKey}
        key = keys[wanted.key]
        descriptor: Any = key.DESCRIPTOR  # type: ignore[attr-defined]
        names = [field.name for field in descriptor.fields]
        return messages.StatusRegistration(
            clientId=self._client_id,
            statusType=wanted.status,
            apps=wanted.apps,
            clusters=wanted.clusters,
            resources=wanted.resources,
            output=wanted.output,
            **{wanted.key: key(**dict(zip(names, wanted.identifiers, strict=True)))},
        )
