"""Hears from rsync that clusters have reported something new of a cloud that waits for it (spec dcm 8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from emco_common.errors import EmcoError
from emco_common.rsyncclient import RsyncClient
from emco_common.store.api import Key
from emco_dcm.clouds import Id, id_of

_log = structlog.get_logger()
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before a broken stream is begun again; each time twice as long until something is heard."""


class Alerts:
    """``client`` must be another one in each process, as rsync tells only the last subscriber of a name."""

    def __init__(self, rsync: RsyncClient, heard: Callable[[Key], None], *, client: str) -> None:
        self._rsync = rsync
        self._heard = heard
        self._client = client
        self._followed: dict[Id, asyncio.Task[None]] = {}

    def follow(self, key: Key, status_context: str) -> None:
        """Listen for this cloud from now on, or no more where ``status_context`` is empty."""
        name, cloud = status_context, id_of(key)
        present = self._followed.get(cloud)
        if present is not None and present.get_name() != name:
            present.cancel()
            del self._followed[cloud]
            present = None
        if name and present is None:
            self._followed[cloud] = asyncio.create_task(self._listen(key, status_context), name=name)

    async def close(self) -> None:
        tasks = list(self._followed.values())
        self._followed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, key: Key, status_context: str) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with aclosing(self._rsync.alerts(status_context, client=self._client)) as alerts:
                    await anext(alerts)  # it stands: what happens from now on is heard of
                    self._heard(key)
                    async for _ in alerts:
                        pause = FIRST_PAUSE
                        self._heard(key)
            except EmcoError as error:
                _log.info("alerts_interrupted", status_context=status_context, error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
