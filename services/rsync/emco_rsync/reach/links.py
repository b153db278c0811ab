"""The way to one cluster as one user: is it there, at most so many calls at once, and a fresh client when needed.

A link that cannot reach its cluster keeps trying on its own, with back-off, reading the access record anew each time
(credentials may have been rotated); everybody else waits for it at no cost. Clusters know nothing of each other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from emco_common.appcontext.states import Connectivity
from emco_common.errors import EmcoError
from emco_common.kube import KubeApi, KubeError
from emco_common.kube.errors import Unauthorized
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.classify import Verdict, classify
from emco_rsync.reach.ways import Access, Identity, Open, Way

_log = structlog.get_logger()
T = TypeVar("T")
EAGER_CALLS = 3
"""Calls at once to a cluster that answers quickly: a further connection costs more than it gains there."""
SLOW_CALL_SECONDS = 0.1
Listener = Callable[[Connectivity, str], None]
"""Told of each change, with the reason while the cluster is away."""
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Times in seconds."""

    connections: int = 8
    probe_timeout: float = 5.0
    max_failures: int | None = None
    """Give a cluster up after so many attempts in a row; ``None`` never does."""


class RetriesExceeded(EmcoError):
    """The cluster stayed away for as many attempts as the operator allows."""


class Link:
    """One identity's link. Made and closed by ``Links``."""

    def __init__(
        self,
        identity: Identity,
        *,
        access: Access,
        open_way: Open,
        settings: LinkSettings,
        backoff: Backoff,
        sleep: Sleep,
    ) -> None:
        self.identity = identity
        self.state = Connectivity.UNKNOWN
        self.reason = ""
        self._access = access
        self._open_way = open_way
        self._settings = settings
        self._backoff = backoff
        self._sleep = sleep
        self._width = min(EAGER_CALLS, settings.connections)
        self._slots = asyncio.Semaphore(self._width)
        self._listeners: set[Listener] = set()
        self._client: KubeApi | None = None
        self._way = Way()
        self._unknown_to_it = False
        self._prober: asyncio.Task[KubeApi] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.under_way: set[asyncio.Future[Any]] = set()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told of changes, and at once of the present state if it is known. Answers how to stop it."""
        self._listeners.add(listener)
        if self.state is not Connectivity.UNKNOWN:
            listener(self.state, self.reason)
        return lambda: self._listeners.discard(listener)

    async def renew(self) -> None:
        """Before new work: take up credentials that were changed meanwhile, which what is under way need not notice."""
        if self._client is None or self._prober is not None:
            return
        with suppress(EmcoError):  # what cannot be read now keeps nobody from the way that is known
            if await self._access(self.identity) != self._way and self._prober is None:
                self._start_probing()

    async def available(self) -> KubeApi:
        """Wait, for ever if need be, until the cluster answers. ``RetriesExceeded`` where the operator set a limit."""
        if self._client is not None and self._prober is None:
            return self._client
        return await asyncio.shield(self._prober or self._start_probing())

    async def call(self, operation: Callable[[KubeApi], Awaitable[T]]) -> T:
        """One call, when a slot is free and the cluster there. Any ``KubeError``; ``RetriesExceeded``.

        After an error that puts the cluster in doubt, the next call waits until it has answered a probe. A cancelled
        caller leaves only after its call has ended, so that nothing it sent arrives after what is sent next.
        """
        async with self._slots:
            client = await self.available()
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                return await self._to_its_end(operation(client))
            except KubeError as error:
                self.doubt(error, client=client)
                raise
            finally:
                self._widen(loop.time() - began)

    def doubt(self, error: KubeError, *, client: KubeApi) -> None:
        """Take note of an error that ``client`` met outside of ``call`` (a watch)."""
        if classify(error) is not Verdict.AWAY or client is not self._client:
            return
        self._unknown_to_it = self._unknown_to_it or isinstance(error, Unauthorized)
        if self._prober is None:
            self._start_probing()

    async def close(self) -> None:
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _to_its_end(self, call: Awaitable[T]) -> T:
        task = asyncio.ensure_future(call)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})  # it has a deadline of its own
            _ = task.cancelled() or task.exception()  # nobody is left whom its error would concern
            raise

    def _widen(self, seconds: float) -> None:
        """A call to a distant cluster is mostly waiting, so more of them go at once."""
        if seconds > SLOW_CALL_SECONDS and self._width < self._settings.connections:
            self._width += 1
            self._slots.release()

    def _start_probing(self) -> asyncio.Task[KubeApi]:
        prober = self._prober = asyncio.create_task(self._probe(), name=f"probe {self.identity.cluster}")
        # Perhaps nobody waits for it: its error is seen here.
        prober.add_done_callback(lambda done: done.cancelled() or done.exception())
        return prober

    async def _probe(self) -> KubeApi:
        try:
            failures = 0
            while True:
                try:
                    client = await self._reach()
                except EmcoError as error:
                    failures += 1
                    self._become(Connectivity.RETRYING, str(error))
                    if self._settings.max_failures is not None and failures > self._settings.max_failures + 1:
                        raise RetriesExceeded(f"Retries exceeded max: {self.identity.cluster}") from error
                    await self._sleep(self._backoff.delay(failures))
                else:
                    self._become(Connectivity.AVAILABLE, "")
                    return client
        finally:
            self._prober = None

    async def _reach(self) -> KubeApi:
        way = await self._access(self.identity)
        if self._client is None:
            self._client, self._way = self._open_way(self.identity, way), way
        elif way != self._way:
            self._client = await self._exchanged(self._client, way)
        await self._client.version(timeout=self._settings.probe_timeout)
        if self._unknown_to_it:
            await self._client.check_identity(timeout=self._settings.probe_timeout)
            self._unknown_to_it = False
        return self._client

    async def _exchanged(self, former: KubeApi, way: Way) -> KubeApi:
        """The client to go on with: new credentials take over once the cluster knows them, not before."""
        fresh = self._open_way(self.identity, way)
        try:
            await fresh.version(timeout=self._settings.probe_timeout)
            await fresh.check_identity(timeout=self._settings.probe_timeout)
        except BaseException as error:
            await fresh.close()
            if not isinstance(error, KubeError) or self._unknown_to_it or self.state is Connectivity.RETRYING:
                raise
            _log.warning("new_credentials_not_taken_up", cluster=self.identity.cluster, why=str(error))
            return former
        self._way, self._unknown_to_it = way, False
        retiring = asyncio.create_task(self._retire(former, set(self.under_way)), name="retire a client")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        _log.info("new_credentials_taken_up", cluster=self.identity.cluster)
        return fresh

    async def _retire(self, former: KubeApi, calls: set[asyncio.Future[Any]]) -> None:
        """Calls end as they began; a watch is cut and goes on with the new credentials."""
        if calls:
            await asyncio.wait(calls)  # each has a deadline of its own
        await former.close()

    def _become(self, state: Connectivity, reason: str) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        if state is not self.state:
            _log.info("cluster_connectivity_changed", cluster=self.identity.cluster, state=str(state), reason=reason)
        self.state, self.reason = state, reason
        for listener in list(self._listeners):
            listener(state, reason)


class Links:
    """All links of the process; a link lives as long as somebody uses it."""

    def __init__(
        self,
        access: Access,
        open_way: Open,
        *,
        settings: LinkSettings,
        backoff: Backoff,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._make: Callable[[Identity], Link] = partial(
            Link, access=access, open_way=open_way, settings=settings, backoff=backoff, sleep=sleep
        )
        self._links: dict[Identity, Link] = {}
        self._users: Counter[Identity] = Counter()

    @asynccontextmanager
    async def use(self, identity: Identity) -> AsyncIterator[Link]:
        link = self._links.get(identity)
        if link is None:
            link = self._links[identity] = self._make(identity)
        self._users[identity] += 1
        try:
            await link.renew()
            yield link
        finally:
            self._users[identity] -= 1
            if not self._users[identity]:
                del self._users[identity], self._links[identity]
                await link.close()

    async def last_calls(self, *, grace: float) -> None:
        """Until cancelled, as the process stops; then calls under way have ``grace`` seconds before they are cut.

        What a cut call has done the next process finds on the cluster, as after a crash.
        """
        try:
            await asyncio.Event().wait()
        finally:
            calls = {call for link in self._links.values() for call in link.under_way}
            if calls:
                _, late = await asyncio.wait(calls, timeout=grace)
                for call in late:
                    call.cancel()

    def states(self) -> list[tuple[Identity, Connectivity]]:
        """For metrics and readiness."""
        return [(identity, link.state) for identity, link in self._links.items()]
