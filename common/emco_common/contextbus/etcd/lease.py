"""Leases of the etcd adapter: renewed in the background at a third of their life."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable

import structlog
from grpc import aio

from emco_common.contextbus.api import BusUnavailable, LeaseLost
from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.etcd.connection import Attempt, Connection
from emco_common.contextbus.etcd.methods import send
from emco_common.courtesy import going_first

_log = structlog.get_logger()


class EtcdLease:
    """See ``api.Lease``. Lost at the latest when its life has passed since a renewal was sent that succeeded."""

    def __init__(self, connection: Connection, lease: int, *, ttl: float, granted_at: float) -> None:
        self._connection = connection
        self._id = lease
        self._ttl = ttl
        self._loop = asyncio.get_running_loop()
        self._expires = granted_at + ttl
        self._gone = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(), name=f"etcd-lease-{lease:x}", context=going_first())

    @property
    def id(self) -> int:
        return self._id

    @property
    def lost(self) -> bool:
        if self._loop.time() >= self._expires:
            self._gone.set()  # whoever has seen it lost acts on that, so it is not to come back
        return self._gone.is_set()

    async def wait_lost(self) -> None:
        await self._gone.wait()

    async def revoke(self) -> None:
        self.abandon()
        try:
            await self._connection.call(self._revoke_once)
        except LeaseLost:
            return

    def abandon(self) -> None:
        """Stop renewing; the server ends the lease when its life has passed."""
        self._keeper.cancel()
        self._gone.set()

    async def _keep(self) -> None:
        try:
            while not self.lost:
                await asyncio.sleep(min(self._ttl / 3, self._expires - self._loop.time()))
                with contextlib.suppress(BusUnavailable, TimeoutError):
                    async with asyncio.timeout_at(self._expires):
                        await self._renew()
        except LeaseLost:
            _log.warning("etcd_lease_lost", lease=self._id)
        finally:
            self._gone.set()

    async def _renew(self) -> None:
        sent_at = self._loop.time()
        reply = await self._connection.call(self._renew_once)
        if reply.value.TTL <= 0:
            raise LeaseLost("etcd does not know the lease any more")
        # A repeated request may have been answered late, but each try was sent after this moment.
        if not self._gone.is_set():
            self._expires = sent_at + reply.value.TTL

    async def _renew_once(self, attempt: Attempt) -> pb.LeaseKeepAliveResponse:
        stream = attempt.methods.keep_alive(metadata=attempt.metadata, wait_for_ready=True, timeout=attempt.timeout)
        try:
            await send(stream, pb.LeaseKeepAliveRequest(ID=self._id))
            answer = await stream.read()
            if answer is aio.EOF:
                raise BusUnavailable("etcd closed the stream of a lease")
            return answer
        finally:
            stream.cancel()

    def _revoke_once(self, attempt: Attempt) -> Awaitable[pb.LeaseRevokeResponse]:
        request = pb.LeaseRevokeRequest(ID=self._id)
        return attempt.methods.revoke(request, timeout=attempt.timeout, metadata=attempt.metadata, wait_for_ready=True)
