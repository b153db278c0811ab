"""What a request over a connection looks like, whichever HTTP it speaks."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from emco_common.kube.errors import NoRoom

MAX_HEADERS = 64 * 1024
"""Bytes of the headers of one answer that are read at most."""
MAX_UNREAD = 256 * 1024
"""Bytes of one answer that wait for their reader at most; then the server waits."""


class Broken(ConnectionError):
    """The connection or the stream ended before the answer. ``untouched``: the server has done nothing of it."""

    def __init__(self, message: str, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.untouched = untouched


@dataclass(frozen=True, slots=True)
class Head:
    """What every request to one server begins with. ``fixed`` are headers whose values may be secret."""

    secure: bool
    authority: str
    fixed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """``target`` is path and query as they go over the wire; ``user`` whose rights it is made with, if not our own."""

    method: str
    target: str
    accept: str
    body: bytes | None = None
    content_type: str = ""
    user: str = ""


class Exchange(Protocol):
    """An answer whose headers are there."""

    @property
    def status(self) -> int: ...

    @property
    def retry_after(self) -> str | None: ...

    def read(self) -> Awaitable[bytes]:
        """What has come of the body, at least a byte; nothing at its end. ``Broken``."""
        ...

    def close(self) -> None:
        """Nobody reads on; what is still to come is not sent for long."""
        ...


class Connection(Protocol):
    """One connection to one server."""

    @property
    def room(self) -> bool:
        """Takes another exchange now?"""
        ...

    @property
    def used(self) -> int:
        """Exchanges under way."""
        ...

    @property
    def leaving(self) -> bool:
        """Takes no more exchanges and ends with those it has."""
        ...

    @property
    def over(self) -> bool: ...

    async def exchange(self, request: Request) -> Exchange:
        """Send a request and wait for the headers of its answer. ``Broken``."""
        ...

    def close(self, reason: str) -> None:
        """Now; exchanges under way are ``Broken`` with the reason."""
        ...


class Exchanges(Protocol):
    """What a carrier of requests needs of the way to one server."""

    @property
    def closed(self) -> str:
        """Why, once it is."""
        ...

    @property
    def lapses(self) -> int:
        """How often there was no connection left: whoever answers after that may be another."""
        ...

    async def call(self, request: Request) -> Exchange:
        """Send a request when there is room for it; the deadline is the caller's. ``OSError``, ``KubeError``."""
        ...

    async def watch(self, request: Request) -> Exchange:
        """As ``call``, for an answer that lasts: ``NoRoom`` where that cannot be kept."""
        ...

    async def close(self, reason: str) -> None: ...

    def short_of_descriptors(self) -> NoRoom | None:
        """Why a call came to nothing that was given up as it waited for a connection of its own."""
        ...
