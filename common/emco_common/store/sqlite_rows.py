"""The statements of the embedded document store: plain functions of a connection, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from emco_common import jsontext
from emco_common.errors import BadRequest
from emco_common.store import api
from emco_common.store.api import BodyText, Document, Key, ListText
from emco_common.store.encoding import path_of, targets_of, tokens_of

WHOLE = "d.id, d.revision, d.body, d.content"
EVERYTHING = f"SELECT {WHOLE} FROM documents d ORDER BY d.id"

FIRST_PROBE = 64
ALSO_HAS = "EXISTS (SELECT 1 FROM elements o WHERE o.token = ? AND o.kind = e.kind AND o.document_id = e.document_id)"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document made ready to be written; encoded by the caller, so that later changes to its maps change nothing."""

    document: Document
    path: str
    kind: str
    tokens: list[str]
    targets: dict[str, Key | None]
    content: str
    body: bytes


def prepared(document: Document) -> Prepared:
    """``BadRequest`` for what JSON with 64-bit integers cannot hold."""
    content = {
        "key": dict(document.key),
        "tags": document.tags,
        "references": [dict(reference) for reference in document.references],
        "alias": dict(document.alias),
    }
    try:
        body, rest = jsontext.written(document.body), jsontext.written(content)
    except jsontext.Unwritable as error:
        raise BadRequest(f"The document store cannot hold this: {error}") from error
    return Prepared(
        document=document,
        path=path_of(document.key),
        kind=api.kind_of(document.key),
        tokens=tokens_of(document.key, alias=document.alias),
        targets=targets_of(document),
        content=rest.decode(),
        body=body,
    )


def decoded(number: int, revision: int, body: bytes, content: str) -> Document:
    parts: dict[str, Any] = jsontext.read(content)
    references = tuple(parts["references"])
    return Document(
        parts["key"], jsontext.read(body), parts["tags"], references, parts["alias"], revision, place_of(number)
    )


def place_of(number: int) -> str:
    return str(number)


def number_of(place: str) -> int:
    """The last number behind which ``place`` is. ``BadPlace``."""
    if not (place.isascii() and place.isdigit() and len(place) < 19):
        raise api.BadPlace
    return int(place)


def insert(connection: sqlite3.Connection, new: Prepared, *, parent: str | None) -> Document:
    if id_of(connection, new.path) is not None:
        raise api.AlreadyExists("The resource already exists")
    if parent is not None and id_of(connection, parent) is None:
        raise api.ParentMissing("Cannot perform requested operation. Parent resource not found")
    require_targets(connection, new.targets)
    row = (new.path, new.kind, new.content, new.body)
    inserted = connection.execute(
        "INSERT INTO documents (path, kind, revision, content, body) VALUES (?, ?, 1, ?, ?)", row
    )
    number = inserted.lastrowid
    assert number is not None
    _add_tokens(connection, new.tokens, kind=new.kind, number=number)
    _add_targets(connection, new.targets, number=number)
    return changed(new.document, revision=1, place=place_of(number))


def update(connection: sqlite3.Connection, new: Prepared, *, expected: int | None) -> Document:
    old, number = _existing(connection, new.path)
    require_targets(connection, new.targets)
    _require_revision(old.revision, expected)
    old_tokens, old_targets = set(tokens_of(old.key, alias=old.alias)), targets_of(old).keys()
    _remove_tokens(connection, old_tokens.difference(new.tokens), kind=new.kind, number=number)
    _add_tokens(connection, set(new.tokens) - old_tokens, kind=new.kind, number=number)
    _remove_targets(connection, old_targets - new.targets.keys(), number=number)
    _add_targets(connection, new.targets.keys() - old_targets, number=number)
    row = (old.revision + 1, new.content, new.body, number)
    connection.execute("UPDATE documents SET revision = ?, content = ?, body = ? WHERE id = ?", row)
    return changed(new.document, revision=old.revision + 1, place=old.place)


def remove(connection: sqlite3.Connection, key: Key, *, expected: int | None) -> None:
    old, number = _existing(connection, path_of(key))
    child = _child(connection, key, own=number)
    if child is not None:
        raise api.HasChildren(child=child.key)
    referrer = _referrer(connection, path_of(key), own=number)
    if referrer is not None:
        raise api.IsReferenced(by=referrer.key)
    _require_revision(old.revision, expected)
    tokens = tokens_of(old.key, alias=old.alias)
    _remove_tokens(connection, tokens, kind=api.kind_of(old.key), number=number)
    _remove_targets(connection, targets_of(old), number=number)
    connection.execute("DELETE FROM documents WHERE id = ?", (number,))


def clear(connection: sqlite3.Connection) -> None:
    """The number that the next document gets goes on from the last, so no place is given again."""
    for table in ("documents", "elements", "targets", "blobs", "uploads", "chunks"):
        connection.execute(f"DELETE FROM {table}")


def read(connection: sqlite3.Connection, path: str) -> Document | None:
    row = connection.execute(f"SELECT {WHOLE} FROM documents d WHERE path = ?", (path,)).fetchone()
    return None if row is None else decoded(*row)


def read_text(connection: sqlite3.Connection, path: str) -> BodyText | None:
    row = connection.execute("SELECT id, revision, body FROM documents WHERE path = ?", (path,)).fetchone()
    return None if row is None else BodyText(row[2], row[1], place_of(row[0]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents to list: at most ``limit``, numbers above ``after``."""

    kind: str
    within: Key
    limit: int | None = None
    after: int = 0


def select(connection: sqlite3.Connection, wanted: Wanted) -> list[Document]:
    return [decoded(*row) for row in _select(connection, wanted, WHOLE)]


def select_texts(connection: sqlite3.Connection, wanted: Wanted) -> ListText:
    more = None if wanted.limit is None else wanted.limit + 1  # one more shows whether there is more
    rows = _select(connection, changed(wanted, limit=more), "d.id, d.body").fetchall()
    shown = rows[: wanted.limit]
    last = place_of(shown[-1][0]) if shown and len(shown) < len(rows) else None
    return ListText(b"[" + b",".join([body for _, body in shown]) + b"]", len(shown), last)


def _select(connection: sqlite3.Connection, wanted: Wanted, columns: str) -> sqlite3.Cursor:
    limit = -1 if wanted.limit is None else wanted.limit
    if wanted.within:
        tokens = _rarest_first(connection, tokens_of(wanted.within), kind=wanted.kind)
        condition = " AND ".join(["e.token = ?", "e.kind = ?", *[ALSO_HAS] * (len(tokens) - 1)])
        return connection.execute(
            f"SELECT {columns} FROM elements e CROSS JOIN documents d ON d.id = e.document_id "
            f"WHERE {condition} AND e.document_id > ? ORDER BY e.document_id LIMIT ?",
            (tokens[0], wanted.kind, *tokens[1:], wanted.after, limit),
        )
    return connection.execute(
        f"SELECT {columns} FROM documents d WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
        (wanted.kind, wanted.after, limit),
    )


def id_of(connection: sqlite3.Connection, path: str) -> int | None:
    row = connection.execute("SELECT id FROM documents WHERE path = ?", (path,)).fetchone()
    return None if row is None else int(row[0])


def require_targets(connection: sqlite3.Connection, targets: dict[str, Key | None]) -> None:
    for target, reference in targets.items():
        if reference is None:
            digest = target.removeprefix("blob:")
            if connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is None:
                raise api.BlobMissing(digest)
        elif id_of(connection, target) is None:
            raise api.ReferenceMissing(reference)


def _existing(connection: sqlite3.Connection, path: str) -> tuple[Document, int]:
    """The document of ``path`` and its number. ``DocumentMissing``."""
    row = connection.execute(f"SELECT {WHOLE} FROM documents d WHERE path = ?", (path,)).fetchone()
    if row is None:
        raise api.DocumentMissing("The requested resource not found")
    return decoded(*row), row[0]


def _require_revision(revision: int, expected: int | None) -> None:
    if expected is not None and expected != revision:
        raise api.StaleRevision(f"The resource was changed: revision is {revision}, expected {expected}")


def _child(connection: sqlite3.Connection, key: Key, *, own: int) -> Document | None:
    tokens = _rarest_first(connection, tokens_of(key), kind=None)
    condition = " AND ".join(["e.token = ?", "e.document_id <> ?", *[ALSO_HAS] * (len(tokens) - 1)])
    found = f"SELECT e.document_id FROM elements e WHERE {condition} LIMIT 1"
    row = connection.execute(
        f"SELECT {WHOLE} FROM documents d WHERE d.id = ({found})", (tokens[0], own, *tokens[1:])
    ).fetchone()
    return None if row is None else decoded(*row)


def _rarest_first(connection: sqlite3.Connection, tokens: list[str], *, kind: str | None) -> list[str]:
    """Put the token with the fewest documents first: it drives the search, the others are looked up per row.

    Counting stops at a limit that grows until one token stays below it, so the price follows the rarest token and never
    the common ones ("v1" is the version of everything).
    """
    if len(tokens) == 1:
        return tokens
    condition, given = ("token = ? AND kind = ?", (kind,)) if kind is not None else ("token = ?", ())
    query = f"SELECT count(*) FROM (SELECT 1 FROM elements WHERE {condition} LIMIT ?)"
    limit = FIRST_PROBE
    while True:
        counts = {token: connection.execute(query, (token, *given, limit)).fetchone()[0] for token in tokens}
        rarest = min(tokens, key=counts.__getitem__)
        if counts[rarest] < limit:
            return [rarest, *[token for token in tokens if token != rarest]]
        limit *= 8


def _referrer(connection: sqlite3.Connection, path: str, *, own: int) -> Document | None:
    row = connection.execute(
        f"SELECT {WHOLE} FROM targets t JOIN documents d ON d.id = t.document_id "
        "WHERE t.target = ? AND t.document_id <> ? LIMIT 1",
        (path, own),
    ).fetchone()
    return None if row is None else decoded(*row)


def referrers(connection: sqlite3.Connection, *, kind: str, path: str) -> list[Document]:
    found = connection.execute(
        f"SELECT {WHOLE} FROM targets t CROSS JOIN documents d ON d.id = t.document_id "
        "WHERE t.target = ? AND d.kind = ? ORDER BY d.id",
        (path, kind),
    )
    return [decoded(*row) for row in found]


def _add_tokens(connection: sqlite3.Connection, tokens: Iterable[str], *, kind: str, number: int) -> None:
    connection.executemany("INSERT INTO elements VALUES (?, ?, ?)", [(token, kind, number) for token in tokens])


def _remove_tokens(connection: sqlite3.Connection, tokens: Iterable[str], *, kind: str, number: int) -> None:
    query = "DELETE FROM elements WHERE token = ? AND kind = ? AND document_id = ?"
    connection.executemany(query, [(token, kind, number) for token in tokens])


def _add_targets(connection: sqlite3.Connection, targets: Iterable[str], *, number: int) -> None:
    connection.executemany("INSERT INTO targets VALUES (?, ?)", [(target, number) for target in targets])


def _remove_targets(connection: sqlite3.Connection, targets: Iterable[str], *, number: int) -> None:
    query = "DELETE FROM targets WHERE target = ? AND document_id = ?"
    connection.executemany(query, [(target, number) for target in targets])
