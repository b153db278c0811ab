"""Who listens knows from when on it hears everything (spec rsync 13.5)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from emco_common.rsyncclient import RsyncClient, RsyncSilent
from tests.fakes.rsync import FakeRsync
from tests.unit.rsyncclient.test_work_is_handed_to_rsync import channels, client, rsync, store

__all__ = ["channels", "client", "rsync", "store"]


async def listeners(rsync: FakeRsync, count: int) -> None:
    while len(rsync.listeners) != count:  # noqa: ASYNC110  # the other end of a connection
        await asyncio.sleep(0.01)


async def test_the_first_item_says_that_the_subscription_stands(client: RsyncClient, rsync: FakeRsync) -> None:
    async with asyncio.timeout(10), aclosing(client.alerts("71", client="dcm", patience=3600)) as alerts:
        await anext(alerts)
        assert [listener[:2] for listener in rsync.listeners] == [("dcm", "71")]
        rsync.alert("71")
        await anext(alerts)


async def test_an_rsync_that_confirms_nothing_is_not_waited_for_long(client: RsyncClient, rsync: FakeRsync) -> None:
    rsync.confirms = False
    async with asyncio.timeout(10), aclosing(client.alerts("71", client="dcm", patience=0.2)) as alerts:
        await anext(alerts)
        await listeners(rsync, 1)
        rsync.alert("71")
        await anext(alerts)


async def test_who_stops_listening_is_forgotten(client: RsyncClient, rsync: FakeRsync) -> None:
    rsync.confirms = False
    async with asyncio.timeout(10):
        async with aclosing(client.alerts("71", client="dcm", patience=3600)) as alerts:
            waiting = asyncio.ensure_future(anext(alerts))
            await listeners(rsync, 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await listeners(rsync, 0)


async def test_a_refused_subscription_is_an_error(client: RsyncClient, rsync: FakeRsync) -> None:
    rsync.refuses_listeners = True
    async with asyncio.timeout(10), aclosing(client.alerts("71", client="dcm", patience=3600)) as alerts:
        with pytest.raises(RsyncSilent, match="not now"):
            async for _ in alerts:
                pass
