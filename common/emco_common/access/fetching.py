"""The door to identity providers: a JSON object by HTTPS, small, soon, and from nowhere else than was asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from emco_common.errors import Unavailable

DEADLINE = 5.0
LARGEST = 1 << 20


class JsonFetcher:
    """``plaintext`` lets it read without TLS from other machines, which is for trials only."""

    def __init__(self, *, ca_file: str = "", plaintext: bool = False) -> None:
        self._ca_file = ca_file
        self._plaintext = plaintext
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str) -> Mapping[str, Any]:
        """Raises ``Unavailable`` with the reason."""
        if not (self._plaintext or is_safe(url)):
            raise Unavailable(f"{url} is not read without TLS")
        try:
            async with self._connected().get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Unavailable(f"{url} answered {answer.status}")
                found = json.loads(await _whole(answer.content))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{url}: {str(error) or type(error).__name__}") from error
        if not isinstance(found, dict):
            raise Unavailable(f"{url} is no JSON object")
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=self._ca_file or None)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=4),
                timeout=aiohttp.ClientTimeout(total=DEADLINE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _whole(content: aiohttp.StreamReader) -> bytes:
    read = bytearray()
    async for piece in content.iter_any():
        read += piece
        if len(read) > LARGEST:
            raise ValueError(f"longer than {LARGEST} bytes")
    return bytes(read)


def is_safe(url: str) -> bool:
    """Whether what is said at this URL cannot be changed on the way: by TLS, or since it stays on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return parts.scheme == "https"
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
