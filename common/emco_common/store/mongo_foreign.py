"""Documents that programs of other makers wrote into the same collection: children and referrers like any other.

They take no part in the protocol of ``mongo_marks``, so one that is written during a deletion may be missed anyway.
That is why, as long as none is there, a process looks for them only every ``EVERY`` seconds, not at each deletion.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emco_common.store.api import Key, kind_of
from emco_common.store.mongo_documents import Stored
from emco_common.store.mongo_marks import Collection

EVERY = 10.0  # seconds; a look costs a server without an index for it about as much as the deletion


class Foreign:
    """What one process knows of them."""

    def __init__(self, resources: Collection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._resources = resources
        self._clock = clock
        self._none_until = float("-inf")

    async def hindering(self, key: Key) -> tuple[Stored | None, Stored | None]:
        """A child of ``key`` and a referrer to it."""
        if self._clock() < self._none_until:
            return None, None
        foreign: dict[str, Any] = {"emco.tokens": None}
        if await self._resources.find_one(foreign, {"_id": 1}) is None:
            self._none_until = self._clock() + EVERY
            return None, None
        named = {"keyid": kind_of(key), **{f"key.{name}": value for name, value in key.items()}}
        return (
            await self._resources.find_one({**foreign, **key}, {"data": 0}),
            await self._resources.find_one({**foreign, "references": {"$elemMatch": named}}, {"data": 0}),
        )
