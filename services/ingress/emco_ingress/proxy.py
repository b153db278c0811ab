"""Passing a request on to the service of its path, and the answer back, piece by piece as they come.

Nothing is kept whole in memory, nothing is asked twice that could have an effect twice, and what either side breaks off
is broken off for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass

import aiohttp
import structlog
from multidict import CIMultiDict
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from emco_common.access.patterns import Pattern
from emco_common.access.routes import Route, RouteTable, routes_to
from emco_common.errors import EmcoError, Unavailable
from emco_common.tracing.spans import Kind, headers_here, traced
from emco_common.tracing.wire import HEADERS as TRACE_HEADERS
from emco_common.web.discovery import BEHIND, OPENAPI, service_behind
from emco_common.web.failures import answer_error
from emco_common.web.limits import raw_path
from emco_common.web.requests import request_id_of

_log = structlog.get_logger()
_OF_ONE_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade", "expect"}
    | {"proxy-connection", "transfer-encoding"}
)
_OURS = frozenset({"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"})
_DESCRIPTIONS = Pattern(f"{BEHIND}*")
_DESCRIPTION = {"path": OPENAPI, "raw_path": OPENAPI.encode()}
_IDLE_SECONDS = 30
"""Less than services keep an idle connection, so that none is used that is being closed."""


@dataclass(frozen=True)
class _Label:
    """What the latency of a passed request is counted under."""

    path: str


class Proxy:
    """The services, and the connections to them."""

    def __init__(self, upstreams: Mapping[str, str], *, connect_timeout: float, answer_timeout: float) -> None:
        self._table = RouteTable(routes_to(upstreams))
        self._bases = {name: URL(url) for name, url in upstreams.items()}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=answer_timeout)
        self._session: aiohttp.ClientSession | None = None

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Answers the paths of the services; everything else is ``app``'s."""

        async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            asked: Scope = scope
            if (described := service_behind(scope["path"])) in self._bases:
                route, asked = Route(described, _DESCRIPTIONS), {**scope, **_DESCRIPTION}
            else:
                found = self._table.find(scope["path"].split("/")[1:])
                if found is None:
                    return await app(scope, receive, send)
                route = found
            scope["route"] = _Label(route.pattern.text)
            return await self._answer(route, asked, receive, send)

        return proxied

    @property
    def services(self) -> Collection[str]:
        return self._bases.keys()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        passing = _Passing(scope, receive, send)
        try:
            with traced(f"to {route.service}", {"emco.upstream": route.service}, kind=Kind.CLIENT):
                await passing.run(self._connected(), self._bases[route.service], route)
        except ClientDisconnect:
            _log.info("client_left", method=scope["method"], path=scope["path"])
        except EmcoError as error:
            if passing.begun:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            await answer_error(scope, error)(scope, receive, send)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


class _Passing:
    """One request on its way. ``begun`` tells whether the caller has been told a status."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._said = asyncio.Event()
        if not _has_body(scope):
            self._said.set()
        self._unsaid: EmcoError | ClientDisconnect | None = None
        self.begun = False

    async def run(self, session: aiohttp.ClientSession, base: URL, route: Route) -> None:
        """Raises ``Unavailable`` while the service is away, ``ClientDisconnect`` when the caller is, and what is wrong
        with the body."""
        passing = asyncio.ensure_future(self._pass(session, base))
        leaving = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not passing.done():
                raise ClientDisconnect
            passing.result()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if self._unsaid is not None or leaving.done():
                raise self._unsaid or ClientDisconnect from error
            _log.warning("upstream_failed", upstream=route.service, error=repr(error))
            raise Unavailable(f"The service {route.service} cannot be reached", detail=_said(error)) from error
        finally:
            for task in (passing, leaving):
                task.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)

    async def _pass(self, session: aiohttp.ClientSession, base: URL) -> None:
        async with session.request(
            self._scope["method"],
            _target(base, self._scope),
            headers=_forwarded(self._scope),
            data=None if self._said.is_set() else self._body(),
            allow_redirects=False,
        ) as answer:
            await self._send(
                {"type": "http.response.start", "status": answer.status, "headers": list(_returned(answer))}
            )
            self.begun = True
            async for piece in answer.content.iter_any():
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self) -> AsyncIterator[bytes]:
        while not self._said.is_set():
            message = await self._heard()
            if not message.get("more_body", False):
                self._said.set()
            if message.get("body"):
                yield message["body"]

    async def _heard(self) -> Message:
        """More of the body. What goes wrong here is noted, for the client library makes it its own error."""
        try:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
        except (EmcoError, ClientDisconnect) as error:
            self._unsaid = error
            raise
        return message

    async def _left(self) -> None:
        """Returns when the caller is gone. While the body is on its way, that is the body's to notice."""
        await self._said.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _target(base: URL, scope: Scope) -> URL:
    """The path and the query as they were sent, not spelt anew."""
    query = scope["query_string"].decode("latin-1")
    path = raw_path(scope).decode("latin-1").partition("?")[0]
    return URL(f"{base.origin()}{path}" + (f"?{query}" if query else ""), encoded=True)


def _forwarded(scope: Scope) -> CIMultiDict[str]:
    """The caller's headers without those of the hop, and who the caller is (``X-Forwarded-…``).

    What the caller says of that is not passed on: where it comes from a proxy that is trusted (``FORWARDED_ALLOW_IPS``,
    by default this machine), the server has read it already.
    """
    given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    named = {word.strip().lower() for name, value in given if name == "connection" for word in value.split(",")}
    headers = CIMultiDict(pair for pair in given if pair[0] not in _OF_ONE_HOP | named | _OURS)
    client = scope.get("client")
    headers["X-Forwarded-For"] = client[0] if client else "unknown"
    headers["X-Forwarded-Proto"] = scope.get("scheme", "http")
    headers["X-Request-Id"] = request_id_of(scope)
    if told := headers_here():
        for name in TRACE_HEADERS:
            if name != "tracestate":
                headers.popall(name, None)
        headers.update(told)
    if host := next((value for name, value in given if name == "host"), ""):
        headers["Host"] = headers["X-Forwarded-Host"] = host
    return headers


def _returned(answer: aiohttp.ClientResponse) -> Iterable[tuple[bytes, bytes]]:
    """The service's headers without those of the hop; the request id is added again by our own layer."""
    left_out = _OF_ONE_HOP | {"x-request-id"}
    headers = ((name.lower(), value) for name, value in answer.raw_headers)
    return ((name, value) for name, value in headers if name.decode("latin-1") not in left_out)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
