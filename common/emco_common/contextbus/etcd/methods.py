"""The methods of an etcd server that are called, typed, on one channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from grpc import aio

from emco_common.contextbus.etcd import etcd_v3_pb2 as pb

Metadata = Sequence[tuple[str, str]]

Q = TypeVar("Q")
R = TypeVar("R")
Q_contra = TypeVar("Q_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Unary(Protocol[Q_contra, R_co]):
    def __call__(
        self, request: Q_contra, *, timeout: float, metadata: Metadata, wait_for_ready: bool
    ) -> Awaitable[R_co]: ...


class Stream(Protocol[Q_contra, R_co]):
    """One call with requests and responses both ways. ``read`` answers ``aio.EOF`` at the end."""

    async def write(self, request: Q_contra) -> None: ...

    async def read(self) -> R_co: ...

    def cancel(self) -> bool: ...


class Streaming(Protocol[Q_contra, R_co]):
    def __call__(
        self, *, metadata: Metadata, wait_for_ready: bool, timeout: float | None = None
    ) -> Stream[Q_contra, R_co]: ...


class Methods:
    """One field for each method; the paths are those of etcd's own package ``etcdserverpb``."""

    def __init__(self, channel: aio.Channel) -> None:
        self.range: Unary[pb.RangeRequest, pb.RangeResponse] = channel.unary_unary(
            "/etcdserverpb.KV/Range", **_types(pb.RangeRequest, pb.RangeResponse)
        )
        self.txn: Unary[pb.TxnRequest, pb.TxnResponse] = channel.unary_unary(
            "/etcdserverpb.KV/Txn", **_types(pb.TxnRequest, pb.TxnResponse)
        )
        self.grant: Unary[pb.LeaseGrantRequest, pb.LeaseGrantResponse] = channel.unary_unary(
            "/etcdserverpb.Lease/LeaseGrant", **_types(pb.LeaseGrantRequest, pb.LeaseGrantResponse)
        )
        self.revoke: Unary[pb.LeaseRevokeRequest, pb.LeaseRevokeResponse] = channel.unary_unary(
            "/etcdserverpb.Lease/LeaseRevoke", **_types(pb.LeaseRevokeRequest, pb.LeaseRevokeResponse)
        )
        self.authenticate: Unary[pb.AuthenticateRequest, pb.AuthenticateResponse] = channel.unary_unary(
            "/etcdserverpb.Auth/Authenticate", **_types(pb.AuthenticateRequest, pb.AuthenticateResponse)
        )
        self.watch: Streaming[pb.WatchRequest, pb.WatchResponse] = channel.stream_stream(
            "/etcdserverpb.Watch/Watch", **_types(pb.WatchRequest, pb.WatchResponse)
        )
        self.keep_alive: Streaming[pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse] = channel.stream_stream(
            "/etcdserverpb.Lease/LeaseKeepAlive", **_types(pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse)
        )


async def send(stream: Stream[Q, R], request: Q) -> None:
    """Write to a stream that may have failed already: the reason comes with the next read."""
    with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
        await stream.write(request)


def _types(request: type[Message], response: type[Message]) -> dict[str, object]:
    return {"request_serializer": request.SerializeToString, "response_deserializer": response.FromString}
