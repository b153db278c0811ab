"""The identity providers whose tokens are believed: their keys, fetched by OpenID Connect discovery and kept a while.

A key that is not known yet is looked for once more at its issuer, but not again within ``PAUSE``, so that a change of
keys is noticed at once and made up key ids cost the issuer nothing. While the issuer is away its keys are believed for
``STALE`` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from joserfc import jwk

from emco_common.access.tokens import (
    Demands,
    Identity,
    NoSuchKey,
    Presented,
    Unauthenticated,
    chosen_key,
    taken_apart,
    usable_keys,
    verified,
)
from emco_common.errors import EmcoError, Unavailable

_log = structlog.get_logger()
Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]
"""The JSON object at a URL; raises ``Unavailable``."""
Clock = Callable[[], float]

DISCOVERY = "/.well-known/openid-configuration"
FRESH, STALE, PAUSE = 300.0, 3600.0, 10.0
"""Seconds: keys are asked for anew after the first, not believed after the second, asked for again after the third."""


class Issuer:
    """The keys of one identity provider. ``clock`` counts seconds from anywhere."""

    def __init__(self, url: str, fetch: Fetch, *, clock: Clock) -> None:
        self.url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: list[jwk.Key] = []
        self._got = self._asked = float("-inf")
        self._turn = asyncio.Lock()
        self._failure = ""

    async def key_of(self, presented: Presented) -> jwk.Key:
        """Raises ``NoSuchKey``, or ``Unavailable`` while there are no keys to believe."""
        await self.refresh()
        try:
            return chosen_key(presented, self._keys)
        except NoSuchKey:
            if not await self._renewed(since=self._got):
                raise
            return chosen_key(presented, self._keys)

    async def refresh(self) -> None:
        """Have keys that can be believed. Raises ``Unavailable``."""
        age = self._clock() - self._got
        if age > FRESH and not (age < STALE and self._turn.locked()):
            await self._renewed(since=self._got)
            age = self._clock() - self._got
        if age > STALE:
            raise Unavailable(f"The identity provider {self.url} cannot be asked for its keys: {self._failure}")

    async def _renewed(self, *, since: float) -> bool:
        """Whether there are newer keys than at ``since``; asks for them unless that was tried a moment ago."""
        async with self._turn:
            if self._got > since:
                return True
            if self._clock() - self._asked < PAUSE:
                return False
            self._asked = self._clock()
            try:
                self._keys = await self._asked_for()
            except EmcoError as error:
                self._failure = str(error)
                _log.warning("issuer_keys_not_fetched", issuer=self.url, error=self._failure)
                return False
            self._got = self._clock()
            _log.info("issuer_keys_fetched", issuer=self.url, keys=len(self._keys))
            return True

    async def _asked_for(self) -> list[jwk.Key]:
        described = await self._fetch(self.url.rstrip("/") + DISCOVERY)
        if described.get("issuer") != self.url:
            raise Unavailable(f"it calls itself {str(described.get('issuer'))[:200]!r}, not {self.url!r}")
        where = described.get("jwks_uri")
        if not isinstance(where, str):
            raise Unavailable("its description names no jwks_uri")
        keys = usable_keys(await self._fetch(where))
        if not keys:
            raise Unavailable(f"{where} has no key that verifies signatures")
        return keys


class Authenticator:
    """Says who presents a token. ``now`` is the time of day, in seconds since 1970."""

    def __init__(self, issuers: Iterable[Issuer], demands: Demands, *, now: Clock) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._demands = demands
        self._now = now

    @property
    def issuers(self) -> tuple[str, ...]:
        return tuple(self._issuers)

    async def identify(self, token: str) -> Identity:
        """Raises ``Unauthenticated``, or ``Unavailable`` while the issuer cannot be asked for its keys."""
        presented = taken_apart(token, self._demands)
        issuer = self._issuers.get(presented.issuer)
        if issuer is None:
            raise Unauthenticated("The token is of an issuer that is not believed here")
        key = await issuer.key_of(presented)
        return verified(presented, key, self._demands, issuer=issuer.url, now=self._now())

    async def ready(self) -> None:
        """Raises ``Unavailable`` while the keys of some issuer are wanting."""
        for issuer in self._issuers.values():
            await issuer.refresh()
