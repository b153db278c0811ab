"""The few shapes an answer has (spec orchestrator-api 2, clm 2): JSON, plain message, problem details, nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from emco_common import jsontext

_PLAIN = {"X-Content-Type-Options": "nosniff"}
PLAIN_TYPE = "text/plain"
PROBLEM_TYPE = "application/problem+json"
INTERNAL = "The server encountered an internal error and was unable to complete your request."
NO_SUCH_PATH = "404 page not found"


class Problem(BaseModel):
    """Problem details (RFC 9457), for clients that accept them."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field("about:blank", description="Always `about:blank`: `status` says what kind of problem it is.")
    status: int = Field(description="The status code of the answer.")
    title: str = Field(description="The first line of the plain message.")
    detail: str = Field(description="What else is known: which field, which object.")
    instance: str = Field(description="The id of the request, as in the header `X-Request-Id` and in the log.")


def encoded(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON body and a newline."""
    return as_it_lies(jsontext.shown(value), status, headers=headers)


def as_it_lies(text: bytes, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """The same for a value that is JSON text already."""
    return Response(text + b"\n", status, headers, media_type="application/json")


def plain(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """The message and a newline, as the clients of the original match it."""
    text = message.encode(errors="replace") + b"\n"
    return Response(text, status, {**_PLAIN, **(headers or {})}, media_type=f"{PLAIN_TYPE}; charset=utf-8")


def problem(
    status: int, message: str, *, detail: str, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Problem details; without ``detail`` the rest of the message stands for it, or the message itself."""
    title, _, rest = message.partition("\n")
    body = Problem(type="about:blank", status=status, title=title, detail=detail or rest or title, instance=request_id)
    return Response(jsontext.shown(body.model_dump()) + b"\n", status, headers, media_type=PROBLEM_TYPE)


def refusal(
    accept: str,
    status: int,
    message: str,
    *,
    detail: str = "",
    request_id: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A refusal in the form that ``accept``, the header of the request, asks for."""
    varying = {"Vary": "Accept", **(headers or {})}
    if wants_problem(accept):
        return problem(status, message, detail=detail, request_id=request_id, headers=varying)
    return plain(status, message, headers=varying)


_QUALITY = re.compile(r";\s*q\s*=\s*(\d(?:\.\d*)?)", re.IGNORECASE)


def wants_problem(accept: str) -> bool:
    """Whether problem details are named with a quality above none, and not below that of plain text."""
    if PROBLEM_TYPE not in accept.lower():
        return False
    qualities: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, _, _ = part.partition(";")
        quality = _QUALITY.search(part)
        qualities[name.strip()] = float(quality[1]) if quality else 1.0
    wanted = qualities.get(PROBLEM_TYPE, 0.0)
    return wanted > 0 and wanted >= qualities.get(PLAIN_TYPE, 0.0)


def empty(status: int, *, headers: Mapping[str, str] | None = None) -> Response:
    return Response(b"", status, headers)
