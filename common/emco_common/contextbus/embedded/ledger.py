"""What lies in the file of the embedded bus, and how a batch of requests changes it. Knows no event loop.

``log`` holds every write, deletions as rows without a value; ``live`` points at the row that is now true of a key.
Rows that are no longer true are kept for watches until compaction passes them: ``floor`` is the oldest revision
whose events are all there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emco_common.contextbus.api import (
    BusUnavailable,
    Compare,
    Delete,
    Entry,
    Event,
    EventType,
    LeaseLost,
    Put,
    UnusableBus,
)
from emco_common.contextbus.embedded.queries import within
from emco_common.contextbus.limits import key_bytes, prefix_bytes
from emco_common.errors import EmcoError
from emco_common.filetrouble import told

APPLICATION_ID = 0x454D4342
VERSION = 1
"""Of the tables below; a file of a later one is not touched."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER, floor INTEGER);
INSERT OR IGNORE INTO state VALUES (1, 1, 1);
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, value BLOB,
    create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, lease INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS log_by_revision ON log (mod_revision);
CREATE TABLE IF NOT EXISTS live (
    key BLOB PRIMARY KEY, id INTEGER NOT NULL,
    create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS live_by_lease ON live (lease) WHERE lease != 0;
CREATE TABLE IF NOT EXISTS lease (id INTEGER PRIMARY KEY AUTOINCREMENT);
"""


@dataclass(frozen=True, slots=True)
class Transact:
    operations: Sequence[Put | Delete]
    when: Sequence[Compare] = ()


@dataclass(frozen=True, slots=True)
class GrantLease:
    pass


@dataclass(frozen=True, slots=True)
class RevokeLease:
    id: int


Request = Transact | GrantLease | RevokeLease


@dataclass(frozen=True, slots=True)
class Outcome:
    """``revision`` is ``None`` when a comparison failed."""

    revision: int | None
    deleted: int = 0
    lease: int = 0


@dataclass(slots=True)
class Batch:
    """What became of the requests of one group commit, in their order."""

    outcomes: list[Outcome | EmcoError] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    revision: int = 0


def check_file(connection: sqlite3.Connection) -> None:
    """``UnusableBus`` for a file of another program or of a newer EMCO; one without a mark is of an older EMCO."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if application not in (0, APPLICATION_ID) or (
        not application and tables and not {"state", "log", "live"} <= tables
    ):
        raise UnusableBus("it belongs to another program: choose another file")
    if version > VERSION:
        raise UnusableBus(
            f"it was written by a newer EMCO (bus version {version}, this one knows {VERSION}): "
            "start the newer EMCO or choose another file"
        )


class Ledger:
    """The one writer of the file. ``history`` is how many events are kept for watches at least."""

    def __init__(self, connection: sqlite3.Connection, *, history: int) -> None:
        self._connection = connection
        self._history = history
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
        row = connection.execute("SELECT revision, floor FROM state").fetchone()
        self._revision, self._floor = int(row[0]), int(row[1])
        self._compact_at = self._last_id() + history
        # Whoever held a lease died with the process that held the file.
        self.apply([RevokeLease(row[0]) for row in connection.execute("SELECT id FROM lease").fetchall()])

    @property
    def revision(self) -> int:
        """The last revision that is on disk."""
        return self._revision

    def apply(self, requests: Sequence[Request]) -> Batch:
        """All requests in one SQLite transaction, each whole or not at all."""
        before = self._revision, self._floor
        batch = Batch()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                batch.outcomes.append(self._answer(request, batch.events))
            if self._last_id() >= self._compact_at:
                self._compact()
            if (self._revision, self._floor) != before:
                self._connection.execute("UPDATE state SET revision = ?, floor = ?", (self._revision, self._floor))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._revision, self._floor = before
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise BusUnavailable(f"the context bus could not write its file: {told(error)}") from error
        batch.revision = self._revision
        return batch

    def close(self) -> None:
        self._connection.close()

    def _answer(self, request: Request, events: list[Event]) -> Outcome | EmcoError:
        if isinstance(request, GrantLease):
            lease = self._connection.execute("INSERT INTO lease DEFAULT VALUES").lastrowid
            return Outcome(self._revision, lease=lease or 0)
        if isinstance(request, RevokeLease):
            return self._revoke(request.id, events)
        if any(self._mod_revision(compare.key) != compare.mod_revision for compare in request.when):
            return Outcome(None)
        lost = self._missing_lease(request.operations)
        if lost:
            return LeaseLost(f"lease {lost} has expired or was revoked")
        return self._change(request.operations, events)

    def _change(self, operations: Sequence[Put | Delete], events: list[Event]) -> Outcome:
        revision, before = self._revision + 1, len(events)
        deleted = 0
        for operation in operations:
            if isinstance(operation, Put):
                events.append(self._put(operation, revision))
            else:
                gone = self._delete(self._doomed(operation), revision)
                deleted += len(gone)
                events.extend(gone)
        if len(events) > before:
            self._revision = revision
        return Outcome(self._revision, deleted=deleted)

    def _put(self, put: Put, revision: int) -> Event:
        key = key_bytes(put.key)
        old = self._connection.execute(
            "SELECT id, create_revision, mod_revision FROM live WHERE key = ?", (key,)
        ).fetchone()
        created = old[1] if old else revision
        row = self._connection.execute(
            "INSERT INTO log (key, value, create_revision, mod_revision, lease) VALUES (?, ?, ?, ?, ?)",
            (key, put.value, created, revision, put.lease),
        ).lastrowid
        self._connection.execute(
            "INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)", (key, row, created, revision, put.lease)
        )
        if old:
            self._forget([(old[0], old[2])])
        return Event(EventType.PUT, Entry(put.key, put.value, created, revision, put.lease))

    def _doomed(self, delete: Delete) -> list[tuple[bytes, int, int]]:
        if not delete.prefix:
            return self._connection.execute(
                "SELECT key, id, mod_revision FROM live WHERE key = ?", (key_bytes(delete.key),)
            ).fetchall()
        where, bounds = within(prefix_bytes(delete.key))
        return self._connection.execute(
            f"SELECT key, id, mod_revision FROM live WHERE {where} ORDER BY key", bounds
        ).fetchall()

    def _delete(self, rows: list[tuple[bytes, int, int]], revision: int) -> list[Event]:
        self._connection.executemany("DELETE FROM live WHERE key = ?", [(key,) for key, _, _ in rows])
        self._connection.executemany(
            "INSERT INTO log (key, value, create_revision, mod_revision, lease) VALUES (?, NULL, 0, ?, 0)",
            [(key, revision) for key, _, _ in rows],
        )
        self._forget([(row, modified) for _, row, modified in rows])
        return [Event(EventType.DELETE, Entry(key.decode(), b"", 0, revision)) for key, _, _ in rows]

    def _revoke(self, lease: int, events: list[Event]) -> Outcome:
        self._connection.execute("DELETE FROM lease WHERE id = ?", (lease,))
        rows = self._connection.execute(
            "SELECT key, id, mod_revision FROM live WHERE lease = ? ORDER BY key", (lease,)
        ).fetchall()
        if rows:
            self._revision += 1
            events.extend(self._delete(rows, self._revision))
        return Outcome(self._revision, deleted=len(rows))

    def _missing_lease(self, operations: Iterable[Put | Delete]) -> int:
        wanted = {operation.lease for operation in operations if isinstance(operation, Put) and operation.lease}
        for lease in wanted:
            if not self._connection.execute("SELECT 1 FROM lease WHERE id = ?", (lease,)).fetchone():
                return lease
        return 0

    def _mod_revision(self, key: str) -> int:
        row = self._connection.execute("SELECT mod_revision FROM live WHERE key = ?", (key_bytes(key),)).fetchone()
        return int(row[0]) if row else 0

    def _last_id(self) -> int:
        row = self._connection.execute("SELECT max(id) FROM log").fetchone()
        return int(row[0] or 0)

    def _forget(self, superseded: Iterable[tuple[int, int]]) -> None:
        """Rows below the floor serve no watch: compaction will not pass them again, so they go at once."""
        old = [(row,) for row, modified in superseded if modified < self._floor]
        if old:
            self._connection.executemany("DELETE FROM log WHERE id = ?", old)

    def _compact(self) -> None:
        last = self._last_id()
        row = self._connection.execute(
            "SELECT mod_revision FROM log WHERE id <= ? ORDER BY id DESC LIMIT 1", (last - self._history,)
        ).fetchone()
        floor = max(self._floor, row[0]) if row else self._floor
        self._connection.execute(
            "DELETE FROM log WHERE mod_revision >= ? AND mod_revision < ?"
            " AND NOT EXISTS (SELECT 1 FROM live WHERE live.key = log.key AND live.id = log.id)",
            (self._floor, floor),
        )
        self._floor = floor
        self._compact_at = last + self._history // 2 + 1
