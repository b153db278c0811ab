"""Calls of one sort to one cluster: how many at once, whose turn it is, and whether they are held back.

A lane pauses when the cluster asks for it, and has a breaker for answers that show that the cluster cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from emco_common.kube import KubeError, errors
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.breaker import Breaker, BreakerState
from emco_rsync.reach.classify import describe
from emco_rsync.reach.lateness import Lateness
from emco_rsync.reach.slots import Busy, FairSlots

Sleep = Callable[[float], Awaitable[None]]

SLOW_CALL_SECONDS = 0.1
"""A call that takes longer is mostly waiting: it counts no more for the process."""
MAX_PAUSE_SECONDS = 60.0
"""The longest pause that a cluster may ask for; one that means harm could ask for a year."""
THROTTLED = 2
"""So many subjects refused for haste, with nothing that went well between them, mean everybody."""

OPENED_AT_ONCE = 32
"""Clusters that are called upon for the first time, or anew: TLS takes some milliseconds of processor for each."""
OPENING_SECONDS = 0.5
"""Who takes longer, while the process has time, keeps no other waiting."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose call it is: of which deployment, about which object of which kind; and whether it only reads."""

    deployment: str = ""
    subject: str = ""
    kind: str = ""
    reading: bool = False


NOBODY = Turn()
READING = Turn(reading=True)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all gates of the process have in common. ``calls`` bounds what is in flight over all clusters; the widths
    are those of one cluster. ``now`` is the time of day, for people. ``lateness`` begins to look how late we are."""

    calls: FairSlots
    writes: int
    reads: int
    backoff: Backoff
    sleep: Sleep
    clock: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lateness: Callable[[], Lateness] = Lateness
    opening: Busy = field(default_factory=lambda: Busy(OPENED_AT_ONCE, patience=OPENING_SECONDS))

    def breaker(self) -> Breaker:
        return Breaker(clock=self.clock, now=self.now, backoff=self.backoff)


class Lane:
    """Calls of one sort. ``changed`` is told when it is held up or free again."""

    def __init__(self, name: str, shared: Shared, *, width: int, changed: Callable[[], None]) -> None:
        self.name = name
        self.breaker = shared.breaker()
        self._shared = shared
        self._slots = FairSlots(width)
        self._changed = changed
        self._paused_until = 0.0
        self._throttled: frozenset[str] = frozenset()
        self._trying = False
        self._moved: asyncio.Event | None = None
        """What is waited for, while somebody waits: there are thousands of lanes."""

    async def enter(self, key: str) -> bool:
        """Wait for a slot, and with it until calls may go. True if this call is the attempt that decides."""
        await self._slots.acquire(key)
        try:
            while (hold := self._hold()) > 0.0:
                await self._wait(hold)
        except BaseException:
            self._slots.release()
            raise
        self._trying = not self.breaker.closed
        self.breaker.tries()
        return self._trying

    def leave(self, *, attempt: bool) -> None:
        if attempt:
            self._trying = False
            self._move()
        self._slots.release()

    def answered(self) -> None:
        """The cluster did what it was asked to, or said why not."""
        self._throttled = frozenset()
        before = self.breaker.state
        self.breaker.succeeded()
        self._tell(before)

    def failed(self, error: KubeError, turn: Turn) -> None:
        """It could not, or asked for patience."""
        if isinstance(error, errors.TooManyRequests):
            self._throttled |= {turn.subject}
            if len(self._throttled) >= THROTTLED or not self.breaker.closed:
                pause = min(error.retry_after, MAX_PAUSE_SECONDS)
                self._paused_until = max(self._paused_until, self._shared.clock() + pause)
            return
        before = self.breaker.state
        pause = min(error.retry_after, MAX_PAUSE_SECONDS)
        reason = describe(error, kind=turn.kind)
        self.breaker.struck(turn.subject, word=error.reason, reason=reason, at_least=pause)
        self._tell(before)

    def _hold(self) -> float:
        if self._trying:
            return MAX_PAUSE_SECONDS
        return max(self._paused_until - self._shared.clock(), self.breaker.wait)

    async def _wait(self, seconds: float) -> None:
        """Until then, or until something is different."""
        moved = self._moved = self._moved or asyncio.Event()
        await pause(self._shared.sleep, seconds, unless=moved)

    def _move(self) -> None:
        moved, self._moved = self._moved, None
        if moved is not None:
            moved.set()

    def _tell(self, before: BreakerState) -> None:
        if self.breaker.state is not before:
            self._move()
            self._changed()


async def pause(sleep: Sleep, seconds: float, *, unless: asyncio.Event) -> None:
    """Until then, or until the event is set."""
    waits = [asyncio.ensure_future(sleep(seconds)), asyncio.ensure_future(unless.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
