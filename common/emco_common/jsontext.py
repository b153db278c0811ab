"""JSON as text: the one way it is written, for answers and for stored bodies alike."""

from __future__ import annotations

import json
from typing import Any

import orjson


class Unwritable(ValueError):
    """A value that JSON, or a reader of it with 64-bit integers, cannot hold; the text says which."""


def written(value: Any) -> bytes:
    """The shortest UTF-8 text of ``value``, members in their order. Raises ``Unwritable``."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise Unwritable(str(error)) from error


def shown(value: Any) -> bytes:
    """The same for answers, which hold whatever a service has to say, wide integers included."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def read(text: bytes | str) -> Any:
    """The value of a text that ``written`` made. Raises ``ValueError`` for anything else that is no JSON."""
    return orjson.loads(text)
