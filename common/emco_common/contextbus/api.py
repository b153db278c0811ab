"""The door to the context bus, an ordered key-value space with revisions, watches and leases (etcd v3 semantics).

Adapters: ``etcd`` and ``embedded``. Keys are text, values bytes; ranges come in ascending byte order of the key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from emco_common.errors import Conflict, LoginRefused, Unavailable

MAX_TRANSACTION_OPERATIONS = 100
"""Operations in one transaction at most (the etcd server's own limit is 128)."""

MAX_TRANSACTION_BYTES = 1_572_864
"""Keys and values of one transaction together weigh at most this (what an etcd server accepts by default)."""


class Entry(NamedTuple):
    """A tuple, as a read may bring tens of thousands."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """What a range read saw, and the revision of the whole bus at which it saw it."""

    entries: tuple[Entry, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one key, or with ``prefix`` every key that starts with it."""

    key: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """True when the key was last written at ``mod_revision``; 0 means that it does not exist."""

    key: str
    mod_revision: int


class EventType(Enum):
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Event:
    """``entry.value`` is empty for a deletion, whose revision is ``entry.mod_revision``."""

    type: EventType
    entry: Entry


class BusUnavailable(Unavailable):
    """The bus did not answer within the deadline."""


class BusLoginRefused(BusUnavailable, LoginRefused):
    """The bus does not take our credentials, or they give no right to what is needed."""


class UnusableBus(Conflict):
    """What the URL names is not a context bus that this EMCO may write to. The text says what to do."""


class Compacted(Conflict):
    """A watch asked for history that is gone. List again and watch from the revision of that range."""


class LeaseLost(Conflict):
    """The lease has expired or was revoked."""


class Lease(Protocol):
    """Kept alive in the background until ``revoke``.

    ``lost`` is true as soon as it may be over: its life has passed, by the monotonic clock of this process, since the
    last successful renewal was sent. It is false only as long as no server can think so; asking costs nothing.
    """

    @property
    def id(self) -> int: ...

    @property
    def lost(self) -> bool: ...

    async def wait_lost(self) -> None: ...

    async def revoke(self) -> None: ...


class Reading(Protocol):
    """A bus that is only read, which others may be using."""

    def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        """As in ``ContextBus``."""
        ...

    async def close(self) -> None: ...


class ContextBus(Protocol):
    """Every method has a deadline and raises ``BusUnavailable`` when it passes."""

    async def get(self, key: str) -> Entry | None: ...

    async def range(self, prefix: str, *, keys_only: bool = False, limit: int = 0) -> Range:
        """All keys that start with ``prefix``; ``limit`` 0 means all; with ``keys_only`` values are empty."""
        ...

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Range:
        """These keys, as far as they are there, and all that start with the prefixes, in one trip and as of one moment.

        In the order in which they were asked for; no two may overlap, and together there are at most
        ``MAX_TRANSACTION_OPERATIONS``.
        """
        ...

    def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        """All keys that start with any of the ``prefixes`` as of one moment, in pieces, all of the same revision.

        For what may be more than fits into one answer; there is a piece even where there is nothing. No two prefixes
        may overlap. Raises ``Compacted`` when the server forgets that moment before the last piece was read; it is
        closed with ``contextlib.aclosing``.
        """
        ...

    async def put(self, key: str, value: bytes, *, lease: int = 0) -> int:
        """Write one key and answer the revision."""
        ...

    async def delete(self, key: str, *, prefix: bool = False) -> int:
        """How many keys were deleted."""
        ...

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        """Do all operations (at most ``MAX_TRANSACTION_OPERATIONS``) if every comparison holds.

        Answers the revision, or ``None`` when a comparison failed and nothing was done.
        """
        ...

    def watch(self, prefix: str, *, start_revision: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        """Events below ``prefix`` in order, none lost and none twice, across restarts of the server.

        From ``start_revision`` on, or from now on if 0. The first item is an empty sequence, sent once the watch
        is in force; later items hold whole revisions. Raises ``Compacted``, and ``BusUnavailable`` only while the
        watch has not come into force. Ends only when it is closed (``contextlib.aclosing``) or the bus is.
        """
        ...

    async def lease(self, ttl: float) -> Lease:
        """A lease that lives ``ttl`` seconds (at least 1) past its last renewal."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
