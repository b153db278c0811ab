"""What all who speak to one cluster share: whose turn it is, whether it is to be spared, and whether it answers.

Calls that read and calls that write go in lanes of their own, so that who waits for something does not hold up who does
something. Whether the server answers at all is tried by one probe for everybody; see ``links`` for who asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from emco_common.kube import KubeError, errors
from emco_rsync.measures import Tally
from emco_rsync.reach.breaker import Breaker
from emco_rsync.reach.classify import describe
from emco_rsync.reach.lanes import MAX_PAUSE_SECONDS, SLOW_CALL_SECONDS, Lane, Shared, Turn, pause

CLOSED = "Closed"
"""The reason of an error that says that our own client was closed, which tells nothing of the cluster."""

TIMEOUT = "Timeout"
"""The reason of an error that says that a deadline has passed."""
OVERSLEPT = 3
"""How often in a row it may be us who were late; after that the server counts as away all the same."""

_log = structlog.get_logger()


def is_fault(error: KubeError) -> bool:
    """Does the error say that the server is not well, and not that it was asked for what it will not do?"""
    return isinstance(error, errors.Unreachable | errors.ServerError | errors.BadAnswer | errors.TooManyRequests)


class Server:
    """Is there an answer at this address? ``changed`` is told when that is in doubt, and when it is settled."""

    def __init__(self, shared: Shared, *, changed: Callable[[], None]) -> None:
        self.breaker = shared.breaker()
        self._shared = shared
        self._changed = changed
        self._probe: asyncio.Task[KubeError | None] | None = None
        self._hurried: asyncio.Event | None = None
        """Who waits for the next attempt is told."""

    def hurry(self) -> None:
        """It may be back: the next attempt is made now."""
        self.breaker.hurry()
        if self._hurried is not None:
            self._hurried.set()

    def doubt(self) -> None:
        if self.breaker.closed:
            self.breaker.doubted()
            self._changed()

    async def probe(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Returns when the server has answered, whoever asked: while one asks all others wait for the same answer.

        Raises the ``KubeError`` that says why not; to the one who asked also what it was answered instead.
        """
        asking = self._probe is None
        if self._probe is None:
            self._probe = asyncio.create_task(self._ask(ask), name="probe")
            self._probe.add_done_callback(lambda done: done.cancelled() or done.exception())
        refusal = await asyncio.shield(self._probe)
        if asking and refusal is not None:
            raise refusal

    async def close(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def _ask(self, ask: Callable[[], Awaitable[object]]) -> KubeError | None:
        try:
            while (seconds := self.breaker.wait) > 0.0:
                self._hurried = asyncio.Event()
                await pause(self._shared.sleep, seconds, unless=self._hurried)
            self._hurried = None
            self.breaker.tries()
            try:
                await self._asked(ask)
            except KubeError as error:
                if is_fault(error):
                    self._failed(error)
                    raise
                self._settled()
                return error
            self._settled()
            return None
        finally:
            self._probe = None

    async def _asked(self, ask: Callable[[], Awaitable[object]]) -> None:
        """One that has failed already is tried at times of its own, and rarely: it takes no turn from others."""
        if self.breaker.failures:
            await self._in_time(ask)
            return
        async with self._shared.opening.one(""):
            await self._in_time(ask)

    async def _in_time(self, ask: Callable[[], Awaitable[object]]) -> None:
        """A deadline that passes while this process has no time itself is no silence of the server."""
        for last in (False,) * OVERSLEPT + (True,):
            with self._shared.lateness() as lateness:
                try:
                    await ask()
                    return
                except errors.Unreachable as error:
                    if last or error.reason != TIMEOUT or not lateness.ours:
                        raise
                    _log.warning("late_ourselves", why=str(error))

    def _failed(self, error: KubeError) -> None:
        if error.reason == CLOSED:
            return
        pause = min(error.retry_after, MAX_PAUSE_SECONDS)
        self.breaker.failed(word=error.reason, reason=describe(error, kind=""), at_least=pause)
        self._changed()

    def _settled(self) -> None:
        if not self.breaker.closed:
            self.breaker.succeeded()
            self._changed()


class Gate:
    """Of one cluster. Listeners are told when something of it has changed."""

    def __init__(self, cluster: str, shared: Shared) -> None:
        self.cluster = cluster
        self.tally = Tally()
        self._shared = shared
        self._servers: dict[str, Server] = {}
        self._listeners: set[Callable[[], None]] = set()
        self._known = False
        self._recognising = asyncio.Lock()
        self._writes = Lane("writes", shared, width=shared.writes, changed=self._changed)
        self._reads = Lane("reads", shared, width=shared.reads, changed=self._changed)

    def server(self, address: str) -> Server:
        """Identities may know the cluster by different addresses, of which one may be wrong."""
        found = self._servers.get(address)
        if found is None:
            found = self._servers[address] = Server(self._shared, changed=self._changed)
        return found

    async def recognise(self, check: Callable[[], Awaitable[None]]) -> None:
        """Is it still the same cluster? Checked once for all after each time that it was away; raises what ``check``
        raises."""
        async with self._recognising:
            while not self._known:
                self._known = True  # unless it goes away meanwhile
                try:
                    await check()
                except BaseException:
                    self._known = False
                    raise

    def hurry(self) -> None:
        """The cluster may be back."""
        for server in self._servers.values():
            server.hurry()

    def passing(self, turn: Turn) -> Passage:
        """One call, as a context. How it ends is taken note of."""
        return Passage(self.cluster, self._reads if turn.reading else self._writes, turn, self._shared)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    @property
    def heard(self) -> bool:
        """Does any link still lead through here?"""
        return bool(self._listeners)

    def trouble(self) -> str:
        """What of the calls is held up, and why; ``""`` if nothing is. Said in the same words until that changes."""
        lanes = (self._told(lane.breaker, f"{lane.name} are held back") for lane in (self._writes, self._reads))
        return "; ".join(told for told in lanes if told)

    def away(self, address: str) -> str:
        """Why there is no answer."""
        return self._told(self.server(address).breaker, "open")

    def breakers(self) -> list[Breaker]:
        return [self._writes.breaker, self._reads.breaker, *(server.breaker for server in self._servers.values())]

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()

    def _told(self, breaker: Breaker, what: str) -> str:
        if breaker.since is None:
            return ""
        since, longest = breaker.since.strftime("%Y-%m-%dT%H:%M:%SZ"), self._shared.backoff.longest
        return f"breaker: {what} since {since}, next try within {longest:g} s: {breaker.reason}"

    def _changed(self) -> None:
        if not all(server.breaker.closed for server in self._servers.values()):
            self._known = False
        for listener in list(self._listeners):
            listener()


class Passage:
    """One call through a gate. There is one for each call, so it is no generator.

    Calls at once are bounded for what they cost this process. One that lasts costs nothing while it lasts, so that
    clusters which are slow or dead keep nobody waiting.
    """

    __slots__ = ("_attempt", "_cluster", "_lane", "_shared", "_timer", "_turn")

    def __init__(self, cluster: str, lane: Lane, turn: Turn, shared: Shared) -> None:
        self._cluster = cluster
        self._lane = lane
        self._turn = turn
        self._shared = shared
        self._attempt = False
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        self._attempt = await self._lane.enter(self._turn.deployment)
        try:
            await self._shared.calls.acquire(self._cluster)
        except BaseException:
            self._lane.leave(attempt=self._attempt)
            raise
        self._timer = asyncio.get_running_loop().call_later(SLOW_CALL_SECONDS, self._give_back)

    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        self._give_back()
        try:
            if error is None or (isinstance(error, KubeError) and not is_fault(error)):
                self._lane.answered()
            elif isinstance(error, KubeError) and not isinstance(error, errors.Unreachable):
                self._lane.failed(error, self._turn)
        finally:
            self._lane.leave(attempt=self._attempt)

    def _give_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._shared.calls.release()
