"""Bodies in Kubernetes' protobuf coding, for the few kinds that kubectl and Helm send so.

A message with a field that is not known here is refused rather than read in part. Everything else a client of EMCO's
sort sends is JSON or YAML. Message and field numbers are those of ``k8s.io/api``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"


class Undecodable(ValueError):
    """Not a message of a kind known here."""


_METADATA: Mapping[int, tuple[str, str]] = {
    1: ("name", "string"),
    2: ("generateName", "string"),
    3: ("namespace", "string"),
    5: ("uid", "string"),
    6: ("resourceVersion", "string"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
    14: ("finalizers", "strings"),
    **dict.fromkeys((4, 7, 8, 9, 10, 17), ("", "server's own")),
}
_PRECONDITIONS: Mapping[int, tuple[str, str]] = {1: ("uid", "string"), 2: ("resourceVersion", "string")}
_DELETE_OPTIONS: Mapping[int, tuple[str, str]] = {
    1: ("gracePeriodSeconds", "integer"),
    2: ("preconditions", "preconditions"),
    3: ("orphanDependents", "boolean"),
    4: ("propagationPolicy", "string"),
    5: ("dryRun", "strings"),
}
_OBJECT: Mapping[int, tuple[str, str]] = {1: ("metadata", "metadata")}
_EMPTY_STATUS: Mapping[int, tuple[str, str]] = {
    **_OBJECT,
    2: ("", "server's own"),
    3: ("", "server's own"),
}
_KINDS: Mapping[tuple[str, str], Mapping[int, tuple[str, str]]] = {
    ("v1", "Namespace"): _EMPTY_STATUS,
    ("v1", "ServiceAccount"): _OBJECT,
    ("v1", "ConfigMap"): {
        **_OBJECT,
        2: ("data", "map"),
        3: ("binaryData", "binary map"),
        4: ("immutable", "boolean"),
    },
    ("v1", "Secret"): {
        **_OBJECT,
        2: ("data", "binary map"),
        3: ("type", "string"),
        4: ("stringData", "map"),
        5: ("immutable", "boolean"),
    },
    ("authentication.k8s.io/v1", "SelfSubjectReview"): _EMPTY_STATUS,
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): _EMPTY_STATUS,
    ("v1", "DeleteOptions"): _DELETE_OPTIONS,
    ("meta.k8s.io/v1", "DeleteOptions"): _DELETE_OPTIONS,
}


def decode(data: bytes) -> Json:
    """The object in a body. Raises ``Undecodable``."""
    if not data.startswith(_MAGIC):
        raise Undecodable("no Kubernetes protobuf")
    try:
        unknown = dict(_fields(data[len(_MAGIC) :]))
        type_meta = {n: v.decode() for n, v in _fields(unknown[1]) if isinstance(v, bytes)}
        api_version, kind = type_meta.get(1, ""), type_meta.get(2, "")
        table = _KINDS[api_version, kind]
        return {"apiVersion": api_version, "kind": kind, **_message(unknown.get(2, b""), table)}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Undecodable("a protobuf message of another kind, or a broken one") from error


def _message(data: bytes, table: Mapping[int, tuple[str, str]]) -> Json:
    found: Json = {}
    for number, value in _fields(data):
        name, type_ = table[number]
        if not name:
            continue
        if type_ == "metadata":
            found[name] = _message(value, _METADATA)
        elif type_ == "preconditions":
            found[name] = _message(value, _PRECONDITIONS)
        elif type_ == "integer":
            found[name] = value
        elif type_.endswith("map"):
            pair = dict(_fields(value))
            item = pair.get(2, b"")
            text = base64.b64encode(item).decode() if type_ == "binary map" else item.decode()
            found.setdefault(name, {})[pair.get(1, b"").decode()] = text
        elif type_ == "strings":
            found.setdefault(name, []).append(value.decode())
        elif type_ == "boolean":
            found[name] = bool(value)
        elif value:
            found[name] = value.decode()
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values of a message: bytes, or an integer."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        elif wire == 2:
            length, place = _varint(data, place)
            if place + length > len(data):
                raise ValueError("a field ends behind its message")
            yield number, data[place : place + length]
            place += length
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number too long")
