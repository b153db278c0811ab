"""A request and the way to answer it, whichever HTTP they go over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes a request may have, as on a real server."""


@dataclass(frozen=True, slots=True)
class Asked:
    """``path`` is still quoted; names of ``headers`` are in small letters; ``peer`` is the client's certificate."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    peer: Mapping[str, Any] | None = None
    too_large: bool = False


class Answer(Protocol):
    """How a request is answered: whole, or begun and written piece by piece."""

    @property
    def begun(self) -> bool: ...

    @property
    def cut(self) -> bool:
        """Has the connection gone?"""
        ...

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None: ...

    async def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None: ...

    async def write(self, data: bytes) -> None:
        """``ConnectionError`` if nobody is there any more."""
        ...

    def abort(self) -> None:
        """Break the connection."""
        ...


Handler = Callable[[Asked, Answer], Awaitable[None]]
"""Answers one request; cancelled when who asked has gone."""


def asked(
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    peer: Mapping[str, Any] | None,
    *,
    too_large: bool,
) -> Asked:
    """From what came over the wire; of a name that the query repeats the first counts."""
    path, _, text = target.partition("?")
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True) if text else ():
        query.setdefault(name, value)
    return Asked(method, path, query, headers, body, peer, too_large)
