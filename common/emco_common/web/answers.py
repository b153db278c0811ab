"""The few shapes an answer has (spec orchestrator-api 2, clm 2): JSON, plain message, problem details, nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

_PLAIN = {"X-Content-Type-Options": "nosniff"}
INTERNAL = "The server encountered an internal error and was unable to complete your request."


def encoded(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON body and a newline."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(body, status, headers, media_type="application/json")


def plain(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """The message and a newline, as the clients of the original match it."""
    return Response(
        message.encode() + b"\n", status, {**_PLAIN, **(headers or {})}, media_type="text/plain; charset=utf-8"
    )


def problem(
    status: int, message: str, *, detail: str, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Problem details (RFC 9457) for clients that accept them; without ``detail`` the message stands for it."""
    title, _, rest = message.partition("\n")
    body = {
        "type": "about:blank",
        "status": status,
        "title": title,
        "detail": detail or rest or title,
        "instance": request_id,
    }
    return Response(json.dumps(body).encode() + b"\n", status, headers, media_type="application/problem+json")


def empty(status: int) -> Response:
    return Response(b"", status)
