from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.etcd.lease import EtcdLease


class Late:
    """An etcd whose renewals come while this process stands still for longer than the lease lives."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.lease: EtcdLease | None = None

    async def call(self, _: Any) -> SimpleNamespace:
        assert self.lease is not None
        time.sleep(0.4)  # noqa: ASYNC251 - the whole process is late
        self.seen.append(self.lease.lost)  # somebody looks, and acts on what is seen
        return SimpleNamespace(value=pb.LeaseKeepAliveResponse(ID=1, TTL=60))


@pytest.mark.robustness(59)
async def test_a_renewal_that_comes_after_somebody_saw_the_lease_lost_does_not_bring_it_back() -> None:
    connection: Any = Late()
    lease = connection.lease = EtcdLease(connection, 1, ttl=0.3, granted_at=asyncio.get_running_loop().time())
    async with asyncio.timeout(5):
        await lease.wait_lost()
    assert connection.seen == [True]
    assert lease.lost
