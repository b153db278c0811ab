"""The door to the services: sends one call after the other over HTTP and tells what came back (emcoctl 6)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from emco_emcoctl import uploads
from emco_emcoctl.config import Endpoint
from emco_emcoctl.errors import TransportError
from emco_emcoctl.planning import Call
from emco_emcoctl.tls import Tls

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 30.0
MAX_REQUESTS = 10
"""Requests one call may take, redirects included."""

_PIECE = 256 * 1024
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_KEEPING_THE_METHOD = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303}) | _KEEPING_THE_METHOD


@dataclass(frozen=True)
class Answer:
    """``body`` is without surrounding white space; ``has_body`` tells a blank body from none."""

    status: int
    body: str
    has_body: bool
    content: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Sender:
    """Sends calls; cookies live as long as the sender. ``timeout`` is in seconds, for each answer.

    ``sending`` is told how far a body with files is on its way: anchor, bytes sent, bytes in all. With ``compat`` a
    redirected call becomes a GET, and files are looked for in the working directory only.
    """

    def __init__(
        self,
        *,
        token: str,
        timeout: float,
        environ: Mapping[str, str],
        cwd: Path,
        compat: bool = False,
        sending: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._token = token
        self._compat = compat
        self._sending = sending
        self._timeout = timeout
        self._environ = environ
        self._cwd = cwd
        self._cookies = CookieJar()
        self._clients: dict[tuple[str, Tls | None], httpx.Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def send(self, call: Call, *, endpoint: Endpoint) -> Answer:
        """Raises ``TransportError`` if no whole answer came, ``InputError`` if an upload cannot be read."""
        import httpx

        headers, content = self._content(call)
        shown = f"{call.method} {endpoint.url}{call.address.path}"
        method, base = call.method, httpx.URL(endpoint.url)
        target = base.raw_path.decode().rstrip("/") + call.address.target
        url = first = base.copy_with(raw_path=target.encode())
        try:
            for _ in range(MAX_REQUESTS):
                own = url.netloc == first.netloc
                response = self._once(
                    method, url, target, headers if own else _public(headers), content, endpoint.tls if own else Tls()
                )
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    return _answer(response.status_code, response.content)
                if self._compat and response.status_code not in _KEEPING_THE_METHOD:
                    method, content = "GET", None
                    headers.pop("Transfer-Encoding", None)
                url = _redirected(method, url, response)
                target = url.raw_path.decode()
        except (httpx.RequestError, httpx.InvalidURL, _RedirectRefusedError) as error:
            raise TransportError(f"{shown}: {_reason(error)}") from error
        raise TransportError(f"{shown}: stopped after {MAX_REQUESTS} redirects")

    def _once(
        self, method: str, url: httpx.URL, target: str, headers: Mapping[str, str], content: Any, tls: Tls
    ) -> httpx.Response:
        proxy = _proxy(url, self._environ)
        client = self._client(proxy, tls if url.scheme == "https" else None)
        wire = f"{url.scheme}://{url.netloc.decode()}{target}" if proxy and url.scheme == "http" else target
        request = client.build_request(
            method, url, headers=headers, content=content, extensions={"target": wire.encode(), **self._limits()}
        )
        return client.send(request)

    def _limits(self) -> dict[str, Any]:
        seconds = self._timeout
        return {
            "timeout": {"connect": min(CONNECT_SECONDS, seconds), "read": seconds, "write": seconds, "pool": seconds}
        }

    def _client(self, proxy: str, tls: Tls | None) -> httpx.Client:
        """Certificates are read only where one will be checked: that takes longer than a request does."""
        import httpx

        if (proxy, tls) not in self._clients:
            client = httpx.Client(
                proxy=proxy or None,
                verify=tls.context() if tls else False,
                cookies=self._cookies,
                trust_env=False,
                follow_redirects=False,
            )
            client.headers.clear()
            client.headers.update({"User-Agent": "emcoctl", "Accept-Encoding": "gzip"})
            self._clients[proxy, tls] = client
        return self._clients[proxy, tls]

    def _followed(self, call: Call, content: bytes, headers: dict[str, str]) -> bytes | _Pieces:
        sending, anchor = self._sending, call.address.path.removeprefix("/v2/")
        if sending is None:
            return content
        headers["Content-Length"] = str(len(content))
        return _Pieces(content, sent=lambda sent: sending(anchor, sent, len(content)))

    def _content(self, call: Call) -> tuple[dict[str, str], Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if call.accepts:
            headers["Accept"] = call.accepts
        if call.body is None and not call.empty_body:
            return headers, None
        if call.body is not None and call.upload:
            headers["Content-Type"], content = uploads.multipart(
                call.body, call.upload, source="" if self._compat else call.source, cwd=self._cwd
            )
            return headers, self._followed(call, content, headers)
        headers["Content-Type"] = "application/json"
        if call.empty_body:
            headers["Transfer-Encoding"] = "chunked"
            return headers, b""
        return headers, (call.body or "").encode()


class _Pieces:
    """A body in pieces, so that its way can be followed; it can be sent again from its beginning."""

    def __init__(self, content: bytes, *, sent: Callable[[int], None]) -> None:
        self._content = content
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        self._sent(0)
        for start in range(0, len(self._content), _PIECE):
            yield self._content[start : start + _PIECE]
            self._sent(min(start + _PIECE, len(self._content)))


class _RedirectRefusedError(Exception):
    pass


def _redirected(method: str, url: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Where to go on. A POST, PUT or DELETE that would turn into a GET is refused instead."""
    location = response.headers["location"]
    if method != "GET" and response.status_code not in _KEEPING_THE_METHOD:
        raise _RedirectRefusedError(
            f"the server redirects with {response.status_code} to {location}, where a {method} is not repeated"
        )
    return url.join(location)


def _answer(status: int, body: bytes) -> Answer:
    return Answer(status, body.decode("utf-8", "replace").strip(), bool(body), body)


def _public(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != "Authorization"}


def _proxy(url: httpx.URL, environ: Mapping[str, str]) -> str:
    """The proxy for ``url``, if any: never for this machine itself."""
    names = ("https_proxy", "HTTPS_PROXY") if url.scheme == "https" else ("http_proxy", "HTTP_PROXY")
    proxy = next((environ[name] for name in names if environ.get(name)), "")
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not proxy or _is_loopback(url.host) or any(_matches(url, entry.strip()) for entry in exempt.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _matches(url: httpx.URL, entry: str) -> bool:
    """Whether an entry of ``NO_PROXY`` means ``url``: ``*``, a network, a domain with or without port."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(url.host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        name, _, port = entry.partition(":")
    domain = name.lstrip(".").lower()
    same_host = url.host == domain or url.host.endswith(f".{domain}")
    return bool(domain) and same_host and port in ("", str(url.port or (443 if url.scheme == "https" else 80)))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        what = "connection" if isinstance(error, httpx.ConnectTimeout) else "answer"
        return f"no {what} in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"the answer broke off ({error})"
    return _ERRNO.sub("", str(error)) or type(error).__name__
