"""TLS to one server as one user, at the price of what a connection itself needs.

A context with certificates weighs some 25 KB, of which an open connection uses nothing. So it is there for handshakes
only: a connection begins and ends with a context that all share, which has no certificates and trusts nobody. Should a
server begin a handshake anew on an open connection, which no API server does, it fails.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

Pipes = tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]
"""TLS, what it is given to read, and what it has written."""


def bare_context(*, verify: bool) -> ssl.SSLContext:
    """Without certificates: a handshake with nothing else fails, unless everybody is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Tls:
    """``bare`` is shared; ``make`` answers the context with the certificates, whose settings are those of ``bare``. It
    is made at once, so that certificates of no use are told where they come from, and anew for each later handshake."""

    __slots__ = ("_bare", "_made", "_make")

    def __init__(self, bare: ssl.SSLContext, make: Callable[[], ssl.SSLContext]) -> None:
        self._bare = bare
        self._make = make
        self._made: ssl.SSLContext | None = make()

    def begin(self, name: str, *, protocols: Sequence[str], session: ssl.SSLSession | None) -> Pipes:
        """For a handshake with the server of that name. ``session`` is of an earlier connection to it."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._bare.set_alpn_protocols(list(protocols))
        made = self._bare.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
        made.context = self._made or self._make()
        self._made = None
        return made, incoming, outgoing

    def end(self, made: ssl.SSLObject) -> None:
        """After the handshake; the connection goes on with its keys."""
        made.context = self._bare
