"""What is read from the file of the embedded bus, whose tables are ``ledger``'s. Each answer is of one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emco_common.contextbus.api import Compacted, Entry, Event, EventType, Range
from emco_common.contextbus.limits import key_bytes, prefix_bytes, prefix_end


def connect(
    path: Path, *, durable: bool, check: Callable[[sqlite3.Connection], None] = lambda connection: None
) -> sqlite3.Connection:
    """A connection to the file; ``durable`` makes a commit wait until the disk has it. ``check`` may refuse the file
    before anything is written to it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        check(connection)
    except BaseException:
        connection.close()
        raise
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    return connection


def read_entry(connection: sqlite3.Connection, key: str) -> Entry | None:
    row = connection.execute(
        "SELECT value, live.create_revision, live.mod_revision, live.lease"
        " FROM live JOIN log USING (id) WHERE live.key = ?",
        (key_bytes(key),),
    ).fetchone()
    return Entry(key, *row) if row else None


def read_range(connection: sqlite3.Connection, prefix: str, *, keys_only: bool, limit: int) -> Range:
    """Entries and revision of one moment."""
    with _moment(connection) as revision:
        return Range(tuple(_entries(connection, prefix, keys_only=keys_only, limit=limit)), revision)


def read_together(connection: sqlite3.Connection, *, keys: Iterable[str], prefixes: Iterable[str]) -> Range:
    """As ``read_range``, of several."""
    with _moment(connection) as revision:
        alone = (read_entry(connection, key) for key in keys)
        found = [entry for entry in alone if entry is not None]
        for prefix in prefixes:
            found += _entries(connection, prefix, keys_only=False, limit=0)
        return Range(tuple(found), revision)


@contextmanager
def _moment(connection: sqlite3.Connection) -> Iterator[int]:
    """What is read within is of one revision, this one."""
    connection.execute("BEGIN")
    try:
        (revision,) = connection.execute("SELECT revision FROM state").fetchone()
        yield revision
    finally:
        connection.execute("COMMIT")


def _entries(connection: sqlite3.Connection, prefix: str, *, keys_only: bool, limit: int) -> Iterator[Entry]:
    where, bounds = within(prefix_bytes(prefix))
    columns = "live.key, {}, live.create_revision, live.mod_revision, live.lease"
    source = "FROM live" if keys_only else "FROM live JOIN log USING (id)"
    query = (
        f"SELECT {columns.format('NULL' if keys_only else 'value')} {source} WHERE {where} ORDER BY live.key LIMIT ?"
    )
    for row in connection.execute(query, (*bounds, limit or -1)).fetchall():
        yield Entry(row[0].decode(), row[1] or b"", *row[2:])


def read_history(
    connection: sqlite3.Connection, prefix: str, *, start: int, limit: int
) -> tuple[list[Event], int, bool]:
    """Events below ``prefix`` from revision ``start`` on, the last revision they cover, and whether that is all.

    About ``limit`` events at a time, revisions never split. Raises ``Compacted`` when ``start`` is below the floor.
    """
    where, bounds = within(prefix_bytes(prefix), column="key")
    query = f"FROM log WHERE mod_revision >= ? AND {where}"
    connection.execute("BEGIN")
    try:
        revision, floor = connection.execute("SELECT revision, floor FROM state").fetchone()
        if start < floor:
            raise Compacted(f"revision {start} of the context bus is compacted, the oldest kept is {floor}")
        more = connection.execute(
            f"SELECT mod_revision {query} ORDER BY mod_revision, id LIMIT 1 OFFSET ?", (start, *bounds, limit)
        ).fetchone()
        covered = more[0] if more else max(revision, start - 1)
        rows = connection.execute(
            "SELECT key, value, create_revision, mod_revision, lease "
            f"{query} AND mod_revision <= ? ORDER BY mod_revision, id",
            (start, *bounds, covered),
        ).fetchall()
    finally:
        connection.execute("COMMIT")
    return [_event(row) for row in rows], covered, more is None


def within(prefix: bytes, *, column: str = "live.key") -> tuple[str, tuple[bytes, ...]]:
    """The condition, with its parameters, that a key starts with ``prefix``."""
    end = prefix_end(prefix)
    return (f"{column} >= ? AND {column} < ?", (prefix, end)) if end else (f"{column} >= ?", (prefix,))


def _event(row: tuple[bytes, bytes | None, int, int, int]) -> Event:
    kind = EventType.DELETE if row[1] is None else EventType.PUT
    return Event(kind, Entry(row[0].decode(), row[1] or b"", *row[2:]))
