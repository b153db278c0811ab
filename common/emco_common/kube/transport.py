"""HTTP to one API server: bounded connections, a deadline on every wait, capped answers, errors from the tree.

Knows paths and bytes, not kinds. Redirects are not followed and no proxy from the environment is used.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit

import orjson

from emco_common.kube.api import Json
from emco_common.kube.connections import Connections
from emco_common.kube.errors import BadAnswer, Invalid, NoRoom, Unreachable, clean, error_from_answer
from emco_common.kube.exchange import Broken, Exchange, Exchanges, Head, Request
from emco_common.kube.kubeconfig import Kubeconfig
from emco_common.kube.network import Network
from emco_common.kube.wire import Endpoint

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer, or of one line of a watch, that are read at most; a member cluster may be hostile."""
MAX_ERROR = 64 * 1024

_USER_AGENT = "emco"
Begin = Callable[[Request], Awaitable[Exchange]]
_NO_TARGET = re.compile(r"[^!-~]")
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What a query may hold as it is."""


class Transport:
    """``name`` is what errors call the server; ``path`` is what all its paths begin with."""

    def __init__(self, name: str, exchanges: Exchanges, *, timeout: float, path: str = "") -> None:
        self._base = name
        self._exchanges = exchanges
        self._timeout = timeout
        self._path = path

    @property
    def lapses(self) -> int:
        return self._exchanges.lapses

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
        request = Request(method, self._target(path, query), accept, body, content_type)
        seconds = timeout or self._timeout
        try:
            async with asyncio.timeout(seconds):
                call = await self._begun(self._exchanges.call, request)
                try:
                    await self._raise_for_failure(call)
                    return _object(await _read(call, MAX_ANSWER), where=self._base)
                finally:
                    call.close()
        except TimeoutError:
            raise self._late(f"no answer from {self._base} within {seconds:g} s") from None
        except OSError as error:
            raise self._unreachable(error) from error

    async def lines(
        self, path: str, *, query: Mapping[str, str], accept: str, silence: float, lasting: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a stream until the server ends it; ``Unreachable`` after ``silence`` seconds without a byte.

        ``NoRoom`` where no connection may be kept open for one that is ``lasting``; a short one waits for its turn.
        """
        begin = self._exchanges.watch if lasting else self._exchanges.call
        try:
            async with asyncio.timeout(self._timeout):
                call = await self._begun(begin, Request("GET", self._target(path, query), accept))
            del path, query, accept, begin  # a stream lasts, and there are thousands
            try:
                async with asyncio.timeout(self._timeout):
                    await self._raise_for_failure(call)
                cutter = _Cutter()
                while True:
                    async with asyncio.timeout(silence):
                        chunk = await call.read()
                    if not chunk:
                        return
                    for line in cutter.cut(chunk):
                        yield line
                    chunk = line = b""  # a quiet stream keeps nothing of what came last
            finally:
                call.close()
        except TimeoutError:
            raise self._late(f"{self._base}: the watch was silent for too long") from None
        except OSError as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        await self._exchanges.close(f"the client of {self._base} is closed")

    async def _begun(self, begin: Begin, request: Request) -> Exchange:
        lapses = self._exchanges.lapses
        try:
            return await begin(request)
        except Broken as error:
            # The server closed one connection of several just as it was taken up again, or is about to. After the last
            # another server may answer, which the caller may want to know before it is asked anything.
            lapsed = self._exchanges.lapses != lapses
            if self._exchanges.closed or lapsed or (request.method == "POST" and not error.untouched):
                raise
            return await begin(request)

    def _target(self, path: str, query: Mapping[str, str] | None) -> str:
        target = f"{self._path}{path}?{_encoded(query)}" if query else self._path + path
        if _NO_TARGET.search(target):
            raise Invalid("the path of the request holds a character that no path may have")
        return target

    async def _raise_for_failure(self, call: Exchange) -> None:
        if call.status < 300:
            return
        if call.status < 400:
            raise BadAnswer(f"{self._base}: answered a redirect, which is not followed", http_status=call.status)
        body = await _read(call, MAX_ERROR, cut=True)
        raise error_from_answer(call.status, body, retry_after=call.retry_after)

    def _late(self, text: str) -> Unreachable | NoRoom:
        short = self._exchanges.short_of_descriptors()
        return short if short is not None else Unreachable(text, reason="Timeout")

    def _unreachable(self, error: OSError) -> Unreachable:
        reason = "CertificateRejected" if isinstance(error, ssl.SSLCertVerificationError) else ""
        if self._exchanges.closed:
            reason = "Closed"
        return Unreachable(f"{self._base}: {clean(str(error) or type(error).__name__, limit=300)}", reason=reason)


def transport_to(
    kubeconfig: Kubeconfig, *, connections: int, watches: int, timeout: float, network: Network | None = None
) -> Transport:
    """Over the network, as the kubeconfig says. ``connections`` bounds the calls in flight; ``watches`` the streams
    where each needs a connection of its own. ``BadKubeconfig``."""
    opened = connections_to(kubeconfig, limit=connections, watches=watches, network=network or Network())
    path = urlsplit(kubeconfig.server).path.rstrip("/")
    return Transport(kubeconfig.server, opened, timeout=timeout, path=path)


def connections_to(kubeconfig: Kubeconfig, *, limit: int, watches: int, network: Network) -> Connections:
    """Connections to its server as its user; none is opened yet. ``BadKubeconfig``."""
    address = urlsplit(kubeconfig.server)
    tls = network.tls(kubeconfig)
    endpoint = Endpoint(
        address.hostname or "",
        address.port or (443 if tls is not None else 80),
        tls=tls,
        name=kubeconfig.server_name or "",
    )
    head = Head(tls is not None, address.netloc, _fixed_headers(kubeconfig))
    return Connections(endpoint, head, limit=limit, watches=watches, network=network)


def _encoded(query: Mapping[str, str]) -> str:
    if all(map(_PLAIN.fullmatch, query.values())):  # nearly always, and much quicker
        return "&".join(f"{name}={value}" for name, value in query.items())
    return urlencode(query)


def _fixed_headers(kubeconfig: Kubeconfig) -> tuple[tuple[str, str], ...]:
    return (("User-Agent", _USER_AGENT), ("Accept-Encoding", "identity"), *_authorization(kubeconfig))


def _authorization(kubeconfig: Kubeconfig) -> tuple[tuple[str, str], ...]:
    if kubeconfig.token is not None:
        return (("Authorization", f"Bearer {kubeconfig.token}"),)
    if kubeconfig.username is not None:
        pair = f"{kubeconfig.username}:{kubeconfig.password}".encode()
        return (("Authorization", "Basic " + base64.b64encode(pair).decode("ascii")),)
    return ()


async def _read(call: Exchange, limit: int, *, cut: bool = False) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data := await call.read():
        parts.append(data)
        size += len(data)
        if size > limit:
            if cut:
                break
            raise BadAnswer(f"the answer is larger than {limit} bytes", http_status=call.status)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return body[:limit] if size > limit else body


class _Cutter:
    """Cuts what comes into lines; keeps less than one."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: bytearray | None = None

    def cut(self, chunk: bytes) -> list[bytes]:
        """The lines that are whole now, apart from empty ones. ``BadAnswer`` for one that is too large."""
        *lines, rest = chunk.split(b"\n")
        if lines and self._pending is not None:
            lines[0] = bytes(self._pending) + lines[0]
            self._pending = None
        if rest and self._pending is None:
            self._pending = bytearray(rest)
        elif self._pending is not None:
            self._pending += rest
        if self._pending is not None and len(self._pending) > MAX_ANSWER:
            raise BadAnswer(f"a watch event is larger than {MAX_ANSWER} bytes")
        return [line for line in lines if line.strip()]


def _object(body: bytes, *, where: str) -> Json:
    try:
        decoded = orjson.loads(body)
    except ValueError:
        raise BadAnswer(f"{where}: the answer is not JSON") from None
    if not isinstance(decoded, dict):
        raise BadAnswer(f"{where}: the answer is not a JSON object")
    return decoded
