"""What no request may do: too large a body, an odd path, a method that is not served.

Pure ASGI, in front of everything else, so that a hostile request costs as little as possible.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.errors import TooLarge
from emco_common.web.answers import empty, plain


class Limits:
    """``max_body`` for ordinary bodies and ``max_upload`` for multipart ones, in bytes."""

    def __init__(self, app: ASGIApp, *, max_body: int, max_upload: int) -> None:
        self._app = app
        self._max_body = max_body
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["method"] in ("HEAD", "OPTIONS"):
            return await empty(405)(scope, receive, send)
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        if b"%2f" in raw.lower() or b"%00" in raw:
            return await plain(404, "404 page not found")(scope, receive, send)
        headers = dict(scope["headers"])
        multipart = headers.get(b"content-type", b"").startswith(b"multipart/")
        limit = self._max_upload if multipart else self._max_body
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return await plain(400, f"Content-Length {unquote(length.decode('latin-1'))} is not a number")(
                scope, receive, send
            )
        if int(length) > limit:
            return await plain(413, too_large(limit))(scope, receive, send)
        return await self._app(scope, _counted(receive, limit), send)


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
