"""Tells every process that serves a kind of object when the history of one has changed.

The history is in the store, which does not tell of changes, and any replica may have written it. The bus carries no
more than the hint to look: a hint that was lost is made up for by looking now and then (``subject.LOOK_AROUND``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import structlog

from emco_common.appcontext.values import to_json
from emco_common.contextbus.api import ContextBus, EventType
from emco_common.errors import EmcoError
from emco_common.store.api import Key

_log = structlog.get_logger()
_RING_DEADLINE = 1.0
"""Seconds that a change may be held up by the hint that it happened."""
_PAUSE = 1.0
"""Seconds between attempts to listen."""


class Bell:
    """For the objects of one service."""

    def __init__(self, bus: ContextBus, service: str) -> None:
        self._bus = bus
        self._bus_key = f"/{service}/changed/"

    async def ring(self, key: Key) -> None:
        """The object of this key was changed or deleted. Never fails."""
        try:
            async with asyncio.timeout(_RING_DEADLINE):
                await self._bus.put(self._bus_key, to_json(dict(key)).encode())
        except (EmcoError, TimeoutError) as error:
            _log.warning("change_not_announced", key=dict(key), error=str(error))

    async def heard(self) -> AsyncIterator[Key | None]:
        """Until closed: the keys of changed objects; ``None`` when any may have changed."""
        while True:
            try:
                async with aclosing(self._bus.watch(self._bus_key)) as batches:
                    async for batch in batches:
                        if not batch:
                            yield None
                        for event in batch:
                            if event.type is EventType.PUT:
                                yield _key_of(event.entry.value)
            except EmcoError as error:
                _log.warning("changes_not_heard", error=str(error))
                await asyncio.sleep(_PAUSE)


def _key_of(value: bytes) -> Key | None:
    try:
        key = json.loads(value)
    except ValueError:
        return None
    return key if isinstance(key, dict) else None
