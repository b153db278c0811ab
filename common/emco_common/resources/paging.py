"""Long lists in pieces: ``limit`` and ``continue`` of a request, and how an answer says where to go on. Pure.

A token names the place of the last document of a piece, never a count, so what comes and goes between two requests
shifts nothing. It is opaque to clients: what it says may change with the store.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from emco_common.errors import BadRequest

T = TypeVar("T")
LIMIT, CONTINUE = "limit", "continue"
HEADER = "Emco-Continue"
MOST = 10_000
MEANINGS = {
    LIMIT: f"At most so many, 1 to {MOST}; the header `{HEADER}` then leads to the rest",
    CONTINUE: f"Go on where the answer with this `{HEADER}` ended",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which piece of a list is asked for; ``limit`` is ``None`` for all that is left."""

    limit: int | None = None
    after: str | None = None

    @property
    def whole(self) -> bool:
        return self.limit is None and self.after is None


WHOLE = Page()


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """``next`` is the place behind which there is more, ``None`` at the end of the list."""

    items: Sequence[T]
    next: str | None = None


def cut(found: Sequence[T], page: Page, place_of: Callable[[T], str]) -> Piece[T]:
    """The piece, of documents that were asked for with one more than the limit, to see whether there is more."""
    if page.limit is None or len(found) <= page.limit:
        return Piece(found)
    return Piece(found[: page.limit], place_of(found[page.limit - 1]))


def parse_page(query: Mapping[str, str]) -> Page:
    """Raises ``BadRequest`` that names the parameter and what it may be."""
    limit, token = query.get(LIMIT), query.get(CONTINUE)
    return Page(None if limit is None else _limit(limit), None if token is None else _place(token))


def links(path: str, page: Page, place: str | None) -> dict[str, str]:
    """The headers that lead from this piece to the next (RFC 8288); ``path`` as it was requested."""
    if place is None:
        return {}
    token = base64.urlsafe_b64encode(place.encode()).rstrip(b"=").decode()
    return {HEADER: token, "Link": f'<{path}?{LIMIT}={page.limit}&{CONTINUE}={quote(token)}>; rel="next"'}


def _limit(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(MOST)) and 1 <= int(given) <= MOST):
        raise BadRequest(f"{LIMIT} {given[:32]!r} is not a number from 1 to {MOST}")
    return int(given)


def _place(token: str) -> str:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error) as error:
        raise bad_token(token) from error


def bad_token(token: str) -> BadRequest:
    return BadRequest(
        f"{CONTINUE} {token[:64]!r} is no token of this list; send the {HEADER} of the piece before, or begin anew"
    )
