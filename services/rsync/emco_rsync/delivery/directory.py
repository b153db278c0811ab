"""Which replica of rsync holds the stream of which agent, as the bus says: ``/rsync/agents/<cluster>/`` → its id.

The keys live and die with the lease of their replica. The newest claim counts: an agent that connects anew takes over
from what is left of its former stream, wherever that is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import structlog

from emco_common.contextbus.api import Compare, ContextBus, Delete, LeaseLost, Put
from emco_common.errors import EmcoError
from emco_rsync.events.mirror import Mirror
from emco_rsync.events.ownership import replica_key
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.links import Sleep

_log = structlog.get_logger()

AGENTS = "/rsync/agents/"
Moved = Callable[[str, str], None]
"""Of a cluster, and the replica that holds its agent's stream now: ``""`` for none."""


class Directory:
    """``lease`` answers the id of the lease that this ``replica`` has now, or ``None``."""

    def __init__(
        self,
        bus: ContextBus,
        *,
        replica: str,
        lease: Callable[[], int | None],
        moved: Moved,
        backoff: Backoff,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.replica = replica
        self._bus = bus
        self._lease = lease
        self._moved = moved
        self._backoff = backoff
        self._sleep = sleep
        self._mirror = Mirror(bus, AGENTS, changed=self._changed, backoff=backoff, sleep=sleep)
        self._wanted: dict[str, bool] = {}
        """Clusters whose streams are here; whether that is news which goes before the claims of others."""
        self._revisions: dict[str, int] = {}
        self._due: set[str] = set()
        self._work = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mirror.run(), name="agents of all replicas")
            tasks.create_task(self._write(), name="agents of this replica")

    def holder(self, cluster: str) -> str:
        """The replica with the stream of the cluster's agent, or ``""``."""
        return self._mirror.values.get(cluster, b"").decode()

    async def address(self, replica: str) -> tuple[str, int] | None:
        """Where a replica serves the others, or ``None`` if it is not there any more. ``BusUnavailable``."""
        entry = await self._bus.get(replica_key(replica))
        if entry is None:
            return None
        host, _, port = str(json.loads(entry.value)["address"]).rpartition(":")
        return host.strip("[]"), int(port)

    def claim(self, cluster: str) -> None:
        """This replica has the agent's stream from now on."""
        self._wanted[cluster] = True
        self._owe(cluster)

    def release(self, cluster: str) -> None:
        """This replica has it no more."""
        if self._wanted.pop(cluster, None) is not None:
            self._owe(cluster)

    def _owe(self, cluster: str) -> None:
        self._due.add(cluster)
        self._work.set()

    def _changed(self, cluster: str, value: bytes | None) -> None:
        holder = (value or b"").decode()
        if not holder and cluster in self._wanted:
            self._owe(cluster)  # it went with a lease that we had
        elif holder != self.replica and cluster not in self._due:
            self._moved(cluster, holder)

    async def _write(self) -> None:
        failures = 0
        while True:
            await self._work.wait()
            self._work.clear()
            for cluster in sorted(self._due):
                while not await self._settled(cluster):
                    failures += 1
                    await self._sleep(self._backoff.delay(failures))
                failures = 0

    async def _settled(self, cluster: str) -> bool:
        wanted = self._wanted.get(cluster)
        try:
            if wanted is None:
                await self._withdraw(cluster)
            elif not await self._claim(cluster, first=wanted):
                return False
        except EmcoError as error:
            _log.warning("agent_not_claimed", cluster=cluster, why=str(error))
            return False
        if self._wanted.get(cluster) is wanted:
            self._due.discard(cluster)
        if wanted and cluster in self._wanted:
            self._wanted[cluster] = False
        return True

    async def _claim(self, cluster: str, *, first: bool) -> bool:
        """False while there is no lease to write it under."""
        lease = self._lease()
        if lease is None:
            return False
        key = _key(cluster)
        try:
            revision = await self._bus.transact(
                [Put(key, self.replica.encode(), lease)], when=[] if first else [Compare(key, 0)]
            )
        except LeaseLost:
            return False
        if revision is not None:
            self._revisions[cluster] = revision
            self._mirror.note(cluster, self.replica.encode(), revision=revision)
        elif (holder := self.holder(cluster)) not in ("", self.replica):
            self._moved(cluster, holder)  # what we heard of it meanwhile we passed over
        return True

    async def _withdraw(self, cluster: str) -> None:
        revision = self._revisions.get(cluster)
        if revision is not None:
            await self._bus.transact([Delete(_key(cluster))], when=[Compare(_key(cluster), revision)])
            self._revisions.pop(cluster, None)


def _key(cluster: str) -> str:
    return f"{AGENTS}{cluster}/"
