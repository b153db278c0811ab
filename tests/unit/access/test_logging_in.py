"""``emcoctl login`` against a provider that says what it is told to; the real Keycloak is in ``tests/security``."""

from __future__ import annotations

import asyncio
import io
import json
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from emco_emcoctl.main import run
from tests.support.ingress import ingress
from tests.support.issuer import Provider, provider


@dataclass
class Terminal:
    """One user, with a folder; ``pauses`` are the seconds that were slept."""

    folder: Path
    port: int
    issuer: Provider
    pauses: list[float] = field(default_factory=list)
    shown: str = ""
    said: str = ""

    @property
    def cache(self) -> Path:
        return self.folder / "cache" / "emco" / "logins.json"

    async def run(self, *words: str, config: str = "") -> int:
        (self.folder / "emco.yaml").write_text(config or f"ingress: {{host: 127.0.0.1, port: {self.port}}}\n")
        out, err = io.StringIO(), io.StringIO()
        code = await asyncio.to_thread(
            run,
            [*words, "--config", "emco.yaml"],
            stdout=out,
            stderr=err,
            environ={"XDG_CACHE_HOME": str(self.folder / "cache"), "HOME": str(self.folder)},
            cwd=self.folder,
            sleep=self.pauses.append,
        )
        self.shown, self.said = out.getvalue(), err.getvalue()
        return code

    def given(self, **changes: Any) -> dict[str, Any]:
        token = self.issuer.token("alpha:User")
        return {"access_token": token, "token_type": "Bearer", "refresh_token": "r-1", "expires_in": 300} | changes

    def over(self) -> None:
        """The token has ended."""
        (entry,) = json.loads(self.cache.read_text())
        self.cache.write_text(json.dumps([entry | {"expires": time.time() + 5}]))


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with provider() as issuer, ingress({}, oidc_issuer=issuer.url, oidc_client="cli") as front:
        port = front.base_url.port
        assert port is not None
        yield Terminal(tmp_path, port, issuer)


async def test_the_server_says_whom_to_log_in_at_and_the_pace_is_the_providers(terminal: Terminal) -> None:
    terminal.issuer.answers = ["authorization_pending", "slow_down", terminal.given()]
    assert await terminal.run("login") == 0, terminal.said
    assert f"Open {terminal.issuer.url}/agree?user_code=WDJB-MJHT" in terminal.shown
    assert "The code is WDJB-MJHT" in terminal.shown
    assert "as ada." in terminal.shown
    assert terminal.pauses == [2, 2, 7]
    assert terminal.issuer.forms[0] == {"client_id": "cli", "scope": "openid"}
    assert terminal.issuer.forms[-1]["device_code"] == "secret"
    assert stat.S_IMODE(terminal.cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(terminal.cache.parent.stat().st_mode) == 0o700


async def test_the_login_is_shown_and_used_and_ended(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    assert await terminal.run("whoami") == 0
    assert "user       ada\n" in terminal.shown
    assert "grants     alpha:User\n" in terminal.shown
    assert await terminal.run("get", "projects/alpha/composite-apps") == 3
    assert "Response Code: 404" in terminal.shown
    assert await terminal.run("get", "projects/beta/composite-apps") == 3
    assert "Response Code: 403" in terminal.shown
    assert await terminal.run("logout") == 0
    assert terminal.issuer.forms[-1] == {"client_id": "cli", "token": "r-1", "token_type_hint": "refresh_token"}
    assert await terminal.run("get", "projects/alpha/composite-apps") == 3
    assert "Response Code: 401" in terminal.shown
    assert await terminal.run("logout") == 0
    assert "Nobody is logged in" in terminal.shown


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [("access_denied", "was refused in the browser"), ("expired_token", "nobody logged in in time")],
)
async def test_who_does_not_agree_is_not_logged_in(terminal: Terminal, answer: str, sentence: str) -> None:
    terminal.issuer.answers = ["authorization_pending", answer]
    assert await terminal.run("login") == 1
    assert sentence in terminal.said
    assert not terminal.cache.exists()


async def test_a_token_that_is_over_is_renewed_once(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    terminal.over()
    terminal.issuer.answers = [terminal.given(refresh_token="r-2")]
    assert await terminal.run("get", "projects/alpha/apps") == 3
    assert "Response Code: 404" in terminal.shown
    assert await terminal.run("get", "projects/alpha/apps") == 3
    assert terminal.issuer.forms[-1]["refresh_token"] == "r-1"
    assert json.loads(terminal.cache.read_text())[0]["refresh_token"] == "r-2"


async def test_a_session_that_has_ended_is_said(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    terminal.over()
    terminal.issuer.answers = ["invalid_grant"]
    assert await terminal.run("get", "projects/alpha/apps") == 1
    assert "has ended; run `emcoctl login`" in terminal.said


async def test_the_token_goes_to_its_server_alone(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    async with ingress({}, oidc_issuer=terminal.issuer.url) as other:
        config = f"ingress: {{host: 127.0.0.1, port: {other.base_url.port}}}\n"
        assert await terminal.run("get", "projects/alpha/apps", config=config) == 3
        assert "Response Code: 401" in terminal.shown


async def test_a_token_of_ones_own_goes_before_the_login(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    assert await terminal.run("get", "projects/alpha/apps", "-t", "mine") == 3
    assert "Response Code: 401" in terminal.shown


async def test_the_original_knows_no_login(terminal: Terminal) -> None:
    terminal.issuer.answers = [terminal.given()]
    assert await terminal.run("login") == 0
    await terminal.run("get", "projects/alpha/apps", "--compat")
    assert "Response Code: 401" in terminal.shown


async def test_what_cannot_be_is_said(terminal: Terminal) -> None:
    assert await terminal.run("login", config="ingress: {}\n") == 1
    assert "names no ingress" in terminal.said
    assert await terminal.run("login", "--issuer", "http://issuer.example", "--client", "c") == 1
    assert "is not asked without TLS" in terminal.said
    assert await terminal.run("whoami") == 1
    assert "nobody is logged in" in terminal.said
    terminal.cache.parent.mkdir(parents=True)
    terminal.cache.write_text("[1]")
    assert await terminal.run("whoami") == 1
    assert "delete it and log in again" in terminal.said


async def test_a_provider_that_calls_itself_something_else_is_not_logged_in_at(terminal: Terminal) -> None:
    terminal.issuer.calls_itself = "https://other.example"
    assert await terminal.run("login") == 4
    assert "calls itself" in terminal.said
