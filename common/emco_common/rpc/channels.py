"""Reaching other services over gRPC: one lazy channel per address, closed together.

With TLS a channel is that of the certificates that were there when it was made. When their files change the next call
to an address has a channel of its own; calls under way keep theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import structlog
from grpc import aio

from emco_common.errors import Unavailable
from emco_common.rpc.handshake import trouble
from emco_common.rpc.tls import ClientTls

_log = structlog.get_logger()
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_SECOND_LOOK = 0.1
"""Seconds after which a reason must still be there: a peer that stops says the same for a moment."""


class PeerUnreachable(Unavailable):
    """Nothing answers at the address within the connection deadline."""


class PeerUntrusted(PeerUnreachable):
    """Somebody answers, but no connection comes about: the text says whose certificate is not taken, and why."""


class Channels:
    """Channels by address. ``connect_timeout`` (seconds) is how long a peer may take to become ready.

    ``interceptors`` see every call, the first one first. ``credentials`` make it TLS.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        interceptors: Sequence[aio.ClientInterceptor] = (),
        credentials: ClientTls | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._interceptors = interceptors
        self._tls = credentials
        self._version = 0
        self._channels: dict[str, aio.Channel] = {}
        self._forgotten: list[aio.Channel] = []
        self._told: dict[str, str] = {}

    async def ready(self, host: str, port: int, *, within: float | None = None) -> aio.Channel:
        """A connected channel, after ``within`` seconds at most if it is not to be ``connect_timeout``.

        Raises ``PeerUnreachable`` with the address, and at once ``PeerUntrusted`` where waiting cannot help.
        """
        address = f"{host}:{port}"
        channel = self._channel(address)
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
            async with asyncio.timeout(self._connect_timeout if within is None else within):
                await self._connected(channel, host, port)
        except TimeoutError as error:
            raise PeerUnreachable(f"nothing answers at {address}") from error
        self._told.pop(address, None)
        return channel

    async def _connected(self, channel: aio.Channel, host: str, port: int) -> None:
        asked = False
        while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and not asked:
                asked = True
                await self._ask_why(host, port)
            await channel.wait_for_state_change(state)

    async def _ask_why(self, host: str, port: int) -> None:
        reason = await self._trouble(host, port)
        if reason:
            await asyncio.sleep(_SECOND_LOOK)
            reason = await self._trouble(host, port)
        if not reason:
            return
        address = f"{host}:{port}"
        if self._told.get(address) != reason:
            self._told[address] = reason
            _log.warning("grpc_peer_not_trusted", address=address, reason=reason)
        raise PeerUntrusted(reason)

    async def _trouble(self, host: str, port: int) -> str:
        return await (self._tls.trouble(host, port) if self._tls else trouble(host, port, context=None))

    def _channel(self, address: str) -> aio.Channel:
        if self._tls is not None and (version := self._tls.version()) != self._version:
            self._version = version
            for known in list(self._channels):
                self._forget(known)
        if address not in self._channels:
            self._channels[address] = self._open(address)
        return self._channels[address]

    def _open(self, address: str) -> aio.Channel:
        if self._tls is None:
            return aio.insecure_channel(address, options=_OPTIONS, interceptors=self._interceptors)
        options = [*_OPTIONS, *([("grpc.ssl_target_name_override", self._tls.name)] if self._tls.name else [])]
        return aio.secure_channel(address, self._tls.credentials(), options=options, interceptors=self._interceptors)

    def forget(self, host: str, port: int) -> None:
        """The next call to this address has a channel of its own; those under way keep the present one."""
        self._forget(f"{host}:{port}")

    def _forget(self, address: str) -> None:
        channel = self._channels.pop(address, None)
        if channel is not None:
            self._forgotten.append(channel)

    async def close(self) -> None:
        channels = [*self._channels.values(), *self._forgotten]
        self._channels, self._forgotten = {}, []
        for channel in channels:
            await channel.close(grace=None)


def cause_of(error: grpc.RpcError) -> str:
    """The text that the original's clients show for a failed call."""
    code, details = error.code(), error.details()
    name = "".join(part.capitalize() for part in code.name.split("_"))
    return f"rpc error: code = {name} desc = {details}"


__all__ = ["Channels", "PeerUnreachable", "PeerUntrusted", "cause_of"]
