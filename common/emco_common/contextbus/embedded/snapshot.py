"""The file of the embedded bus as of one moment, in pieces, whether or not the process that writes it is running."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from emco_common.contextbus.api import BusUnavailable, Entry, Range, UnusableBus
from emco_common.contextbus.embedded.ledger import check_file
from emco_common.contextbus.embedded.queries import within
from emco_common.contextbus.limits import prefix_bytes
from emco_common.filetrouble import told

_PIECE = 1_000
"""Keys to a piece."""
_COLUMNS = "live.create_revision, live.mod_revision, live.lease"


class FileReading:
    """A ``Reading`` of a file that another process may have open. ``UnusableBus`` if it is none of ours."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UnusableBus(f"there is no context bus {path}")
        self._path = path

    async def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        async with aclosing(snapshot_of(self._path, prefixes, keys_only=keys_only)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """Nothing is open between snapshots."""


async def snapshot_of(path: Path, prefixes: Sequence[str], *, keys_only: bool) -> AsyncGenerator[Range, None]:
    """See ``ContextBus.snapshot``. The moment is held by a read transaction, which hinders no writer."""
    spans = [within(prefix_bytes(prefix)) for prefix in prefixes]
    source = "FROM live" if keys_only else "FROM live JOIN log USING (id)"
    query = f"SELECT live.key, {'NULL' if keys_only else 'value'}, {_COLUMNS} {source}"
    connection: sqlite3.Connection | None = None
    try:
        connection = await asyncio.to_thread(_opened, path)
        (revision,) = connection.execute("SELECT revision FROM state").fetchone()
        for where, bounds in spans:
            sought = f"{query} WHERE {where} ORDER BY live.key"
            rows = await asyncio.to_thread(connection.execute, sought, bounds)
            found = await asyncio.to_thread(rows.fetchmany, _PIECE)
            while found:
                yield Range(tuple(Entry(row[0].decode(), row[1] or b"", *row[2:]) for row in found), revision)
                found = await asyncio.to_thread(rows.fetchmany, _PIECE)
        yield Range((), revision)
    except sqlite3.Error as error:
        raise BusUnavailable(f"the context bus could not read its file: {told(error)}") from error
    finally:
        if connection is not None:
            connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        check_file(connection)
        connection.execute("BEGIN")
    except BaseException:
        connection.close()
        raise
    return connection
