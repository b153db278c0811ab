"""Bytes kept by content in the embedded document store: in pieces, each piece a transaction of its own.

A large upload therefore never holds the writer for long. The pieces of one upload count for nothing until the last
step names them; what an upload left behind that never came so far is swept away when the store is opened next.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from itertools import islice

from emco_common.store import api
from emco_common.store.encoding import blob_target

PIECE = 1 << 20  # bytes a row
PIECES_PER_WRITE = 8
ABANDONED_AFTER = 3600.0  # seconds; no upload of at most 1 GiB takes an hour
MAX_BLOB = 1 << 30


def pieces(content: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """The numbered pieces of ``content``, grouped as they are written."""
    numbered = ((n, content[at : at + PIECE]) for n, at in enumerate(range(0, len(content), PIECE)))
    while group := list(islice(numbered, PIECES_PER_WRITE)):
        yield group


def exists(connection: sqlite3.Connection, digest: str) -> bool:
    return connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None


def begin(connection: sqlite3.Connection, *, upload: str, now: float) -> None:
    connection.execute("INSERT INTO uploads VALUES (?, ?)", (upload, now))


def add(connection: sqlite3.Connection, group: list[tuple[int, bytes]], *, upload: str) -> None:
    rows = [(upload, number, piece) for number, piece in group]
    connection.executemany("INSERT INTO chunks (upload, number, content) VALUES (?, ?, ?)", rows)


def finish(connection: sqlite3.Connection, *, upload: str, digest: str, size: int) -> None:
    """Make the upload the content of ``digest``, or drop it where the same bytes are there already."""
    if exists(connection, digest):
        connection.execute("DELETE FROM chunks WHERE upload = ?", (upload,))
    else:
        (stored,) = connection.execute(
            "SELECT coalesce(sum(length(content)), 0) FROM chunks WHERE upload = ?", (upload,)
        ).fetchone()
        if stored != size:
            raise api.StoreUnavailable("The upload took so long that it was given up; send it again")
        connection.execute("INSERT INTO blobs VALUES (?, ?, ?)", (digest, upload, size))
    connection.execute("DELETE FROM uploads WHERE upload = ?", (upload,))


def read(connection: sqlite3.Connection, digest: str) -> bytes:
    row = connection.execute("SELECT upload FROM blobs WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise api.DocumentMissing(f"No content {digest}")
    rows = connection.execute("SELECT content FROM chunks WHERE upload = ? ORDER BY number", row)
    content = b"".join(piece for (piece,) in rows)
    if hashlib.sha256(content).hexdigest() != digest:
        raise api.StoreUnavailable(f"The content {digest} is damaged; restore the document store from a backup")
    return content


def remove(connection: sqlite3.Connection, digest: str) -> None:
    named = connection.execute("SELECT 1 FROM targets WHERE target = ? LIMIT 1", (blob_target(digest),)).fetchone()
    if named is None:
        connection.execute("DELETE FROM chunks WHERE upload = (SELECT upload FROM blobs WHERE digest = ?)", (digest,))
        connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))


def sweep(connection: sqlite3.Connection, *, now: float) -> None:
    """Remove uploads that began long ago and never finished."""
    late = now - ABANDONED_AFTER
    connection.execute("DELETE FROM chunks WHERE upload IN (SELECT upload FROM uploads WHERE started < ?)", (late,))
    connection.execute("DELETE FROM uploads WHERE started < ?", (late,))
