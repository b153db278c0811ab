"""Operations that are recorded before they are done: who is at work on which, and when to take up what was cut off.

The record itself lies in the store, and how an operation is brought to its end is the service's. What is remembered
here may be lost: ``resume`` begins with a look at all records.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from emco_common.errors import EmcoError

_log = structlog.get_logger()
PAUSE = 2.0
"""Seconds between attempts."""


class Unfinished:
    """Knows whether an operation of this process has not come to its end."""

    def __init__(self) -> None:
        self._left = asyncio.Event()
        self._at_work: Counter[str] = Counter()

    @contextmanager
    def working_on(self, subject: str) -> Iterator[None]:
        """A request is busy with this; ``resume`` keeps away from it."""
        self._at_work[subject] += 1
        try:
            yield
        finally:
            self._at_work[subject] -= 1
            if not self._at_work[subject]:
                del self._at_work[subject]

    def is_at_work_on(self, subject: str) -> bool:
        return subject in self._at_work

    def remember(self) -> None:
        """Something is left to be done."""
        self._left.set()

    async def resume(self, finish: Callable[[], Awaitable[None]], *, every: float | None = None) -> None:
        """Until cancelled: ``finish`` what the records say, at start and whenever something is left.

        ``every`` is a number of seconds, for records that other processes may have left behind.
        """
        self.remember()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._left.wait()
            self._left.clear()
            try:
                await finish()
            except EmcoError as error:
                _log.warning("operations_not_resumed", error=str(error))
                self.remember()
            if self._left.is_set():
                await asyncio.sleep(PAUSE)
