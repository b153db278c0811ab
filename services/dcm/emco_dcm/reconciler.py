"""Keeps the access of all level-1 clouds as it should be: at start, when something happens, and now and then.

What happened is heard of from this process's own operations and from rsync's alerts; neither is needed, as everything
is looked at again anyway (defects 4 and 5). Any number of processes may do this at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from emco_common.errors import EmcoError
from emco_common.rsyncclient import RsyncClient
from emco_common.store.api import Key
from emco_dcm.access import CloudAccess, Settled
from emco_dcm.alerts import Alerts
from emco_dcm.clouds import Clouds, Id, id_of, is_admin

_log = structlog.get_logger()
GATHER = 0.05
"""Seconds in which what happens is gathered into one look."""
WAITING_EVERY = 5.0
"""Seconds between looks at clouds that wait for something, should no alert come."""
ALL_EVERY = 60.0
"""Seconds between looks at all clouds: certificates end, registered kubeconfigs change, other processes die."""
AT_ONCE = 8

Renew = Callable[[Key, str], Awaitable[None]]
"""Asks for new certificates of a cloud on clusters, whose names are divided by a comma and a blank."""


class Reconciler:
    """``client`` is the name under which rsync's alerts are subscribed to."""

    def __init__(self, clouds: Clouds, access: CloudAccess, rsync: RsyncClient, *, client: str) -> None:
        self._clouds = clouds
        self._access = access
        self._alerts = Alerts(rsync, self.changed, client=client)
        self._news = asyncio.Event()
        self._changed: dict[Id, Key] = {}
        self._waiting: dict[Id, Key] = {}

    def changed(self, key: Key) -> None:
        """Look at this cloud soon."""
        self._changed[id_of(key)] = key
        self._news.set()

    async def run(self, renew: Renew) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            next_all = loop.time()
            while True:
                if loop.time() >= next_all:
                    await self._all()
                    next_all = loop.time() + ALL_EVERY
                await self._some(renew)
                await self._pause(next_all - loop.time())
        finally:
            await self._alerts.close()

    async def _pause(self, until_all: float) -> None:
        seconds = min(until_all, WAITING_EVERY) if self._waiting else until_all
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._news.wait()
                await asyncio.sleep(GATHER)
                return
        self._changed.update(self._waiting)

    async def _all(self) -> None:
        try:
            clouds = await self._clouds.all()
            await self._access.drop_orphans()
        except EmcoError as error:
            _log.warning("clouds_not_read", error=str(error))
            return
        for cloud in clouds:
            if not is_admin(cloud):
                self._changed[id_of(cloud.key)] = cloud.key

    async def _some(self, renew: Renew) -> None:
        self._news.clear()
        keys, self._changed = self._changed, {}
        places = asyncio.Semaphore(AT_ONCE)

        async def settle(key: Key) -> None:
            async with places:
                await self._settle(key, renew)

        async with asyncio.TaskGroup() as tasks:
            for key in keys.values():
                tasks.create_task(settle(key))

    async def _settle(self, key: Key, renew: Renew) -> None:
        try:
            settled = await self._access.settle(key)
            if settled.renew:
                await renew(key, ", ".join(settled.renew))
        except EmcoError as error:
            _log.warning("cloud_not_settled", logical_cloud=key["logicalCloud"], error=str(error))
            settled = Settled(waiting=True)
        except Exception:
            _log.exception("cloud_not_settled", logical_cloud=key["logicalCloud"])
            settled = Settled(waiting=True)
        if settled.waiting:
            self._waiting[id_of(key)] = key
        else:
            self._waiting.pop(id_of(key), None)
        self._alerts.follow(key, settled.status_context if settled.waiting else "")
