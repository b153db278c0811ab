"""How values lie on the bus: JSON as Go writes it, read with types checked (appcontext.md 2). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from emco_common.errors import EmcoError, Unprocessable

_GO_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedContext(EmcoError):
    """A value on the bus is not what the layout says; the message names its key."""


def to_json(value: object) -> str:
    """Compact JSON with the escapes of Go's encoder. Keys keep their order."""
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # wide integers, half characters
        text = _ENCODER.encode(value)
    for character, escape in _GO_ESCAPES:  # several times quicker than str.translate, and this is most of an encoding
        text = text.replace(character, escape)
    return text


def encode(value: object) -> bytes:
    """The bytes stored for a string, a boolean or an object."""
    try:
        return to_json(value).encode()
    except UnicodeEncodeError as error:
        raise Unprocessable(f"text for the context bus is not valid Unicode: {error.reason}") from error


def encode_inner(value: object) -> bytes:
    """JSON inside a JSON string, as instructions and cluster status are stored."""
    return encode(to_json(value))


def encode_state(status: str) -> bytes:
    return encode({"Status": status})


def decode(key: str, value: bytes) -> Any:
    """Whatever JSON lies at the key. Lone surrogates become U+FFFD, as Go reads them."""
    try:
        return orjson.loads(value)
    except ValueError:  # half characters and the like, which it is strict about
        pass
    try:
        return json.loads(value.decode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise MalformedContext(f"the value of {key} is not JSON") from error


def decode_string(key: str, value: bytes) -> str:
    text = decode(key, value)
    if not isinstance(text, str):
        raise MalformedContext(f"the value of {key} is not a JSON string")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def decode_bool(key: str, value: bytes) -> bool:
    flag = decode(key, value)
    if not isinstance(flag, bool):
        raise MalformedContext(f"the value of {key} is not a JSON boolean")
    return flag


def decode_object(key: str, value: bytes) -> Mapping[str, Any]:
    return _as_object(key, decode(key, value))


def decode_state(key: str, value: bytes) -> str:
    """The text of a ``{"Status": …}`` object."""
    status = folded(decode_object(key, value)).get("status")
    if not isinstance(status, str):
        raise MalformedContext(f"the value of {key} has no text Status")
    return status


def decode_inner(key: str, value: bytes) -> Any:
    """The JSON inside the JSON string at the key."""
    return decode(key, decode_string(key, value).encode())


def decode_inner_object(key: str, value: bytes) -> Mapping[str, Any]:
    return _as_object(key, decode_inner(key, value))


def folded(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """With keys in lower case, since Go matches them without regard to case (section 2.6)."""
    return {key.lower(): item for key, item in value.items()}


def strings(key: str, value: object) -> tuple[str, ...]:
    """A list of strings; ``null`` is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedContext(f"the value of {key} holds something else than a list of names")
    return tuple(value)


def _as_object(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedContext(f"the value of {key} is not a JSON object")
    return value
