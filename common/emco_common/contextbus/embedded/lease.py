"""Leases of the embedded bus: kept by a task each, lost when the clock passes their end before that task renews."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emco_common.courtesy import going_first


class EmbeddedLease:
    """See ``api.Lease``. ``end`` takes the lease and its keys out of the file."""

    def __init__(
        self, lease: int, *, ttl: float, clock: Callable[[], float], end: Callable[[int], Awaitable[None]]
    ) -> None:
        self._id = lease
        self._ttl = ttl
        self._clock = clock
        self._end = end
        self._expires = clock() + ttl
        self._gone = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(), name=f"contextbus-lease-{lease}", context=going_first())

    @property
    def id(self) -> int:
        return self._id

    @property
    def lost(self) -> bool:
        if self._clock() >= self._expires:
            self._gone.set()  # whoever has seen it lost acts on that, so it is not to come back
        return self._gone.is_set()

    async def wait_lost(self) -> None:
        await self._gone.wait()

    async def revoke(self) -> None:
        self._keeper.cancel()
        self._gone.set()
        await self._end(self._id)

    def abandon(self) -> None:
        """Stop renewing, as the end of the process would."""
        self._keeper.cancel()
        self._gone.set()

    async def _keep(self) -> None:
        while not self.lost:
            self._expires = self._clock() + self._ttl
            await asyncio.sleep(self._ttl / 3)
        self._gone.set()
        await self._end(self._id)
