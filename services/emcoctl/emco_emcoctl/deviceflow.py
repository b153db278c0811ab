"""Logging in at an OpenID provider without a browser of one's own: the device flow (RFC 8628), and what follows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from emco_emcoctl.errors import ConfigError, NoInput, TransportError
from emco_emcoctl.logins import Login

if TYPE_CHECKING:
    from types import TracebackType

METADATA = "/.well-known/oauth-protected-resource"
_DISCOVERY = "/.well-known/openid-configuration"
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_SECONDS = 15.0
_LATE = 30.0
"""Seconds before its end from which on a token counts as ended: it has to last for the call."""
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Prompt:
    """What the user is to do, and by when."""

    url: str
    whole_url: str
    code: str
    seconds: int


class Provider:
    """One OpenID provider. Raises ``TransportError`` where it cannot be reached or answers nonsense."""

    def __init__(self, issuer: str, *, ca_file: str = "", now: Callable[[], float] = time.time) -> None:
        import ssl

        import httpx

        if not _is_safe(issuer):
            raise ConfigError(f"the issuer {issuer} is not asked without TLS")
        context: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._client = httpx.Client(verify=context if issuer.startswith("https") else False, timeout=_SECONDS)
        self._issuer = issuer.rstrip("/")
        self._ca_file = ca_file
        self._now = now
        self._known: Json = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def log_in(
        self, server: str, *, client: str, scope: str, prompt: Callable[[Prompt], None], sleep: Callable[[float], None]
    ) -> Login:
        """Waits until the user has agreed; raises ``NoInput`` if the user did not, or not in time."""
        asked = self._said(self._post("device_authorization_endpoint", client_id=client, scope=scope))
        prompt(
            Prompt(
                str(asked["verification_uri"]),
                str(asked.get("verification_uri_complete") or asked["verification_uri"]),
                str(asked["user_code"]),
                int(asked["expires_in"]),
            )
        )
        end = self._now() + float(asked["expires_in"])
        interval = float(asked.get("interval") or 5)
        while self._now() < end:
            sleep(interval)
            answer = self._post(
                "token_endpoint", client_id=client, grant_type=_DEVICE, device_code=asked["device_code"]
            )
            if answer.get("error") == "slow_down":
                interval += 5
            elif answer.get("error") == "access_denied":
                raise NoInput("the login was refused in the browser")
            elif answer.get("error") == "expired_token":
                break
            elif answer.get("error") != "authorization_pending":
                login = Login(server, self._issuer, client, "", "", 0, ca_file=self._ca_file)
                return self._with(login, self._said(answer))
        raise NoInput("nobody logged in in time; run it again")

    def renewed(self, login: Login) -> Login:
        """Raises ``NoInput`` where the session has ended."""
        answer = self._post(
            "token_endpoint", client_id=login.client, grant_type="refresh_token", refresh_token=login.refresh_token
        )
        if answer.get("error") == "invalid_grant" or not login.refresh_token:
            raise NoInput(f"the login at {login.server} has ended; run `emcoctl login`")
        return self._with(login, self._said(answer))

    def log_out(self, login: Login) -> None:
        """End the session at the provider, as far as it lets us."""
        if self._described().get("revocation_endpoint") and login.refresh_token:
            self._post(
                "revocation_endpoint",
                client_id=login.client,
                token=login.refresh_token,
                token_type_hint="refresh_token",
            )

    def _with(self, login: Login, answer: Json) -> Login:
        token = answer.get("access_token")
        if not isinstance(token, str) or str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise TransportError(f"{self._issuer} gave no bearer token")
        return replace(
            login,
            access_token=token,
            refresh_token=str(answer.get("refresh_token") or login.refresh_token),
            expires=self._now() + float(answer.get("expires_in") or 60),
        )

    def _described(self) -> Json:
        if not self._known:
            found = self._asked("GET", self._issuer + _DISCOVERY, {})
            if found.get("issuer") != self._issuer:
                raise TransportError(f"{self._issuer} calls itself {found.get('issuer')!r}")
            self._known = found
        return self._known

    def _post(self, endpoint: str, **form: str) -> Json:
        url = self._described().get(endpoint)
        if not isinstance(url, str) or not _is_safe(url):
            raise TransportError(f"{self._issuer} has no {endpoint.replace('_', ' ')}; is the device flow switched on?")
        return self._asked("POST", url, form)

    def _asked(self, method: str, url: str, form: Mapping[str, str]) -> Json:
        import httpx

        try:
            answer = self._client.request(method, url, data=form or None, headers={"Accept": "application/json"})
            if not answer.content:
                return {}
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TransportError(f"{method} {url}: {str(error) or type(error).__name__}") from error
        if not isinstance(found, dict) or answer.status_code >= 500:
            raise TransportError(f"{method} {url}: answered {answer.status_code}")
        return found

    def _said(self, answer: Json) -> Json:
        if error := answer.get("error"):
            raise TransportError(f"{self._issuer} refused: {answer.get('error_description') or error}")
        return answer


def is_over(login: Login, now: float) -> bool:
    """Whether the token will not last for a call."""
    return login.expires - now < _LATE


def _is_safe(url: str) -> bool:
    import ipaddress
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme != "http":
        return parts.scheme == "https"
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
