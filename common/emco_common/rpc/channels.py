"""Reaching other services over gRPC: one lazy channel per address, closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from grpc import aio

from emco_common.errors import Unavailable

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class PeerUnreachable(Unavailable):
    """Nothing answers at the address within the connection deadline."""


class Channels:
    """Channels by address. ``connect_timeout`` (seconds) is how long a peer may take to become ready.

    ``interceptors`` see every call, the first one first.
    """

    def __init__(self, *, connect_timeout: float, interceptors: Sequence[aio.ClientInterceptor] = ()) -> None:
        self._connect_timeout = connect_timeout
        self._interceptors = interceptors
        self._channels: dict[str, aio.Channel] = {}
        self._forgotten: list[aio.Channel] = []

    async def ready(self, host: str, port: int) -> aio.Channel:
        """A connected channel. Raises ``PeerUnreachable`` with the address."""
        address = f"{host}:{port}"
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._open(address)
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
            async with asyncio.timeout(self._connect_timeout):
                await channel.channel_ready()
        except TimeoutError as error:
            raise PeerUnreachable(f"nothing answers at {address}") from error
        return channel

    def _open(self, address: str) -> aio.Channel:
        return aio.insecure_channel(address, options=_OPTIONS, interceptors=self._interceptors)

    def forget(self, host: str, port: int) -> None:
        """The next call to this address has a channel of its own; those under way keep the present one."""
        channel = self._channels.pop(f"{host}:{port}", None)
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


__all__ = ["Channels", "PeerUnreachable", "cause_of"]
