"""Gives memory back to the machine that a burst of work has needed and a quiet process does not.

The C library keeps what was freed for the next time, which for a process that has brought a deployment to a thousand
clusters and now only watches is a good part of its memory. Asked for it, it gives back what lies in whole pages; that
takes a moment, so it is asked when there is little else to do. What is large is kept in pages of its own from the
first, as it would leave holes between what stays. Nothing happens where the C library cannot do it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger()

LOOK_SECONDS = 5.0
QUIET_SHARE = 0.25
"""Of a processor below which a process is quiet."""
WORTH_SECONDS = 0.5
"""Of the processor that must have been used since the last time, or there is nothing to be had."""

LARGE_BYTES = 32 * 1024
"""A piece of memory that is given back by itself, at the price of some microseconds. glibc's own measure grows with
what it meets, up to 32 MB; a fresh process with fifty clusters then had 17 MB of holes, and 2 MB with this and a single
arena."""
_M_MMAP_THRESHOLD = -3
"""Of ``malloc.h``."""


COLLECTIONS = (1_000, 5, 8_000)
"""When Python looks for circles among what is not needed any more. With its own measures a process with much in memory
stands still for parts of a second again and again while it reads a large deployment, in which no lease is renewed. All
of it is looked at rarely, therefore, and what is new often: it takes up to a microsecond an object, for which every
request waits; 5 ms of 20,000, 20 ms of what came of twenty such looks."""


class Quiet:
    """Decides when it is time, from the processor time used so far in seconds. Pure."""

    def __init__(self, used: float) -> None:
        self._last = used
        self._tidied = used

    def due(self, used: float, *, within: float) -> bool:
        """``within``: seconds since the last question."""
        quiet = used - self._last < QUIET_SHARE * within
        self._last = used
        if not quiet or used - self._tidied < WORTH_SECONDS:
            return False
        self._tidied = used
        return True


async def keep_tidy(
    *,
    give_back: Callable[[], bool] | None = None,
    used: Callable[[], float] = time.process_time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Until cancelled; at once over where nothing can be given back. One for a process is enough."""
    gc.set_threshold(*COLLECTIONS)
    give_back = give_back or giver_back()
    if give_back is None:
        return
    keep_large_apart()
    quiet, since = Quiet(used()), clock()
    while True:
        await sleep(LOOK_SECONDS)
        now = clock()
        if quiet.due(used(), within=now - since):
            _log.debug("memory_tidied", given_back=await asyncio.to_thread(give_back))
        since = now


def keep_large_apart() -> bool:
    """From now on, for the whole process. False where the C library does not do that."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))


def giver_back() -> Callable[[], bool] | None:
    """Gives back what it can and answers whether there was any; ``None`` where the C library does not do that."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: bool(trim(0))
