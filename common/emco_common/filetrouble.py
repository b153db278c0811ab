"""What an operator can do about a file that cannot be read or written; for the embedded store and the embedded bus."""

from __future__ import annotations

import errno
import sqlite3

_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REMEDIES = {
    sqlite3.SQLITE_READONLY: "make the folder writable for EMCO, or choose another",
    sqlite3.SQLITE_FULL: "make room on the disk; EMCO goes on by itself",
    sqlite3.SQLITE_IOERR: "look after the disk; EMCO goes on by itself when it works again",
    sqlite3.SQLITE_BUSY: "another program holds the file; EMCO goes on when it lets go",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop EMCO and bring back a copy of it",
}
_LIKE = {sqlite3.SQLITE_CANTOPEN: sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM: sqlite3.SQLITE_READONLY}


def told(error: OSError | sqlite3.Error) -> str:
    """The error in words, with what is to be done where that is known."""
    remedy = _REMEDIES.get(_kind(error), "")
    return f"{error}; {remedy}" if remedy else str(error)


def _kind(error: OSError | sqlite3.Error) -> int:
    """As SQLite would number it, without the finer distinctions."""
    if isinstance(error, sqlite3.Error):
        number = getattr(error, "sqlite_errorcode", 0) & 0xFF  # errors of Python's module itself have none
        return _LIKE.get(number, number)
    if error.errno in _READ_ONLY:
        return sqlite3.SQLITE_READONLY
    return sqlite3.SQLITE_FULL if error.errno in _NO_ROOM else 0
