"""Clusters that follow something instead of being called: they are made to follow a deployment before anything is sent,
and need not any more when nothing of it is left (rsync 8.2 steps 1 and 5, 14).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emco_common.kube import KubeApi, KubeError
from emco_rsync.apply.site import Site
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.reach.classify import classify


async def prepare(site: Site) -> None:
    """Nothing to be done where the cluster is called. ``KubeError`` if it is refused, or did not work out in time."""

    async def operation(client: KubeApi) -> None:
        if isinstance(client, Indirect):
            with site.recorder.fence.writing():
                await client.prepare(site.consignment)

    if await site.indirect():
        await _persist(site, operation)


async def withdraw(site: Site) -> None:
    """As ``prepare``; when the app has left."""

    async def operation(client: KubeApi) -> None:
        if isinstance(client, Indirect):
            with site.recorder.fence.writing():
                await client.withdraw(site.consignment)

    if await site.indirect():
        await _persist(site, operation)


async def _persist(site: Site, operation: Callable[[KubeApi], Awaitable[None]]) -> None:
    """Time in which the cluster is away does not count."""
    outages, tried, since = site.link.outages, 0, site.pace.clock()
    while True:
        try:
            return await site.link.call(operation)
        except KubeError as error:
            if site.link.outages != outages:
                outages, tried, since = site.link.outages, 0, site.pace.clock()
            if not classify(error).transient or site.pace.clock() - since > site.settings.give_up_after:
                raise
            tried += 1
            await site.pace.sleep(site.pace.backoff.delay(tried))
