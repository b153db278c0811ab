"""How many connections to clusters a process may have open, so that it never runs out of file descriptors.

One budget for the whole process, handed to everything that connects. Who finds it empty waits in turn; connections
that nobody uses are closed for them. Lasting connections (watches) may take only a part, so that calls always get by.
"""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict, deque
from collections.abc import Callable

import structlog

from emco_common.kube.errors import NoRoom

_log = structlog.get_logger()

HEADROOM = 200
"""Descriptors left to the store, the bus, the servers' own ports and whoever connects to them."""
LASTING_SHARE = 0.75
"""Of the budget that connections with watches may take; what does not get one is polled."""
WAIT_SECONDS = 60.0
"""Longer than a call takes, so that a queue of calls moves on before anybody gives up."""


class Lease:
    """The right to one connection, until ``give_back``. Made by ``Descriptors``."""

    __slots__ = ("_budget", "_given_back", "lasting")

    def __init__(self, budget: Descriptors, *, lasting: bool) -> None:
        self._budget = budget
        self._given_back = False
        self.lasting = lasting

    def last(self) -> None:
        """The connection is going to carry a watch. ``NoRoom`` if too many do."""
        if not self.lasting:
            self._budget._begin_lasting()
            self.lasting = True

    def last_no_more(self) -> None:
        if self.lasting and not self._given_back:
            self.lasting = False
            self._budget._end_lasting()

    def idle(self, close: Callable[[], None]) -> None:
        """Nobody uses the connection now; ``close`` it if somebody else needs its place."""
        if not self._given_back:
            self._budget._idle_now(self, close)

    def busy(self) -> None:
        self._budget._busy_now(self)

    def give_back(self) -> None:
        """The connection is closed; harmless when done again."""
        if not self._given_back:
            self.last_no_more()
            self._given_back = True
            self._budget._take_back(self)


class Descriptors:
    """``limit`` connections in all, of which ``lasting`` may carry watches."""

    def __init__(self, limit: int, *, lasting: int | None = None) -> None:
        self.limit = max(1, limit)
        self.lasting_limit = max(0, int(self.limit * LASTING_SHARE)) if lasting is None else lasting
        self.taken = 0
        self.lasting = 0
        self._idle: OrderedDict[Lease, Callable[[], None]] = OrderedDict()
        self._closing = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a connection of their own now."""
        return len(self._waiting)

    async def take(self) -> Lease:
        """A place for a connection that calls will use, in the order of asking. ``NoRoom`` after ``WAIT_SECONDS``."""
        if self.taken >= self.limit or self._waiting:
            await self._wait()
        else:
            self.taken += 1
        return Lease(self, lasting=False)

    def take_lasting(self) -> Lease:
        """A place for a connection with watches, at once or not at all (``NoRoom``): they would wait for ever."""
        self._begin_lasting()
        if self.taken >= self.limit or self._waiting:
            self.lasting -= 1
            self._make_room()
            raise self.full()
        self.taken += 1
        return Lease(self, lasting=True)

    async def _wait(self) -> None:
        if not self._waiting:
            _log.warning("waiting_for_descriptor", open=self.taken, limit=self.limit)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._make_room()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was our turn, and we are going: the next one's
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise self.full() from None
            raise

    def full(self) -> NoRoom:
        """What is told to who gives up."""
        return NoRoom(
            f"waited for a file descriptor: {self.taken} connections to clusters are open, {self.limit} allowed; "
            "raise the process's limit of open files"
        )

    def _begin_lasting(self) -> None:
        if self.lasting >= self.lasting_limit:
            raise NoRoom(f"{self.lasting} connections to clusters carry watches already; this one is polled")
        self.lasting += 1

    def _end_lasting(self) -> None:
        self.lasting -= 1

    def _idle_now(self, lease: Lease, close: Callable[[], None]) -> None:
        self._idle[lease] = close
        if self._waiting:
            self._make_room()

    def _busy_now(self, lease: Lease) -> None:
        self._idle.pop(lease, None)

    def _make_room(self) -> None:
        """Close what has been idle longest, one for each who waits."""
        wanted = max(1, len(self._waiting)) - self._closing
        while wanted > 0 and self._idle:
            _, close = self._idle.popitem(last=False)
            wanted -= 1
            self._closing += 1
            close()

    def _take_back(self, lease: Lease) -> None:
        self._idle.pop(lease, None)
        self._closing = max(0, self._closing - 1)
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1


def descriptors_of_process(*, headroom: int = HEADROOM) -> Descriptors:
    """The budget that the process's limit of open files allows, raised as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != soft:
        wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 1_048_576)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (ValueError, OSError) as error:
            _log.warning("descriptor_limit_not_raised", limit=soft, why=str(error))
    if soft == resource.RLIM_INFINITY:
        soft = 1_048_576
    return Descriptors(max(soft - headroom, soft // 2))
