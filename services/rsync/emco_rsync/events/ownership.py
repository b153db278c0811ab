"""Which deployments are this process's own: one lease on the bus, and a key under it for each deployment (rsync D21).

The key's revision is the fencing token: it goes along with every write to the bus as a comparison. Before each write to
a cluster the lease is looked at by the monotonic clock, counted from when its last successful renewal was sent, so a
process that was paused knows better than its own last thought. Clocks of other machines play no part.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog

from emco_common.contextbus.api import Compare, ContextBus, Delete, Lease, LeaseLost, Put
from emco_common.errors import EmcoError
from emco_rsync.fence import NotOwner
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.links import Sleep

_log = structlog.get_logger()

OWNERS = "/rsync/owner/"
"""Below it, by status context, the replica that works on the deployment."""
REPLICAS = "/rsync/replicas/"
"""Below it, by replica, where it listens, as JSON: ``{"address": "host:port"}`` of its gRPC."""
FAREWELL_SECONDS = 1.0
"""How long the bus is asked to end a lease at once instead of waiting for its time to pass."""


def owner_key(name: str) -> str:
    return f"{OWNERS}{name}/"


def replica_key(replica: str) -> str:
    return f"{REPLICAS}{replica}/"


class Token:
    """A ``Fence``: one deployment, ours from the ``revision`` at which its owner key was written."""

    def __init__(
        self, name: str, revision: int, lease: Lease, *, bus: ContextBus, lose: Callable[[Token], None]
    ) -> None:
        self.name = name
        self._compare = Compare(owner_key(name), revision)
        self._lease = lease
        self._bus = bus
        self._lose = lose
        self._over = False
        self._writes: set[asyncio.Task[object]] = set()
        self._cut: set[asyncio.Task[object]] = set()

    @property
    def lost(self) -> bool:
        return self._over or self._lease.lost

    def __call__(self) -> None:
        if self.lost:
            raise NotOwner(f"deployment {self.name} is not this process's any more")

    @contextmanager
    def writing(self) -> Iterator[None]:
        self()
        task = asyncio.current_task()
        assert task is not None, "writes are made by tasks"
        self._writes.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._cut:
                raise
            task.uncancel()
            raise NotOwner(f"a write for deployment {self.name} was cut: it is not this process's any more") from None
        finally:
            self._writes.discard(task)
            self._cut.discard(task)

    def guard(self) -> list[Compare]:
        return [self._compare]

    async def confirm(self) -> None:
        if not self._over:
            entry = await self._bus.get(self._compare.key)
            if entry is not None and entry.mod_revision == self._compare.mod_revision:
                return
            self._lose(self)
        self()

    def end(self) -> None:
        """From now on nothing is written under it; what is on its way to a cluster is cut."""
        self._over = True
        for task in self._writes:
            self._cut.add(task)
            task.cancel()


@dataclass(frozen=True, slots=True)
class Claim:
    """What makes a deployment ours in the same transaction in which the first work for it is queued."""

    name: str
    lease: Lease
    put: Put

    @property
    def compare(self) -> Compare:
        return Compare(self.put.key, 0)


class Ownership:
    """``address`` is asked for each time a lease is taken; ``ttl`` in seconds is how long a lease outlives its process.

    ``run`` takes one lease after the other; between two of them nothing is owned.
    """

    def __init__(
        self,
        bus: ContextBus,
        *,
        replica: str,
        address: Callable[[], str],
        ttl: float,
        backoff: Backoff,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.replica = replica
        self._bus = bus
        self._address = address
        self._ttl = ttl
        self._backoff = backoff
        self._sleep = sleep
        self._lease: Lease | None = None
        self._tokens: dict[str, Token] = {}
        self.leases_lost = 0
        """How often a lease was over before it was given back."""
        self._told_lost: Callable[[Sequence[Token]], None] = lambda tokens: None

    @property
    def present(self) -> bool:
        """Could anything be owned right now?"""
        return self._lease is not None and not self._lease.lost

    @property
    def lease(self) -> int | None:
        """The id of the present one, for what else lives as long as this process is known to live."""
        return self._lease.id if self._lease is not None and not self._lease.lost else None

    @property
    def owned(self) -> int:
        """How many deployments."""
        return len(self._tokens)

    async def run(self, *, present: Callable[[], None], lost: Callable[[Sequence[Token]], None]) -> None:
        """Until cancelled. ``present`` is told of each new lease, ``lost`` of what is not owned any more."""
        self._told_lost = lost
        failures = 0
        while True:
            try:
                await self._hold_one_lease(present)
                failures = 0
            except EmcoError as error:
                failures += 1
                _log.warning("presence_delayed", replica=self.replica, why=str(error), attempt=failures)
                await self._sleep(self._backoff.delay(failures))

    async def _hold_one_lease(self, present: Callable[[], None]) -> None:
        lease = await self._bus.lease(self._ttl)
        try:
            address = json.dumps({"address": self._address()})
            await self._bus.put(replica_key(self.replica), address.encode(), lease=lease.id)
            self._lease = lease
            _log.info("presence_begun", replica=self.replica)
            present()
            await lease.wait_lost()
            self.leases_lost += 1
            _log.warning("presence_lost", replica=self.replica, deployments=len(self._tokens))
        finally:
            self._lease = None
            self._lose(*self._tokens.values())
            with suppress(EmcoError, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):  # the others need not wait for its time to pass
                    await lease.revoke()

    async def acquire(self, name: str) -> Token | None:
        """The right to a deployment, or ``None`` if another has it. ``BusUnavailable``: ask again."""
        if name in self._tokens and self.present:
            return self._tokens[name]
        claim = self.claim(name)
        if claim is None:
            return None
        try:
            revision = await self._bus.transact([claim.put], when=[claim.compare])
        except LeaseLost:
            await claim.lease.revoke()  # its keeper would notice only later
            return None
        if revision is None:
            entry = await self._bus.get(claim.put.key)  # ours, if an attempt was carried out and its answer lost
            if entry is None or entry.lease != claim.lease.id:
                return None
            revision = entry.mod_revision
        return self.granted(claim, revision)

    def claim(self, name: str) -> Claim | None:
        """What to write to own a deployment; ``None`` if nothing can be owned now. Whoever writes it tells ``granted``,
        and asks ``acquire`` where it is not known whether it was written."""
        lease = self._lease
        if lease is None or lease.lost:
            return None
        return Claim(name, lease, Put(owner_key(name), self.replica.encode(), lease.id))

    def granted(self, claim: Claim, revision: int) -> Token | None:
        """The right that was written at this revision, or ``None`` if the lease has gone meanwhile."""
        if self._lease is not claim.lease or claim.lease.lost:
            return None
        token = self._tokens.get(claim.name)
        if token is None:
            token = Token(claim.name, revision, claim.lease, bus=self._bus, lose=self._lose)
            self._tokens[claim.name] = token
        return token

    async def release(self, token: Token) -> None:
        """Let others have it, at once. ``BusUnavailable``: ask again."""
        token.end()
        if self._tokens.get(token.name) is token:
            del self._tokens[token.name]
        await self._bus.transact([Delete(owner_key(token.name))], when=token.guard())

    def _lose(self, *tokens: Token) -> None:
        gone = [token for token in tokens if self._tokens.get(token.name) is token]
        for token in gone:
            del self._tokens[token.name]
            token.end()
        if gone:
            self._told_lost(gone)
