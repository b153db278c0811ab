"""How a document looks in MongoDB (spec orchestrator-api 7.1), both ways. Pure.

Top level: key fields, ``keyId``, ``data`` (the body), ``references``, one field per tag, one per alias name. ``_id`` is
an ObjectId that tells the order of creation. All that is ours alone is in one sub-document ``emco``: ``path``
(identity, uniquely indexed), ``kind`` (the ``keyId`` again, once the creation is confirmed: what lists go by),
``tokens`` (what it answers to, indexed), ``holds`` (those and the tokens of all that it refers to or might: where a
deletion looks, indexed), ``alias`` (which of the fields are alias), ``revision``, and the marks of ``mongo_marks``.
Documents of other writers have no ``emco``; they are children and referrers like any other, but are not read.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from bson import Int64, ObjectId

from emco_common import jsontext
from emco_common.store import api
from emco_common.store.api import BodyText, Document, Json, Key, kind_of
from emco_common.store.encoding import blob_target, named_digest, path_of, targets_of, token_of, tokens_of

Stored = Mapping[str, Any]
OWN = "emco"
FIXED_FIELDS = frozenset({"_id", "keyId", "data", "references", OWN})
ESCAPE = "\\"


def fields_of(document: Document) -> Json:
    """Every top-level field except ``_id`` and ``emco``."""
    tags = {name: escaped(value) for name, value in document.tags.items()}
    references = [{"key": dict(reference), "keyid": kind_of(reference)} for reference in document.references]
    fields = {
        **document.alias,
        **document.key,
        "keyId": kind_of(document.key),
        "data": escaped(document.body),
        "references": references,
    }
    taken = FIXED_FIELDS.intersection({*document.key, *document.alias, *tags}) | fields.keys() & tags.keys()
    if taken:
        raise ValueError(f"names used twice in one document: {', '.join(sorted(taken))}")
    return {**fields, **tags}


def own_fields_of(document: Document) -> Json:
    """The parts of ``emco`` that follow from the document alone."""
    return {
        "path": path_of(document.key),
        "kind": kind_of(document.key),
        "tokens": tokens_of(document.key, alias=document.alias),
        "holds": holds_of(tokens_of(document.key, alias=document.alias), targets_of(document)),
        "alias": sorted(document.alias),
    }


def holds_of(tokens: Iterable[str], targets: Mapping[str, Key | None]) -> list[str]:
    """Where the deletion of an ancestor or of a target finds a document: for both in one look at one field.

    Of a reference all tokens, as of a descendant. So what only refers to a descendant is found too, and told apart by
    the reader; but then the descendant, too, is in the way.
    """
    held = set(tokens)
    for target, reference in targets.items():
        held.update([target] if reference is None else tokens_of(reference))
    return sorted(held)


def targets_in(stored: Stored) -> dict[str, Key | None]:
    """``targets_of`` a document of ours that need not be read whole."""
    targets: dict[str, Key | None] = {path_of(reference["key"]): reference["key"] for reference in stored["references"]}
    digest = named_digest({"content": stored.get("content")})
    return targets if digest is None else {**targets, blob_target(digest): None}


def decoded(stored: Stored) -> Document:
    own = stored[OWN]
    key_names = [name for name in stored["keyId"].strip("{}").split(",") if name]
    known = FIXED_FIELDS.union(key_names, own["alias"])
    return Document(
        key={name: stored[name] for name in key_names},
        body=unescaped(stored["data"]),
        tags={name: unescaped(value) for name, value in stored.items() if name not in known},
        references=tuple(dict(reference["key"]) for reference in stored["references"]),
        alias={name: stored[name] for name in own["alias"]},
        revision=int(own["revision"]),
        place=place_of(stored),
    )


def text_of(stored: Stored) -> BodyText:
    """The body alone. The document was read whole: leaving parts out costs a server more than they weigh."""
    return BodyText(written(stored["data"]), int(stored[OWN]["revision"]), place_of(stored))


def written(data: Any) -> bytes:
    """The text of one body or of a list of them, as they are stored."""
    text = jsontext.written(data)
    if b'"\\\\' in text:  # perhaps a name that MongoDB cannot keep
        return jsontext.written(unescaped(data))
    return text


def numbered(microseconds: int) -> ObjectId:
    """An identity by which documents sort in order of creation: seconds since 1970 as in any other, then the rest.

    Two processes may create in the same microsecond; chance then decides which is first.
    """
    seconds, rest = divmod(microseconds, 1_000_000)
    return ObjectId(seconds.to_bytes(4, "big") + rest.to_bytes(3, "big") + secrets.token_bytes(5))


def place_of(stored: Stored) -> str:
    return str(stored["_id"])


def in_order(found: Iterable[Stored]) -> list[Stored]:
    """In order of creation. What is read whole is sorted here: a server sorts whole documents, for much more."""
    return sorted(found, key=lambda stored: stored["_id"].binary)


def behind(place: str) -> Json:
    """The condition that a document comes after ``place``. ``BadPlace``."""
    if not ObjectId.is_valid(place):
        raise api.BadPlace
    return {"_id": {"$gt": ObjectId(place)}}


def all_of(key: Key) -> Any:
    """The condition that a document has every token of ``key``; of one a plain equality, which every planner uses.

    The index is asked for the first alone, and the last part of a key is the rarest.
    """
    tokens = [token_of(name, value) for name, value in reversed(list(key.items()))]
    return tokens[0] if len(tokens) == 1 else {"$all": tokens}


def key_of(stored: Stored) -> Key:
    """The key of a document of any writer."""
    return {name: stored.get(name, "") for name in stored.get("keyId", "").strip("{}").split(",") if name}


def escaped(value: Any) -> Any:
    """``value`` with field names that MongoDB cannot keep written differently.

    Names beginning with ``$`` are refused or taken for operators, NUL ends a name in BSON. Dots stay as they are: other
    readers expect them (spec orchestrator-api 7.3).
    """
    if isinstance(value, Mapping):
        return {_escaped_name(name): escaped(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(inner) for inner in value]
    return value


def unescaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_unescaped_name(name): unescaped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unescaped(inner) for inner in value]
    return int(value) if isinstance(value, Int64) else value


def _escaped_name(name: str) -> str:
    if name.startswith(("$", ESCAPE)) or "\x00" in name:
        return ESCAPE + name.replace(ESCAPE, ESCAPE * 2).replace("\x00", ESCAPE + "0")
    return name


def _unescaped_name(name: str) -> str:
    if not name.startswith(ESCAPE):
        return name
    # pieces between doubled escapes hold single ones only before a 0
    return ESCAPE.join(piece.replace(ESCAPE + "0", "\x00") for piece in name[1:].split(ESCAPE * 2))
