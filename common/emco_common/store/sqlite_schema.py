"""The tables of the embedded document store: how a database file is made, recognised and opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from emco_common.errors import EmcoError

VERSION = 2
APPLICATION_ID = 0x454D434F  # "EMCO", so that a foreign SQLite file is not taken for ours
BUSY_TIMEOUT = 5.0  # seconds to wait for another process's write; a group commit takes milliseconds

TABLES = """
CREATE TABLE documents (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  path     TEXT NOT NULL UNIQUE,
  kind     TEXT NOT NULL,
  revision INTEGER NOT NULL,
  content  TEXT NOT NULL,
  body     BLOB NOT NULL
);
CREATE INDEX documents_by_kind ON documents (kind, id);
CREATE TABLE elements (
  token       TEXT NOT NULL,
  kind        TEXT NOT NULL,
  document_id INTEGER NOT NULL,
  PRIMARY KEY (token, kind, document_id)
) WITHOUT ROWID;
CREATE TABLE targets (
  target      TEXT NOT NULL,
  document_id INTEGER NOT NULL,
  PRIMARY KEY (target, document_id)
) WITHOUT ROWID;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, upload TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE uploads (upload TEXT PRIMARY KEY, started REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks (id INTEGER PRIMARY KEY, upload TEXT NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL);
CREATE UNIQUE INDEX chunks_by_upload ON chunks (upload, number);
"""

UPGRADES = {
    1: """
ALTER TABLE documents ADD COLUMN body BLOB NOT NULL DEFAULT x'7b7d';
UPDATE documents SET body = CAST(json_extract(content, '$.body') AS BLOB), content = json_remove(content, '$.body');
""",
}
"""What leads from a version to the next: 2 keeps the body as text of its own, so that it is answered as it lies."""


class UnusableDatabase(EmcoError):
    """The file is not one this program may write to; the message says why and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT)
    connection.execute("PRAGMA synchronous=FULL")  # a commit that was answered survives the loss of power
    connection.execute("PRAGMA cache_size=-16000")
    return connection


def prepare(path: Path) -> sqlite3.Connection:
    """Open ``path`` for writing, with our tables in it. ``UnusableDatabase`` if it is foreign, damaged or too new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        _create_or_check(connection, path=path)
        connection.execute("COMMIT")
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise UnusableDatabase(f"{path} is not a document store of EMCO ({error}): move it away") from error
        raise
    return connection


def _create_or_check(connection: sqlite3.Connection, *, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0:
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    elif application != APPLICATION_ID:
        raise UnusableDatabase(f"{path} belongs to another program: choose another file")
    elif version > VERSION:
        raise UnusableDatabase(
            f"{path} was written by a newer EMCO (store version {version}, this one knows {VERSION}): "
            "start the newer EMCO or choose another file"
        )
    else:
        for step in range(version, VERSION):
            for statement in UPGRADES[step].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={VERSION}")
