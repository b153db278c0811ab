"""How a document looks in MongoDB (spec orchestrator-api 7.1), both ways. Pure.

Top level: key fields, ``keyId``, ``data`` (the body), ``references``, one field per tag, one per alias name. All that
is ours alone is in one sub-document ``emco``: ``path`` (identity, uniquely indexed), ``tokens`` and ``targets`` (what
it answers to and what it needs, indexed), ``alias`` (which of the fields are alias), ``order`` (of creation),
``revision``, and the marks of ``mongo_marks``. Documents of other writers have no ``emco``; they are children and
referrers like any other, but are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson import Int64, ObjectId

from emco_common import jsontext
from emco_common.store import api
from emco_common.store.api import BodyText, Document, Json, Key, kind_of
from emco_common.store.encoding import path_of, targets_of, tokens_of

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
        "tokens": tokens_of(document.key, alias=document.alias),
        "targets": list(targets_of(document)),
        "alias": sorted(document.alias),
    }


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
    text = jsontext.written(stored["data"])
    if b'"\\\\' in text:  # perhaps a name that MongoDB cannot keep
        text = jsontext.written(unescaped(stored["data"]))
    return BodyText(text, int(stored[OWN]["revision"]), place_of(stored))


def place_of(stored: Stored) -> str:
    """Two processes may number two documents alike; then their identity decides."""
    return f"{stored[OWN]['order']}.{stored['_id']}"


def is_shown(stored: Stored) -> bool:
    """Whether readers see it: it is ours, and its creation is confirmed."""
    return OWN in stored and "pending" not in stored[OWN]


def in_order(found: Iterable[Stored]) -> list[Stored]:
    """In order of creation. What is read whole is sorted here: a server sorts whole documents, for much more."""
    return sorted(found, key=lambda stored: (stored[OWN]["order"], stored["_id"]))


def behind(place: str) -> Json:
    """The condition that a document comes after ``place``. ``BadPlace``."""
    order, _, number = place.partition(".")
    if not (order.isascii() and order.isdigit() and len(order) < 19 and ObjectId.is_valid(number)):
        raise api.BadPlace
    tied = {"emco.order": int(order), "_id": {"$gt": ObjectId(number)}}
    return {"emco.order": {"$gte": int(order)}, "$or": [{"emco.order": {"$gt": int(order)}}, tied]}


def all_of(tokens: list[str]) -> Any:
    """The condition that a document has all ``tokens``; of one a plain equality, which every server's planner uses."""
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
