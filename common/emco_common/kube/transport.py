"""HTTP to one API server: bounded connections, a deadline on every wait, capped answers, errors from the tree.

Knows paths and bytes, not kinds. Redirects are not followed and no proxy from the environment is used.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import aiohttp
from yarl import URL

from emco_common.kube.api import Json
from emco_common.kube.certificates import tls_context
from emco_common.kube.errors import BadAnswer, Unreachable, clean, error_from_answer
from emco_common.kube.kubeconfig import BadKubeconfig, Kubeconfig

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer, or of one line of a watch, that are read at most; a member cluster may be hostile."""
MAX_ERROR = 64 * 1024
IDLE_SECONDS = 30.0
"""An unused connection (about 300 KB with TLS) is closed after this time."""

_USER_AGENT = "emco"


class Transport:
    """``connections`` bounds the calls in flight, ``watches`` the streams beside them."""

    def __init__(self, kubeconfig: Kubeconfig, *, connections: int, watches: int, timeout: float) -> None:
        self._base = kubeconfig.server
        self._server_name = kubeconfig.server_name
        self._timeout = timeout
        self._limits = {"calls": connections, "watches": watches}
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._headers = {"Accept-Encoding": "identity", "User-Agent": _USER_AGENT, **_authorization(kubeconfig)}
        self._tls = _context(kubeconfig)
        self._closed = False
        self._streams: set[aiohttp.ClientResponse] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> Json:
        """One call; the answer is a JSON object. Any ``KubeError``."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        seconds = timeout or self._timeout
        repeatable = method != "POST"
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self._once(method, path, query=query, body=body, headers=headers)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    # The server closed an idle connection just as it was taken up again.
                    if not repeatable:
                        raise
                    return await self._once(method, path, query=query, body=body, headers=headers)
        except TimeoutError:
            raise Unreachable(f"no answer from {self._base} within {seconds:g} s", reason="Timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def lines(
        self, path: str, *, query: Mapping[str, str], accept: str, silence: float
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a stream until the server ends it; ``Unreachable`` after ``silence`` seconds without a byte."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._open("watches", "GET", path, query=query, headers={"Accept": accept})
            async with response:
                async with asyncio.timeout(self._timeout):
                    await self._raise_for_failure(response)
                self._streams.add(response)
                try:
                    async for line in _lines(response, silence=silence):
                        yield line
                finally:
                    self._streams.discard(response)
        except TimeoutError:
            raise Unreachable(f"{self._base}: the watch was silent for too long", reason="Timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        self._closed = True
        for stream in tuple(self._streams):
            stream.close()  # who reads it hears of it at once; of a closed session only after minutes
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def _once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Json:
        async with self._open("calls", method, path, query=query, headers=headers, body=body) as response:
            await self._raise_for_failure(response)
            return _object(await _read(response, MAX_ANSWER), where=self._base)

    def _open(
        self,
        purpose: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Any:
        url = URL(self._base + path, encoded=True)
        return self._session(purpose).request(
            method,
            url.with_query(query) if query else url,
            data=body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._server_name,
        )

    def _session(self, purpose: str) -> aiohttp.ClientSession:
        if self._closed:
            raise Unreachable(f"the client of {self._base} is closed", reason="Closed")
        session = self._sessions.get(purpose)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=self._limits[purpose],
                ssl=self._tls if self._tls is not None else True,
                keepalive_timeout=IDLE_SECONDS,
                socket_factory=_socket,
            )
            session = self._sessions[purpose] = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
            )
        return session

    async def _raise_for_failure(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 300:
            return
        if response.status < 400:
            raise BadAnswer(f"{self._base}: answered a redirect, which is not followed", http_status=response.status)
        body = await _read(response, MAX_ERROR, cut=True)
        raise error_from_answer(response.status, body, retry_after=response.headers.get("Retry-After"))

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = "CertificateRejected" if isinstance(error, aiohttp.ClientConnectorCertificateError) else ""
        return Unreachable(f"{self._base}: {clean(str(error) or type(error).__name__, limit=300)}", reason=reason)


def _context(kubeconfig: Kubeconfig) -> ssl.SSLContext | None:
    if not kubeconfig.server.startswith("https:"):
        return None
    try:
        return tls_context(
            ca=kubeconfig.ca_data,
            certificate=kubeconfig.client_certificate,
            key=kubeconfig.client_key,
            verify=kubeconfig.verify,
        )
    except (ssl.SSLError, ValueError, OSError):
        raise BadKubeconfig("kubeconfig: the certificate or key data cannot be used for TLS") from None


def _authorization(kubeconfig: Kubeconfig) -> dict[str, str]:
    if kubeconfig.token is not None:
        return {"Authorization": f"Bearer {kubeconfig.token}"}
    if kubeconfig.username is not None:
        pair = f"{kubeconfig.username}:{kubeconfig.password}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}
    return {}


def _socket(address: Any) -> socket.socket:
    """A socket that notices within about 40 s that its peer is gone without a word."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 7), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 40_000)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _read(response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            if cut:
                break
            raise BadAnswer(f"the answer is larger than {limit} bytes", http_status=response.status)
    return bytes(body[:limit])


async def _lines(response: aiohttp.ClientResponse, *, silence: float) -> AsyncGenerator[bytes, None]:
    pending = bytearray()
    while True:
        async with asyncio.timeout(silence):
            chunk = await response.content.readany()
        if not chunk:
            return
        pending += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(pending).split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                if line.strip():
                    yield line
        if len(pending) > MAX_ANSWER:
            raise BadAnswer(f"a watch event is larger than {MAX_ANSWER} bytes")


def _object(body: bytes, *, where: str) -> Json:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer(f"{where}: the answer is not JSON") from None
    if not isinstance(decoded, dict):
        raise BadAnswer(f"{where}: the answer is not a JSON object")
    return decoded
