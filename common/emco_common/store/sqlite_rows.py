"""The statements of the embedded document store: plain functions of a connection, inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from emco_common.store import api
from emco_common.store.api import Document, Key
from emco_common.store.encoding import compact, path_of, targets_of, tokens_of

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


def prepared(document: Document) -> Prepared:
    content = {
        "key": dict(document.key),
        "body": document.body,
        "tags": document.tags,
        "references": [dict(reference) for reference in document.references],
        "alias": dict(document.alias),
    }
    return Prepared(
        document=document,
        path=path_of(document.key),
        kind=api.kind_of(document.key),
        tokens=tokens_of(document.key, alias=document.alias),
        targets=targets_of(document),
        content=compact(content),
    )


def decoded(content: str, revision: int) -> Document:
    parts: dict[str, Any] = json.loads(content)
    references = tuple(parts["references"])
    return Document(parts["key"], parts["body"], parts["tags"], references, parts["alias"], revision)


def insert(connection: sqlite3.Connection, new: Prepared, *, parent: str | None) -> Document:
    if id_of(connection, new.path) is not None:
        raise api.AlreadyExists("The resource already exists")
    if parent is not None and id_of(connection, parent) is None:
        raise api.ParentMissing("Cannot perform requested operation. Parent resource not found")
    require_targets(connection, new.targets)
    row = (new.path, new.kind, new.content)
    inserted = connection.execute("INSERT INTO documents (path, kind, revision, content) VALUES (?, ?, 1, ?)", row)
    number = inserted.lastrowid
    assert number is not None
    _add_tokens(connection, new.tokens, kind=new.kind, number=number)
    _add_targets(connection, new.targets, number=number)
    return changed(new.document, revision=1)


def update(connection: sqlite3.Connection, new: Prepared, *, expected: int | None) -> Document:
    number, revision, content = _row_of(connection, new.path)
    require_targets(connection, new.targets)
    _require_revision(revision, expected)
    old = decoded(content, revision)
    old_tokens, old_targets = set(tokens_of(old.key, alias=old.alias)), targets_of(old).keys()
    _remove_tokens(connection, old_tokens.difference(new.tokens), kind=new.kind, number=number)
    _add_tokens(connection, set(new.tokens) - old_tokens, kind=new.kind, number=number)
    _remove_targets(connection, old_targets - new.targets.keys(), number=number)
    _add_targets(connection, new.targets.keys() - old_targets, number=number)
    row = (revision + 1, new.content, number)
    connection.execute("UPDATE documents SET revision = ?, content = ? WHERE id = ?", row)
    return changed(new.document, revision=revision + 1)


def remove(connection: sqlite3.Connection, key: Key, *, expected: int | None) -> None:
    number, revision, content = _row_of(connection, path_of(key))
    if _has_child(connection, key, own=number):
        raise api.HasChildren
    referrer = _referrer(connection, path_of(key), own=number)
    if referrer is not None:
        raise api.IsReferenced(by=referrer.key)
    _require_revision(revision, expected)
    old = decoded(content, revision)
    tokens = tokens_of(old.key, alias=old.alias)
    _remove_tokens(connection, tokens, kind=api.kind_of(old.key), number=number)
    _remove_targets(connection, targets_of(old), number=number)
    connection.execute("DELETE FROM documents WHERE id = ?", (number,))


def read(connection: sqlite3.Connection, path: str) -> Document | None:
    row = connection.execute("SELECT content, revision FROM documents WHERE path = ?", (path,)).fetchone()
    return None if row is None else decoded(*row)


def select(connection: sqlite3.Connection, *, kind: str, within: Key) -> list[Document]:
    if within:
        tokens = _rarest_first(connection, tokens_of(within), kind=kind)
        condition = " AND ".join(["e.token = ?", "e.kind = ?", *[ALSO_HAS] * (len(tokens) - 1)])
        rows = connection.execute(
            "SELECT d.content, d.revision FROM elements e CROSS JOIN documents d ON d.id = e.document_id "
            f"WHERE {condition} ORDER BY e.document_id",
            (tokens[0], kind, *tokens[1:]),
        )
    else:
        rows = connection.execute("SELECT content, revision FROM documents WHERE kind = ? ORDER BY id", (kind,))
    return [decoded(content, revision) for content, revision in rows]


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


def _row_of(connection: sqlite3.Connection, path: str) -> tuple[int, int, str]:
    row: tuple[int, int, str] | None
    row = connection.execute("SELECT id, revision, content FROM documents WHERE path = ?", (path,)).fetchone()
    if row is None:
        raise api.DocumentMissing("The requested resource not found")
    return row


def _require_revision(revision: int, expected: int | None) -> None:
    if expected is not None and expected != revision:
        raise api.StaleRevision(f"The resource was changed: revision is {revision}, expected {expected}")


def _has_child(connection: sqlite3.Connection, key: Key, *, own: int) -> bool:
    tokens = _rarest_first(connection, tokens_of(key), kind=None)
    condition = " AND ".join(["e.token = ?", "e.document_id <> ?", *[ALSO_HAS] * (len(tokens) - 1)])
    query = f"SELECT 1 FROM elements e WHERE {condition} LIMIT 1"
    return connection.execute(query, (tokens[0], own, *tokens[1:])).fetchone() is not None


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
        "SELECT d.content, d.revision FROM targets t JOIN documents d ON d.id = t.document_id "
        "WHERE t.target = ? AND t.document_id <> ? LIMIT 1",
        (path, own),
    ).fetchone()
    return None if row is None else decoded(*row)


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
