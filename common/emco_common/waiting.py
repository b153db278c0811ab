"""Waiting at start for what a service cannot be without: how long between two tries, what is told meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import structlog

from emco_common.errors import LoginRefused, Unavailable

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds between two tries, each of which waits ten by itself: what comes is found within a few seconds."""
REMINDER = 600.0
"""Seconds after which the log is told again that something is still missing."""

_log = structlog.get_logger()


class Opening(Protocol):
    """Opens what is called ``name``."""

    async def __call__(self, name: str, way: Callable[[], Awaitable[T]]) -> T: ...


async def at_once(name: str, way: Callable[[], Awaitable[T]]) -> T:
    """An ``Opening`` that tries one time."""
    return await way()


class Waiting:
    """An ``Opening`` that tries until it succeeds, and knows what is ``missing`` and why.

    What waiting cannot heal is raised: a wrong address or file, credentials that are refused, data of a newer version.
    """

    def __init__(
        self,
        *,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jitter = jitter
        self._clock = clock
        self._sleep = sleep
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """By name, the reason why each is not open yet."""
        return self._missing

    async def __call__(self, name: str, way: Callable[[], Awaitable[T]]) -> T:
        began = self._clock()
        told: float | None = None
        failures = 0
        self._missing[name] = "it has not answered yet"
        while True:
            try:
                opened = await way()
            except LoginRefused:
                raise
            except Unavailable as error:
                self._missing[name] = str(error)
            else:
                break
            now = self._clock()
            if told is None or now - told >= REMINDER:
                _log.warning("dependency_missed", name=name, reason=self._missing[name], seconds=round(now - began))
                told = now
            await self._sleep(self._pause(failures))
            failures += 1
        del self._missing[name]
        if failures:
            _log.info("dependency_found", name=name, seconds=round(self._clock() - began))
        return opened

    def _pause(self, failures: int) -> float:
        """Between half and the whole of a doubling step, so that not all come back at the same moment."""
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10)) * (0.5 + self._jitter() / 2)
