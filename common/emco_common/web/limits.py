"""What no request may do: too large a body, a compressed one, an odd path.

Pure ASGI, in front of everything else, so that a hostile request costs as little as possible.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.errors import BadRequest, EmcoError, NotFound, TooLarge, UnsupportedMedia
from emco_common.web.answers import NO_SUCH_PATH, empty
from emco_common.web.failures import answer_error

_UNCLEAN = re.compile(r"//|/\.{1,2}(/|$)")


class Limits:
    """``max_body`` for ordinary bodies and ``max_upload`` for multipart ones, in bytes."""

    def __init__(self, app: ASGIApp, *, max_body: int, max_upload: int) -> None:
        self._app = app
        self._max_body = max_body
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        moved = cleaned(scope)
        if moved is not None:
            return await moved(scope, receive, send)
        try:
            limit = self._check(scope)
        except EmcoError as error:
            return await answer_error(scope, error)(scope, receive, send)
        return await self._app(scope, _counted(receive, limit), send)

    def _check(self, scope: Scope) -> int:
        """How large the body may be; raises for what is refused unread."""
        raw = raw_path(scope)
        if b"%2f" in raw or b"%2F" in raw or b"%00" in raw:
            raise NotFound(NO_SUCH_PATH)
        headers = Headers(scope=scope)
        coding = headers.get("content-encoding", "identity")
        if coding.lower() not in ("identity", ""):
            raise UnsupportedMedia(f"Content-Encoding {coding[:64]} is not supported; send the body as it is")
        multipart = headers.get("content-type", "").lower().startswith("multipart/")
        limit = self._max_upload if multipart else self._max_body
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(f"Content-Length {length[:64]} is not a number")
        if int(length) > limit:
            raise TooLarge(too_large(limit))
        return limit


def cleaned(scope: Scope) -> Response | None:
    """The way to the path without doubled slashes and dot segments, where it has such (spec orchestrator-api 2).

    Dots that are written as escapes are a name, of which there is none, and not a way up.
    """
    path = raw_path(scope).decode("latin-1")
    if _UNCLEAN.search(path) is None:
        return None
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if path.endswith("/") and clean != "/":
        clean += "/"
    query = scope["query_string"].decode("latin-1")
    return empty(301, headers={"Location": quote(clean, safe="/!$%&'()*+,;=:@~") + (f"?{query}" if query else "")})


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent, escapes and all."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge(too_large(limit))
        return message

    return counted


def too_large(limit: int) -> str:
    return (
        f"The body is larger than {limit} bytes, the limit here. Send less, or raise EMCO_MAX_BODY or EMCO_MAX_UPLOAD."
    )
