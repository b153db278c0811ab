"""What the embedded store promises beyond the common contract: killed processes, full disks, foreign files."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from emco_common.store import api, sqlite_rows
from emco_common.store.api import Document
from emco_common.store.sqlite import SqliteStore
from emco_common.store.sqlite_schema import UnusableDatabase

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from emco_common.store.api import Document
from emco_common.store.sqlite import SqliteStore

async def one(store, n):
    await store.create(Document({"a": str(n)}, {}))
    await store.create(Document({"a": str(n), "b": "1"}, {}), parent={"a": str(n)})
    print(n, flush=True)

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    for start in range(0, 10**6, 8):
        await asyncio.gather(*[one(store, n) for n in range(start, start + 8)])

asyncio.run(main())
"""

WRITE_UNTIL_FULL = """
import asyncio, resource, sys
from pathlib import Path
from emco_common.store.api import Document, StoreUnavailable
from emco_common.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    for n in range(1000):
        try:
            await store.create(Document({"a": str(n)}, {"text": "x" * 10_000}))
        except StoreUnavailable as error:
            print(n, (await store.get({"a": "0"})).revision, await store.get({"a": str(n)}), error)
            return

asyncio.run(main())
"""


def answers_until_killed(arguments: list[str], *, after: int) -> list[int]:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(after)]
        os.kill(process.pid, signal.SIGKILL)
        return answered + [int(line) for line in process.stdout.read().splitlines()]


@pytest.mark.robustness(58)
async def test_a_killed_process_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "emco.db"
    arguments = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
    answered = await asyncio.to_thread(answers_until_killed, arguments, after=60)
    store = await SqliteStore.open(path)
    parents = {document.key["a"] for document in await store.list(("a",), {})}
    children = {document.key["a"] for document in await store.list(("a", "b"), {})}
    assert {str(n) for n in answered} <= children <= parents
    await store.create(Document({"a": "after"}, {}))
    await store.close()


@pytest.mark.robustness(60)
def test_a_full_disk_refuses_writes_with_the_reason_and_still_reads(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", WRITE_UNTIL_FULL, str(tmp_path / "emco.db")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
    number, revision, missing, reason = done.stdout.split(maxsplit=3)
    assert int(number) > 5, done.stderr
    assert (revision, missing) == ("1", "None")
    assert reason.startswith("The document store cannot be used: ")


async def test_a_failing_write_undoes_only_itself(tmp_path: Path) -> None:
    """All these wait at once, so they share commits."""
    store = await SqliteStore.open(tmp_path / "emco.db")
    await store.create(Document({"a": "0"}, {}))
    good = [store.create(Document({"a": str(n)}, {})) for n in range(1, 100)]
    bad = [store.create(Document({"a": "0"}, {})) for _ in range(100)]
    mixed = [write for pair in zip(bad, good, strict=False) for write in pair]
    answers = await asyncio.gather(*mixed, return_exceptions=True)
    bad[-1].close()
    assert sum(isinstance(answer, api.AlreadyExists) for answer in answers) == 99
    assert sum(isinstance(answer, Document) for answer in answers) == 99
    assert len(await store.list(("a",), {})) == 100
    await store.close()


async def test_a_search_is_driven_by_the_rarest_name(tmp_path: Path) -> None:
    """One of 200 parents is listed without touching the documents of the others, whatever their common names."""
    path = tmp_path / "emco.db"
    store = await SqliteStore.open(path)
    keys = [{"project": "p", "app": f"a{n}", "version": "v1"} for n in range(200)]
    await asyncio.gather(*[store.create(Document(key, {})) for key in keys])
    await store.close()
    with sqlite3.connect(path) as connection:
        steps: list[None] = []
        connection.set_progress_handler(lambda: steps.append(None), 100)
        found = sqlite_rows.select(connection, sqlite_rows.Wanted(api.kind_of(keys[0]), keys[77]))
        connection.set_progress_handler(None, 0)
    assert [document.key for document in found] == [keys[77]]
    assert len(steps) * 100 < 3000


@pytest.mark.robustness(60)
@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("CREATE TABLE t (x)", "belongs to another program"),
        ("PRAGMA application_id=0x454D434F; PRAGMA user_version=99; CREATE TABLE t (x)", "newer EMCO"),
    ],
)
async def test_a_database_of_another_or_a_newer_program_is_refused(tmp_path: Path, made: str, reason: str) -> None:
    path = tmp_path / "emco.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(made)
    with pytest.raises(UnusableDatabase, match=reason):
        await SqliteStore.open(path)


OF_VERSION_1 = """
CREATE TABLE documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  revision INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE elements (
  token TEXT NOT NULL, kind TEXT NOT NULL, document_id INTEGER NOT NULL,
  PRIMARY KEY (token, kind, document_id)) WITHOUT ROWID;
CREATE TABLE targets (
  target TEXT NOT NULL, document_id INTEGER NOT NULL, PRIMARY KEY (target, document_id)) WITHOUT ROWID;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, upload TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE uploads (upload TEXT PRIMARY KEY, started REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks (id INTEGER PRIMARY KEY, upload TEXT NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL);
INSERT INTO documents VALUES (7, '[["a","1"]]', '{a}', 3,
  '{"key":{"a":"1"},"body":{"n":1.0,"t":"gr\\u00f6\\u00dfe"},"tags":{"s":[1]},"references":[],"alias":{}}');
INSERT INTO elements VALUES ('["a","1"]', '{a}', 7);
PRAGMA application_id=0x454D434F; PRAGMA user_version=1;
"""


@pytest.mark.robustness(60)
async def test_a_database_of_an_earlier_version_is_taken_over_whole(tmp_path: Path) -> None:
    path = tmp_path / "emco.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(OF_VERSION_1)
    for _ in range(2):
        store = await SqliteStore.open(path)
        expected = Document({"a": "1"}, {"n": 1.0, "t": "größe"}, tags={"s": [1]}, revision=3)
        assert await store.get({"a": "1"}) == expected
        assert list(await store.list(("a",), {"a": "1"})) == [expected]
        await store.close()


@pytest.mark.robustness(60)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1000)
    with pytest.raises(UnusableDatabase, match="is not a document store"):
        await SqliteStore.open(path)
    assert path.read_text() == "my notes " * 1000


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "new folder" / "emco.db")
    await store.create(Document({"a": "1"}, {}))
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "new folder").iterdir()}
    await store.close()
    assert modes == {0o600}


async def test_an_upload_that_was_given_up_is_swept_away(tmp_path: Path) -> None:
    path, now = tmp_path / "emco.db", 1000.0
    await (await SqliteStore.open(path, clock=lambda: now)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO uploads VALUES ('dead', ?)", (now,))
        connection.execute("INSERT INTO chunks (upload, number, content) VALUES ('dead', 0, x'00')")
    for opened_at, left in ((now + 60, 1), (now + 7200, 0)):
        await (await SqliteStore.open(path, clock=lambda opened_at=opened_at: opened_at)).close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM chunks").fetchone() == (left,)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(api.StoreUnavailable, match="file"):
        await SqliteStore.open(tmp_path / "file" / "emco.db")


@pytest.mark.robustness(60)
async def test_a_file_with_damaged_pages_is_told_with_what_to_do_and_what_is_whole_is_read(tmp_path: Path) -> None:
    path = tmp_path / "emco.db"
    store = await SqliteStore.open(path)
    for number in range(300):
        await store.create(Document({"a": str(number)}, {"text": "x" * 3_000}))
    await store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096 * 20)
    store = await SqliteStore.open(path)
    told, whole = [], 0
    for number in range(300):
        try:
            whole += await store.get({"a": str(number)}) is not None
        except api.StoreUnavailable as error:
            told.append(str(error))
    assert whole > 100
    assert told
    assert all("bring back a copy of it" in text for text in told), told[0]
    with pytest.raises(api.StoreUnavailable, match="bring back a copy of it"):
        await store.list(("a",), {})
    await store.close()
