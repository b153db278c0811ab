"""The gate in front of services: who asks, whether they may, and a line about it. Pure ASGI.

Off unless it is put there. Whatever gets past it has been written down as ``request_audited``: who, what, outcome.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.access.patterns import segments_of
from emco_common.access.roles import is_allowed
from emco_common.access.tokens import Identity, Unauthenticated
from emco_common.errors import EmcoError, Unavailable
from emco_common.web.answers import NO_SUCH_PATH, encoded, refusal
from emco_common.web.limits import cleaned, raw_path
from emco_common.web.requests import given_id, request_id_of

_log = structlog.get_logger()
OPEN = ("/healthz", "/readyz")
"""For probes, which prove nothing. All else needs a token, metrics too."""
METADATA = "/.well-known/oauth-protected-resource"
"""Where a client learns whom to ask for a token (RFC 9728)."""
_EVENTS = "text/event-stream"
_ID = b"x-request-id"


class Identifies(Protocol):
    @property
    def issuers(self) -> tuple[str, ...]: ...

    async def identify(self, token: str) -> Identity:
        """Raises ``Unauthenticated``, or ``Unavailable`` while it cannot be told."""


class Gate:
    """``client`` is the public client that people's programs log in as, ``claim`` that of the grants; ``now`` the time,
    in seconds since 1970."""

    def __init__(
        self, app: ASGIApp, *, identifies: Identifies, client: str, claim: str, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._identifies = identifies
        self._client = client
        self._claim = claim
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close"})
        if scope["type"] != "http" or scope["path"] in OPEN:
            return await self._app(scope, receive, send)
        if scope["path"] == METADATA:
            return await self._described()(scope, receive, send)
        request = _Request(scope)
        identity: Identity | None = None
        try:
            identity = await self._identifies.identify(request.token())
        except EmcoError as error:
            answer: Response | None = request.unknown(error)
        else:
            answer = request.refused(identity)
        if answer is not None:
            request.audit(identity, answer.status_code)
            return await answer(scope, receive, send)
        assert identity is not None
        return await self._passed(request, identity, receive, send)

    async def _passed(self, request: _Request, identity: Identity, receive: Receive, send: Send) -> None:
        """An event stream ends with the token that opened it; whoever may go on comes back with another."""
        ended = False
        told = False

        async def heard(message: Message) -> None:
            nonlocal ended, told
            if message["type"] == "http.response.start":
                told = True
                request.audit(identity, message["status"])
                if Headers(raw=message["headers"]).get("content-type", "").startswith(_EVENTS):
                    remaining = max(0.0, identity.expires - self._now())
                    limit.reschedule(asyncio.get_running_loop().time() + remaining)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            async with asyncio.timeout(None) as limit:
                await self._app(request.scope, receive, heard)
        except TimeoutError:
            if not limit.expired():
                raise
            _log.info("stream_ended_with_token", who=identity.name, path=request.scope["path"])
        finally:
            if not told:
                request.audit(identity, 500)
        if limit.expired() and not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _described(self) -> Response:
        body: dict[str, Any] = {
            "authorization_servers": list(self._identifies.issuers),
            "bearer_methods_supported": ["header"],
            "resource_name": "EMCO",
            "emco_client_id": self._client,
            "emco_claim": self._claim,
        }
        return encoded(body)


class _Request:
    """One request at the gate; ``scope`` is what is passed on, with an id and without the token."""

    def __init__(self, scope: Scope) -> None:
        self._headers = Headers(scope=scope)
        named = request_id_of(scope)
        self._id = named or given_id(scope) or uuid.uuid4().hex
        self._naming = {} if named else {"X-Request-Id": self._id}
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"authorization", _ID)]
        self.scope: Scope = {**scope, "headers": [*kept, (_ID, self._id.encode())]}
        self._accept = ",".join(self._headers.getlist("accept"))
        self._reason = ""

    def token(self) -> str:
        """Raises ``Unauthenticated`` where there is not exactly one."""
        given = self._headers.getlist("authorization")
        kind, _, token = (given[0] if len(given) == 1 else "").strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _NoToken("Log in: this needs a bearer token (`emcoctl login`)")
        return token.strip()

    def unknown(self, error: EmcoError) -> Response:
        if isinstance(error, Unavailable):
            return self._answer(503, str(error), {"Retry-After": str(max(1, round(error.retry_after)))})
        # RFC 6750, 3: who brought no token is told of no error
        told = "" if isinstance(error, _NoToken) else f', error="invalid_token", error_description="{error}"'
        challenge = f'Bearer realm="emco", resource_metadata="{self._metadata()}"{told}'
        return self._answer(401, str(error), {"WWW-Authenticate": challenge})

    def refused(self, identity: Identity) -> Response | None:
        """``None`` if the request may pass."""
        if (moved := cleaned(self.scope)) is not None:
            return moved
        method, path = self.scope["method"], segments_of(raw_path(self.scope).decode("latin-1"))
        if path is None:
            return self._answer(404, NO_SUCH_PATH)
        if is_allowed(identity.grants, method, path, accept=self._accept):
            return None
        held = ", ".join(identity.grants)[:200] or "none"
        return self._answer(403, f"{identity.name} may not {method} {self.scope['path']}; the grants held are: {held}")

    def audit(self, identity: Identity | None, status: int) -> None:
        client = self.scope.get("client")
        _log.info(
            "request_audited",
            who=identity.name if identity else "",
            issuer=identity.issuer if identity else "",
            subject=identity.subject if identity else "",
            method=self.scope["method"],
            path=self.scope["path"],
            outcome=_outcome(identity, status, refused=bool(self._reason)),
            status=status,
            reason=self._reason,
            client=client[0] if client else "",
            request_id=self._id,
        )

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
        self._reason = text
        return refusal(self._accept, status, text, request_id=self._id, headers={**self._naming, **(headers or {})})

    def _metadata(self) -> str:
        return f"{self.scope.get('scheme', 'http')}://{self._headers.get('host', '')}{METADATA}"


class _NoToken(Unauthenticated):
    pass


def _outcome(identity: Identity | None, status: int, *, refused: bool) -> str:
    if identity is None:
        return "unauthenticated" if status == 401 else "unavailable"
    return "refused" if refused else "allowed"
