"""Which processes of a service live: each keeps a key on the bus as long as its lease holds.

What a process has begun is its own while it is present; another takes it up when it is gone. A paused process whose
lease ran out is gone as well, so whoever acts on what it owns must still own it at the moment of the write.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

import structlog

from emco_common.contextbus.api import BusUnavailable, ContextBus
from emco_common.errors import EmcoError

_log = structlog.get_logger()
TTL = 10.0
"""Seconds after which the work of a process that died is taken up."""
PAUSE = 1.0
"""Seconds between attempts to become present."""
FAREWELL_SECONDS = 2.0
"""How long the bus may take to note that this process is not there any more; without it the lease ends by itself."""


class Presence:
    """This process as ``name``, new at every start, among those of ``service``."""

    def __init__(self, bus: ContextBus, service: str, *, ttl: float = TTL) -> None:
        self.name = uuid.uuid4().hex
        self._bus = bus
        self._prefix = f"/{service}/present/"
        self._ttl = ttl
        self._present = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled: be present, again and again when the lease is lost."""
        while True:
            try:
                lease = await self._bus.lease(self._ttl)
                try:
                    await self._bus.put(f"{self._prefix}{self.name}/", b"", lease=lease.id)
                    self._present.set()
                    await lease.wait_lost()
                    _log.warning("presence_lost", name=self.name)
                finally:
                    self._present.clear()
                    with suppress(EmcoError, TimeoutError):  # raised here it would take the place of a cancellation
                        async with asyncio.timeout(FAREWELL_SECONDS):
                            await lease.revoke()
            except EmcoError as error:
                _log.warning("presence_delayed", name=self.name, error=str(error))
                await asyncio.sleep(PAUSE)

    async def wait(self) -> None:
        """Returns when this process is present. ``BusUnavailable`` if it does not become so in time."""
        try:
            async with asyncio.timeout(self._ttl):
                await self._present.wait()
        except TimeoutError as error:
            raise BusUnavailable("this process cannot make itself known on the context bus") from error

    async def others(self) -> frozenset[str]:
        """The names of the other processes that live."""
        seen = await self._bus.range(self._prefix, keys_only=True)
        names = (entry.key.removeprefix(self._prefix).strip("/") for entry in seen.entries)
        return frozenset(names) - {self.name}
