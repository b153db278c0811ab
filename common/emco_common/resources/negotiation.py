"""Which form of a resource with a file the client wants, by ``Accept`` (spec orchestrator-api 5.3, clm 4.2)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from starlette.responses import Response

from emco_common import jsontext
from emco_common.errors import EmcoError


class Form(StrEnum):
    JSON = "application/json"
    FILE = "application/octet-stream"
    BOTH = "multipart/form-data"


class NotAcceptable(EmcoError):
    """The header is not a list of media types."""

    status: ClassVar[int] = 406


class MultipleChoices(EmcoError):
    """None of the media types is on offer."""

    status: ClassVar[int] = 300


_MEDIA_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*((?:;[^,]*)?)")
_ANY = ("*/*", "application/*", "application/problem+json")


def accepted(header: str) -> Form | None:
    """The form asked for; JSON where anything will do; ``None`` if nothing on offer is asked for.

    Raises ``NotAcceptable`` if the header cannot be parsed.
    """
    if not header.strip():
        return Form.JSON
    offers: list[tuple[float, str]] = []
    for part in header.split(","):
        match = _MEDIA_TYPE.fullmatch(part)
        if match is None:
            raise NotAcceptable("mime: unexpected content after media subtype")
        offers.append((_quality(match[2]), match[1].lower()))
    wanted = [offer for offer in offers if offer[0] > 0]
    for _, media_type in sorted(wanted, key=lambda offer: -offer[0]):
        if media_type in tuple(Form):
            return Form(media_type)
        if media_type in _ANY:
            return Form.JSON
    return None


def choices() -> MultipleChoices:
    return MultipleChoices("set Accept: multipart/form-data, application/json or application/octet-stream")


def multipart(body: Any, file: bytes, filename: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Two closed parts: ``metadata`` as JSON and ``file`` as it was uploaded."""
    boundary = secrets.token_hex(16)
    name = "form-data; name=file" + (f"; filename={filename}" if filename else "")
    parts = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=metadata\r\n".encode(),
        b"Content-Type: application/json\r\n\r\n",
        jsontext.shown(body),
        f"\r\n--{boundary}\r\nContent-Disposition: {name}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
        file,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return Response(b"".join(parts), headers=headers, media_type=f"multipart/form-data; boundary={boundary}")


def _quality(parameters: str) -> float:
    match = re.search(r";\s*q=([01](?:\.\d{0,3})?)", parameters)
    return float(match[1]) if match else 1.0
