"""How people prove who they are, as an operator says it. Off unless an issuer is named."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from starlette.types import ASGIApp

from emco_common.access.fetching import JsonFetcher, is_safe
from emco_common.access.gate import Gate
from emco_common.access.issuers import Authenticator, Issuer
from emco_common.access.tokens import ALGORITHMS, Demands
from emco_common.settings import Settings


def _listed(given: Any) -> Any:
    return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Several texts, in the environment with commas between them."""


class AccessSettings(Settings):
    """Settings of the port in front of all services, and of who gets through it."""

    http_port: int = Field(9000, ge=0, le=65535, description="The port in front of all services.")
    oidc_issuer: Listed = Field(
        (), description="Issuers whose tokens are believed, exactly as they stand in `iss`. None: nobody is asked."
    )
    oidc_audience: str = Field("emco", description="The audience that a token must be meant for.")
    oidc_claim: str = Field("role", description="The claim with the grants; a path with dots leads into objects.")
    oidc_algorithms: Listed = Field(
        ("RS256", "PS256", "ES256"), description="Signatures that are accepted; never shared secrets, never none."
    )
    oidc_leeway: int = Field(30, ge=0, le=300, description="Seconds that clocks may differ.")
    oidc_client: str = Field("emcoctl", description="The public client as which `emcoctl login` logs in.")
    oidc_ca_file: str = Field("", description="CA of the issuers' certificates, PEM; unset: those the system trusts.")
    oidc_plaintext: bool = Field(False, description="Ask issuers without TLS. For trials: keys can be swapped.")

    @model_validator(mode="after")
    def _sensible(self) -> AccessSettings:
        if wrong := next((name for name in self.oidc_algorithms if name not in ALGORITHMS), None):
            raise ValueError(f"oidc_algorithms: {wrong} is none of {', '.join(ALGORITHMS)}")
        unsafe = next((url for url in self.oidc_issuer if not is_safe(url)), None)
        if unsafe is not None and not (self.oidc_plaintext and unsafe.startswith("http://")):
            raise ValueError(f"oidc_issuer: {unsafe} must be an https URL")
        if self.oidc_issuer and not (self.oidc_audience and self.oidc_claim and self.oidc_algorithms):
            raise ValueError("oidc_audience, oidc_claim and oidc_algorithms must not be empty")
        return self


class Access:
    """The gate as the settings ask for it; ``None`` from ``of`` where they ask for none."""

    def __init__(self, settings: AccessSettings, *, now: Callable[[], float], clock: Callable[[], float]) -> None:
        self._client = settings.oidc_client
        self._claim = settings.oidc_claim
        self._now = now
        self._fetch = JsonFetcher(ca_file=settings.oidc_ca_file, plaintext=settings.oidc_plaintext)
        demands = Demands(
            settings.oidc_audience, settings.oidc_claim, settings.oidc_algorithms, leeway=settings.oidc_leeway
        )
        issuers = [Issuer(url, self._fetch, clock=clock) for url in settings.oidc_issuer]
        self.authenticator = Authenticator(issuers, demands, now=now)

    @classmethod
    def of(cls, settings: AccessSettings) -> Access | None:
        return cls(settings, now=time.time, clock=time.monotonic) if settings.oidc_issuer else None

    def guarded(self, app: ASGIApp) -> ASGIApp:
        return Gate(app, identifies=self.authenticator, client=self._client, claim=self._claim, now=self._now)

    async def close(self) -> None:
        await self._fetch.close()
