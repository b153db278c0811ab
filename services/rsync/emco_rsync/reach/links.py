"""The way to one cluster as one user: is it there, is it our turn, and a fresh client when needed.

A link that cannot reach its cluster keeps trying on its own, with back-off, reading the access record anew each time
(credentials may have been rotated); everybody else waits for it at no cost. All links to one cluster share a ``Gate``:
what one of them learns of the cluster all know. Clusters know nothing of each other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import structlog

from emco_common.appcontext.states import Connectivity
from emco_common.errors import EmcoError
from emco_common.kube import KubeApi, KubeError
from emco_common.kube.errors import BadAnswer, Unauthorized, Unreachable
from emco_common.tracing.spans import nobodys
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.measures import Measures, Tally
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.breaker import BreakerState
from emco_rsync.reach.gate import CLOSED, Gate, is_fault
from emco_rsync.reach.lanes import NOBODY, Shared, Sleep, Turn
from emco_rsync.reach.sameness import SameCluster, believed
from emco_rsync.reach.slots import FairSlots
from emco_rsync.reach.ways import Access, Identity, Open, Way, expiry_of

__all__ = ["Link", "LinkSettings", "Links", "Listener", "RetriesExceeded", "Sleep"]

_log = structlog.get_logger()
T = TypeVar("T")
Listener = Callable[[Connectivity, str], None]
"""Told of each change, with the reason while the cluster is away, or there but not well."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Times in seconds."""

    connections: int = 8
    """Calls at once to one cluster that change something,"""
    reads: int = 4
    """that only look,"""
    calls: int = 128
    """and over all clusters, apart from such as last."""
    probe_timeout: float = 5.0
    max_failures: int | None = None
    """Give a cluster up after so many attempts in a row; ``None`` never does."""


class Reached(NamedTuple):
    """What is known of one cluster. ``answers`` somebody, whoever asks; ``breaker`` is the worst there is; ``expires``
    the first certificate to end, as a Unix time, 0 if none is known."""

    cluster: str
    answers: bool
    breaker: BreakerState
    tally: Tally
    expires: float


class RetriesExceeded(EmcoError):
    """The cluster stayed away for as many attempts as the operator allows."""


class _NotNow(Exception):
    """The cluster went away while a call waited for its turn."""


class Link:
    """One identity's link. Made and closed by ``Links``."""

    def __init__(
        self,
        identity: Identity,
        gate: Gate,
        *,
        access: Access,
        open_way: Open,
        same: SameCluster,
        settings: LinkSettings,
        backoff: Backoff,
        sleep: Sleep,
        measures: Measures,
    ) -> None:
        self.identity = identity
        self.measures = measures
        self.state = Connectivity.UNKNOWN
        self.reason = ""
        self.expires = 0.0
        """When the certificate as which the cluster knows this user ends, as a Unix time; 0 if that is not known."""
        self.outages = 0
        """How often the cluster was found to be away."""
        self._gate = gate
        self._access = access
        self._open_way = open_way
        self._same = same
        self._settings = settings
        self._backoff = backoff
        self._sleep = sleep
        self._listeners: set[Listener] = set()
        self._client: KubeApi | None = None
        self._way = Way().mark
        self._unknown_to_it = False
        self._lapses = 0
        self._prober: asyncio.Task[KubeApi] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.under_way: set[asyncio.Future[Any]] = set()
        self._deaf = gate.listen(self._gate_changed)

    @property
    def gathers(self) -> bool:
        """Is what is sent gathered, so that much at once costs no more than a little?"""
        return isinstance(self._client, Indirect)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told of changes, and at once of the present state if it is known. Answers how to stop it."""
        self._listeners.add(listener)
        if self.state is not Connectivity.UNKNOWN:
            listener(self.state, self.reason)
        return lambda: self._listeners.discard(listener)

    @property
    def width(self) -> int:
        """Calls at once that may change something."""
        return self._settings.connections

    @property
    def tally(self) -> Tally:
        """Of the cluster."""
        return self._gate.tally

    async def renew(self) -> None:
        """Before new work: take up credentials that were changed meanwhile, which what is under way need not notice."""
        if self._client is None or self._prober is not None:
            return
        with suppress(EmcoError):  # what cannot be read now keeps nobody from the way that is known
            if (await self._access(self.identity)).mark != self._way and self._prober is None:
                self._start_probing()

    async def available(self) -> KubeApi:
        """Wait, for ever if need be, until the cluster answers. ``RetriesExceeded`` where the operator set a limit."""
        if (client := self._usable()) is not None:
            return client
        return await asyncio.shield(self._prober or self._start_probing())

    async def call(self, operation: Callable[[KubeApi], Awaitable[T]], *, turn: Turn = NOBODY) -> T:
        """One call, when the cluster is there and it is our turn. Any ``KubeError``; ``RetriesExceeded``.

        After an error that puts the cluster in doubt, the next call waits until it has answered a probe. A cancelled
        caller leaves only after its call has ended, so that nothing it sent arrives after what is sent next; a call
        that only reads ends with it.
        """
        while True:
            found = await self.available()
            if isinstance(found, Indirect):  # gathers what comes together, so it is not to come a few at a time
                return await self._answered(operation, found, turn)
            with suppress(_NotNow):
                async with self._gate.passing(turn):
                    if (client := self._usable()) is None:
                        raise _NotNow
                    return await self._answered(operation, client, turn)

    async def _answered(self, operation: Callable[[KubeApi], Awaitable[T]], client: KubeApi, turn: Turn) -> T:
        started, outcome = perf_counter(), "cut"
        try:
            answer = await self._to_its_end(operation(client), reading=turn.reading)
            outcome = "ok"
            return answer
        except KubeError as error:
            outcome = "failed" if is_fault(error) else "refused"
            self.doubt(error, client=client)
            raise
        finally:
            self._took(perf_counter() - started, outcome, reading=turn.reading)

    def _took(self, seconds: float, outcome: str, *, reading: bool) -> None:
        self.measures.calls.series("read" if reading else "write", outcome).observe(seconds)
        if not reading:
            self.tally.wrote(seconds)

    def doubt(self, error: KubeError, *, client: KubeApi) -> None:
        """Take note of an error that ``client`` met, also outside of ``call`` (a watch)."""
        if client is not self._client:
            return
        if isinstance(error, Unauthorized):  # this user's affair
            self._unknown_to_it = True
            if self._prober is None:
                self._start_probing()
        elif isinstance(error, Unreachable | BadAnswer) and error.reason != CLOSED:
            self._gate.server(client.server).doubt()

    async def close(self) -> None:
        self._deaf()
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _to_its_end(self, call: Awaitable[T], *, reading: bool) -> T:
        task = asyncio.ensure_future(call)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if reading:
                task.cancel()
            await asyncio.wait({task})  # it has a deadline of its own
            _ = task.cancelled() or task.exception()  # nobody is left whom its error would concern
            raise

    def _usable(self) -> KubeApi | None:
        """What to call the cluster with, unless there is something to be found out first."""
        client = self._client
        if client is None or self._prober is not None:
            return None
        server = self._gate.server(client.server)
        if client.lapses != self._lapses:  # whoever answers there now is to be recognised first
            self._lapses = client.lapses
            server.doubt()
        return client if server.breaker.closed else None

    def _gate_changed(self) -> None:
        """Somebody has learned something of the cluster."""
        if self._client is None or self._prober is not None:
            return
        if self._usable() is None:
            self._start_probing()
        elif self.state is Connectivity.AVAILABLE:
            self._become(Connectivity.AVAILABLE, self._trouble())

    def _trouble(self) -> str:
        """What there is to say of a cluster that is available."""
        remark = self._client.remark if isinstance(self._client, Indirect) else ""
        return self._gate.trouble() or remark

    def _start_probing(self) -> asyncio.Task[KubeApi]:
        prober = self._prober = asyncio.create_task(
            self._probe(), name=f"probe {self.identity.cluster}", context=nobodys(copy_context())
        )
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
                    held = self._held()
                    if failures > 1 or self.state is not Connectivity.AVAILABLE:  # one lost answer is no outage
                        self._become(Connectivity.RETRYING, held or str(error))
                    if self._settings.max_failures is not None and failures > self._settings.max_failures + 1:
                        raise RetriesExceeded(f"Retries exceeded max: {self.identity.cluster}") from error
                    if not held:  # else the next probe waits until it is time
                        await self._sleep(self._backoff.delay(failures))
                else:
                    self._become(Connectivity.AVAILABLE, self._trouble())
                    return client
        finally:
            self._prober = None

    def _held(self) -> str:
        """Why the server is not to be tried now; ``""`` if it may be."""
        if self._client is None:
            return ""
        return self._gate.away(self._client.server)

    async def _reach(self) -> KubeApi:
        way = await self._access(self.identity)
        if self._client is None:
            self._client, self._way = self._open_way(self.identity, way), way.mark
        elif way.mark != self._way:
            self._client = await self._exchanged(self._client, way)
        client = self._client
        self.expires = expiry_of(client)
        if isinstance(client, Indirect):
            client.listen(self._gate_changed)
        await self._ask(client)
        await self._gate.recognise(lambda: self._same(self.identity, client))
        if self._unknown_to_it:
            await self._client.check_identity(timeout=self._settings.probe_timeout)
            self._unknown_to_it = False
        self._lapses = self._client.lapses
        return self._client

    async def _ask(self, client: KubeApi) -> None:
        """Is there an answer? Asked once for all who want to know."""
        server = self._gate.server(client.server)
        await server.probe(lambda: client.version(timeout=self._settings.probe_timeout))

    async def _exchanged(self, former: KubeApi, way: Way) -> KubeApi:
        """The client to go on with: new credentials take over once the cluster knows them, not before."""
        fresh = self._open_way(self.identity, way)
        try:
            await self._ask(fresh)
            await fresh.check_identity(timeout=self._settings.probe_timeout)
        except BaseException as error:
            await fresh.close()
            if not isinstance(error, KubeError) or self._unknown_to_it or self.state is Connectivity.RETRYING:
                raise
            _log.warning("new_credentials_not_taken_up", cluster=self.identity.cluster, why=str(error))
            return former
        self._way, self._unknown_to_it = way.mark, False
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
            self.outages += state is Connectivity.RETRYING
            _log.info("cluster_connectivity_changed", cluster=self.identity.cluster, state=str(state), reason=reason)
        self.state, self.reason = state, reason
        for listener in list(self._listeners):
            listener(state, reason)


class Links:
    """All links of the process; a link lives as long as somebody uses it, what links share as long as one of them."""

    def __init__(
        self,
        access: Access,
        open_way: Open,
        *,
        settings: LinkSettings,
        backoff: Backoff,
        same: SameCluster = believed,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
        measures: Measures | None = None,
    ) -> None:
        self._measures = measures or Measures()
        self._access = access
        self._open_way = open_way
        self._same = same
        self._settings = settings
        self._shared = Shared(
            calls=FairSlots(settings.calls),
            writes=settings.connections,
            reads=settings.reads,
            backoff=backoff,
            sleep=sleep,
            clock=clock,
        )
        self._gates: dict[str, Gate] = {}
        self._links: dict[Identity, Link] = {}
        self._users: Counter[Identity] = Counter()

    @asynccontextmanager
    async def use(self, identity: Identity, *, anew: bool = True) -> AsyncIterator[Link]:
        """``anew``: for new work, which takes up credentials that were changed meanwhile; not for a part of it."""
        link = self._links.get(identity)
        if link is None:
            link = self._links[identity] = self._make(identity)
        self._users[identity] += 1
        try:
            if anew:
                await link.renew()
            yield link
        finally:
            self._users[identity] -= 1
            if not self._users[identity]:
                del self._users[identity], self._links[identity]
                await link.close()
                await self._close_gate(identity.cluster)

    def _make(self, identity: Identity) -> Link:
        gate = self._gates.get(identity.cluster)
        if gate is None:
            gate = self._gates[identity.cluster] = Gate(identity.cluster, self._shared)
        return Link(
            identity,
            gate,
            access=self._access,
            open_way=self._open_way,
            same=self._same,
            settings=self._settings,
            backoff=self._shared.backoff,
            sleep=self._shared.sleep,
            measures=self._measures,
        )

    def hurry(self, cluster: str) -> None:
        """The cluster may be back, as somebody knows otherwise: the next attempt to reach it is made now."""
        gate = self._gates.get(cluster)
        if gate is not None:
            gate.hurry()

    async def _close_gate(self, cluster: str) -> None:
        """When nobody is left who passes through it."""
        if cluster in self._gates and not self._gates[cluster].heard:
            await self._gates.pop(cluster).close()

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

    def reached(self) -> Iterator[Reached]:
        """By cluster, for metrics. To be read at once."""
        links: dict[str, list[Link]] = {}
        for identity, link in self._links.items():
            links.setdefault(identity.cluster, []).append(link)
        for name, gate in self._gates.items():
            through = links.get(name, [])
            yield Reached(
                name,
                any(link.state is Connectivity.AVAILABLE for link in through),
                max(breaker.state for breaker in gate.breakers()),
                gate.tally,
                min((link.expires for link in through if link.expires), default=0.0),
            )
