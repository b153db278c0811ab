"""``EtcdBus``: the context bus on etcd v3."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Self

from emco_common.contextbus.api import BusUnavailable, Compare, Delete, Entry, Event, Lease, Put, Range
from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.etcd.connection import Attempt, Connection, Tls
from emco_common.contextbus.etcd.convert import entry_of, read_request, span_of, txn_request
from emco_common.contextbus.etcd.lease import EtcdLease
from emco_common.contextbus.etcd.watch import watch
from emco_common.contextbus.limits import check_transaction, key_bytes
from emco_common.errors import BadRequest

_PROBE = "/context/"
_PIECE = 1_000
"""Keys to an answer of a snapshot: at most a few megabytes."""


class EtcdBus:
    """Made by ``connect``; closed by ``close``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._leases: set[EtcdLease] = set()

    @classmethod
    async def connect(
        cls,
        endpoints: Sequence[str],
        *,
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
        deadline: float = 10.0,
    ) -> Self:
        """Connect to a cluster by the ``host:port`` of its members and prove that it answers.

        ``deadline`` bounds every call, in seconds. Raises ``BusUnavailable`` when no member answers or the login is
        refused.
        """
        if not endpoints:
            raise BadRequest("no endpoint of etcd is given")
        bus = cls(Connection(endpoints, tls=tls, user=user, password=password, deadline=deadline))
        try:
            await bus.ping()
        except BaseException:
            await bus.close()
            raise
        return bus

    async def get(self, key: str) -> Entry | None:
        response = await self._range(pb.RangeRequest(key=key_bytes(key)))
        return entry_of(response.kvs[0]) if response.kvs else None

    async def range(self, prefix: str, *, keys_only: bool = False, limit: int = 0) -> Range:
        key, end = span_of(prefix)
        response = await self._range(pb.RangeRequest(key=key, range_end=end, keys_only=keys_only, limit=limit))
        return Range(tuple(map(entry_of, response.kvs)), response.header.revision)

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Range:
        request = read_request(keys, prefixes)

        def once(attempt: Attempt) -> Awaitable[pb.TxnResponse]:
            return attempt.methods.txn(request, timeout=attempt.timeout, metadata=attempt.metadata, wait_for_ready=True)

        response = (await self._connection.call(once)).value
        parts = (part.response_range.kvs for part in response.responses)
        return Range(tuple(entry_of(pair) for part in parts for pair in part), response.header.revision)

    async def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        revision = 0
        for key, end in map(span_of, prefixes):
            more = True
            while more:
                wanted = pb.RangeRequest(key=key, range_end=end, limit=_PIECE, revision=revision, keys_only=keys_only)
                response = await self._range(wanted)
                revision, more = revision or response.header.revision, response.more
                yield Range(tuple(map(entry_of, response.kvs)), revision)
                if more:
                    key = response.kvs[-1].key + b"\0"

    async def put(self, key: str, value: bytes, *, lease: int = 0) -> int:
        return (await self._transact([Put(key, value, lease)])).header.revision

    async def delete(self, key: str, *, prefix: bool = False) -> int:
        response = await self._transact([Delete(key, prefix)])
        return response.responses[0].response_delete_range.deleted

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        """See the protocol. A lost answer cannot be told from a lost request: where a repeated transaction finds its
        comparison failed, it may have been carried out before, and the call raises ``BusUnavailable``.
        """
        response = await self._transact(operations, when=when)
        return response.header.revision if response.succeeded else None

    def watch(self, prefix: str, *, start_revision: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        return watch(self._connection, prefix, start_revision=start_revision)

    async def lease(self, ttl: float) -> Lease:
        if ttl < 1:
            raise BadRequest(f"a lease lives at least 1 second, not {ttl:g}")
        request = pb.LeaseGrantRequest(TTL=math.ceil(ttl))
        granted_at = asyncio.get_running_loop().time()
        reply = await self._connection.call(
            lambda attempt: attempt.methods.grant(
                request, timeout=attempt.timeout, metadata=attempt.metadata, wait_for_ready=True
            )
        )
        lease = EtcdLease(self._connection, reply.value.ID, ttl=reply.value.TTL, granted_at=granted_at)
        self._leases = {held for held in self._leases if not held.lost} | {lease}
        return lease

    async def ping(self) -> None:
        """Read through the cluster's leader, so that a member without a quorum fails."""
        await self._range(pb.RangeRequest(key=key_bytes(_PROBE), limit=1, keys_only=True))

    async def close(self) -> None:
        for lease in self._leases:
            lease.abandon()
        await self._connection.close()

    async def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        def once(attempt: Attempt) -> Awaitable[pb.RangeResponse]:
            return attempt.methods.range(
                request, timeout=attempt.timeout, metadata=attempt.metadata, wait_for_ready=True
            )

        return (await self._connection.call(once)).value

    async def _transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> pb.TxnResponse:
        check_transaction(operations)
        request = txn_request(operations, when)

        def once(attempt: Attempt) -> Awaitable[pb.TxnResponse]:
            return attempt.methods.txn(request, timeout=attempt.timeout, metadata=attempt.metadata, wait_for_ready=True)

        reply = await self._connection.call(once)
        if reply.repeated and not reply.value.succeeded:
            raise BusUnavailable("etcd went away during a write; whether it happened is not known")
        return reply.value
