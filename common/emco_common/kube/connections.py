"""The open connections to one server: opened when needed, shared, closed when idle, never more than the budget allows.

HTTP/2 where the server offers it: one connection carries everything. Else HTTP/1.1: one exchange at a time on each.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from weakref import WeakSet

from emco_common.kube.descriptors import Lease
from emco_common.kube.errors import NoRoom
from emco_common.kube.exchange import Broken, Connection, Exchange, Head, Request
from emco_common.kube.http1 import Http1
from emco_common.kube.http2 import Http2
from emco_common.kube.network import Network
from emco_common.kube.wire import Endpoint, Wire, connect

IDLE_SECONDS = 30.0
"""An unused connection is closed after this time."""
MAX_SHARED = 4
"""HTTP/2 connections at once to one server, should it take few exchanges on each."""


class Opened:
    """A connection and what it holds of the budget."""

    __slots__ = ("_watches", "connection", "lease", "since", "wire")

    def __init__(self, connection: Connection, wire: Wire, lease: Lease) -> None:
        self.connection, self.wire, self.lease = connection, wire, lease
        self._watches = 0
        self.since: float | None = None
        """When it became idle."""

    @property
    def watches(self) -> int:
        return self._watches

    def watch_begins(self) -> None:
        self._watches += 1

    def watch_ends(self) -> None:
        self._watches -= 1
        if not self._watches:
            self.lease.last_no_more()


class Connections:
    """At most ``limit`` calls are under way at a time, and over HTTP/1.1 ``watches`` beside them."""

    def __init__(self, endpoint: Endpoint, head: Head, *, limit: int, watches: int, network: Network) -> None:
        self._endpoint = endpoint
        self._head = head
        self._network = network
        self._watches = watches
        self._calls = asyncio.Semaphore(limit)
        self._opened: list[Opened] = []
        self._opening = asyncio.Lock()
        self._protocols = ("h2", "http/1.1") if network.shared else ("http/1.1",)
        self._shared: bool | None = None if network.shared and endpoint.tls is not None else False
        """Is it HTTP/2? Not known before the first connection."""
        self._session: ssl.SSLSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._short: WeakSet[asyncio.Task[object]] = WeakSet()
        """Who waits for a descriptor, or was given up as it did."""
        self.closed = ""
        """Why, once it is."""
        self.lapses = 0
        self._in_touch = False
        self._change: asyncio.Event | None = None
        """Of which those are told who wait for room."""

    def short_of_descriptors(self) -> NoRoom | None:
        """Why a call came to nothing that was given up as it waited for a connection of its own."""
        task = asyncio.current_task()
        if task is None or task not in self._short:
            return None
        self._short.discard(task)
        return self._network.descriptors.full()

    async def call(self, request: Request) -> Call:
        """Send a request when there is room for it; the deadline is the caller's. ``OSError``, ``NoRoom``."""
        await self._calls.acquire()
        try:
            opened = await self._one(lasting=False)
            return Call(await opened.connection.exchange(request), self._calls.release)
        except BaseException:
            self._calls.release()
            raise

    async def watch(self, request: Request) -> Call:
        """As ``call``, for an answer that lasts: ``NoRoom`` where no connection may be kept for it."""
        opened = await self._one(lasting=True)
        opened.watch_begins()
        try:
            return Call(await opened.connection.exchange(request), opened.watch_ends)
        except BaseException:
            opened.watch_ends()
            raise

    async def close(self, reason: str) -> None:
        self.closed = reason
        if self._timer is not None:
            self._timer.cancel()
        for opened in tuple(self._opened):
            opened.connection.close(reason)
        self._changed()

    async def _one(self, *, lasting: bool) -> Opened:
        """A connection with room."""
        if (found := self._free(lasting=lasting)) is not None:
            return found
        if self._shared is False:
            return await self._open(lasting=lasting)
        async with self._opening:  # who comes while one is opened shares it
            while True:
                if (found := self._free(lasting=lasting)) is not None:
                    return found
                staying = [opened for opened in self._opened if not opened.connection.leaving]
                if not self._shared or len(staying) < MAX_SHARED:
                    return await self._open(lasting=lasting)
                change = self._change = asyncio.Event()
                await change.wait()

    def _free(self, *, lasting: bool) -> Opened | None:
        if self.closed:
            raise Broken(self.closed)
        for opened in self._opened:
            if opened.connection.room:
                if lasting:
                    opened.lease.last()
                opened.lease.busy()
                opened.since = None
                return opened
        if lasting and self._shared is False and sum(opened.watches for opened in self._opened) >= self._watches:
            raise NoRoom(f"{self._watches} watches are open to {self._head.authority} already; this one is polled")
        return None

    async def _open(self, *, lasting: bool) -> Opened:
        lease = await self._lease(lasting=lasting)
        try:
            wire = await connect(
                self._endpoint, buffer=self._network.buffer, protocols=self._protocols, session=self._last_session()
            )
            try:
                opened = await self._speak(wire, lease)
            except BaseException:
                wire.fail(None)
                raise
        except BaseException:
            lease.give_back()
            raise
        if self.closed:
            opened.connection.close(self.closed)
            raise Broken(self.closed)
        return opened

    async def _lease(self, *, lasting: bool) -> Lease:
        descriptors = self._network.descriptors
        if lasting:
            return descriptors.take_lasting()
        task = asyncio.current_task()
        assert task is not None
        self._short.add(task)
        lease = await descriptors.take()
        self._short.discard(task)
        return lease

    async def _speak(self, wire: Wire, lease: Lease) -> Opened:
        self._session = None  # the connection has one while it lives
        self._shared = wire.protocol == "h2"
        made: type[Http1] | type[Http2] = Http2 if self._shared else Http1
        connection = made(wire, self._head, changed=self._changed)
        opened = Opened(connection, wire, lease)
        self._opened.append(opened)
        self._in_touch = True
        if isinstance(connection, Http2):
            await connection.settled()
            opened.since = None
            lease.busy()
        return opened

    def _last_session(self) -> ssl.SSLSession | None:
        return self._opened[-1].wire.session if self._opened else self._session

    def _changed(self) -> None:
        """An exchange or a connection has ended."""
        now = asyncio.get_running_loop().time()
        for opened in tuple(self._opened):
            if opened.connection.over:
                self._opened.remove(opened)
                if not self._opened and not self.closed:  # taking it costs as much as all else at the end
                    self._session = opened.wire.session
                opened.lease.give_back()
            elif not opened.connection.used and opened.since is None:
                opened.since = now
                opened.lease.idle(_closing(opened))
        if self._in_touch and not self._opened:
            self._in_touch = False
            self.lapses += 1
        if self._change is not None:
            self._change.set()
            self._change = None
        if self._timer is None and not self.closed and any(opened.since is not None for opened in self._opened):
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._reap)

    def _reap(self) -> None:
        """Close what nobody has used for long."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for opened in tuple(self._opened):
            if opened.since is not None and loop.time() - opened.since >= IDLE_SECONDS - 0.1:
                opened.connection.close("the connection was idle")
        waits = [opened.since for opened in self._opened if opened.since is not None]
        if waits and self._timer is None and not self.closed:
            self._timer = loop.call_later(max(0.1, min(waits) + IDLE_SECONDS - loop.time()), self._reap)


class Call:
    """An exchange under way; whoever has it closes it."""

    __slots__ = ("_after", "_exchange")

    def __init__(self, exchange: Exchange, after: Callable[[], None]) -> None:
        self._exchange = exchange
        self._after: Callable[[], None] | None = after

    @property
    def status(self) -> int:
        return self._exchange.status

    @property
    def retry_after(self) -> str | None:
        return self._exchange.retry_after

    def read(self) -> Awaitable[bytes]:
        return self._exchange.read()

    def close(self) -> None:
        after, self._after = self._after, None
        if after is not None:
            with suppress(Broken):
                self._exchange.close()
            after()


def _closing(opened: Opened) -> Callable[[], None]:
    return lambda: opened.connection.close("its descriptor was needed")
