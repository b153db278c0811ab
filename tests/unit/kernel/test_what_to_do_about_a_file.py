"""Each kind of trouble with a file says what to do about it, and no other does."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from emco_common.filetrouble import told

pytestmark = pytest.mark.robustness(60)


def met(connection: sqlite3.Connection, statement: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as found:
        connection.execute(statement)
    return found.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def test_a_file_that_may_only_be_read_is_to_be_made_writable(file: Path) -> None:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    assert "make the folder writable" in told(met(connection, "INSERT INTO t VALUES (1)"))
    connection.close()


def test_a_disk_without_room_is_to_be_given_some(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA max_page_count=2")
    assert "make room on the disk" in told(met(connection, "INSERT INTO t VALUES (zeroblob(100000))"))
    connection.close()


def test_a_file_that_another_program_holds_is_to_be_let_go(file: Path) -> None:
    holder, other = sqlite3.connect(file, isolation_level=None), sqlite3.connect(file, timeout=0)
    holder.execute("BEGIN EXCLUSIVE")
    assert "another program holds the file" in told(met(other, "INSERT INTO t VALUES (1)"))
    holder.close()
    other.close()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "make the folder writable"),
        (errno.EACCES, "make the folder writable"),
        (errno.ENOSPC, "make room on the disk"),
        (errno.EDQUOT, "make room on the disk"),
    ],
)
def test_what_the_system_says_has_the_same_remedies(number: int, remedy: str) -> None:
    assert remedy in told(OSError(number, os.strerror(number), "/a/file"))


def test_what_is_no_trouble_of_the_disk_is_told_as_it_is(file: Path) -> None:
    connection = sqlite3.connect(file)
    assert told(met(connection, "SELECT absent FROM t")) == "no such column: absent"
    assert told(OSError("port 80 cannot be opened")) == "port 80 cannot be opened"
    connection.close()
