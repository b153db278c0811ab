"""A real Keycloak, the device flow of ``emcoctl login``, and both ways of enforcing: the built-in gate and Envoy."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import stat
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from emco_allinone.deploying import envoy
from emco_allinone.deploying.wanted import Issuer, Wanted
from emco_common.access.routes import OWN
from emco_emcoctl.main import run
from tests.support.access import got_wrong
from tests.support.envoy import envoy_as_configured
from tests.support.ingress import ingress, upstreams_of
from tests.support.issuer import generated
from tests.support.keycloak import USERS, Browser, Keycloak
from tests.support.program import free_ports
from tests.support.routes import operations
from tests.support.suite import RunningSuite, running_suite

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif("EMCO_TEST_SLOW" not in os.environ, reason="takes its time; set EMCO_TEST_SLOW=1 to run it"),
]
Fronts = Mapping[str, httpx.AsyncClient]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fronts(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fronts]:
    """The same suite behind the built-in gate and behind Envoy."""
    async with AsyncExitStack() as stack:
        emco = await stack.enter_async_context(running_suite(tmp_path_factory.mktemp("emco")))
        built_in = await stack.enter_async_context(
            ingress(upstreams_of(emco), oidc_issuer=keycloak.issuer, oidc_leeway=0)
        )
        port = _envoy(stack, emco, keycloak)
        proxy = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30))
        admin = bearer(keycloak.token("root"))
        deadline = time.monotonic() + 30
        while (await proxy.get("/v2/projects", headers=admin)).status_code != 200:
            assert time.monotonic() < deadline, "Envoy did not fetch Keycloak's keys within 30 s"
            await asyncio.sleep(0.1)
        yield {"built in": built_in, "envoy": proxy}


def _envoy(stack: AsyncExitStack, emco: RunningSuite, keycloak: Keycloak) -> int:
    hosts = {name: f"127.0.0.1:{emco.port(name)}" for name in OWN}
    wanted = Wanted(hosts, [Issuer(keycloak.issuer)], projects=["alpha", "beta"], leeway=1)
    (port,) = free_ports(1)
    listening = envoy.Listening(address="127.0.0.1", port=port)
    stack.enter_context(envoy_as_configured(envoy.configuration(wanted, listening), port))
    return port


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(params=["built in", "envoy"])
def front(request: pytest.FixtureRequest, fronts: Fronts) -> httpx.AsyncClient:
    return fronts[request.param]


async def test_every_operation_for_the_users_of_two_tenants_a_viewer_and_the_administrator(
    front: httpx.AsyncClient, keycloak: Keycloak, tmp_path: Path
) -> None:
    tokens = {grants: keycloak.token(user) for user, grants in USERS.items()}
    assert await got_wrong(front, await operations(str(tmp_path)), tokens) == []


async def test_nobody_gets_through_with_a_token_that_is_not_true(front: httpx.AsyncClient, keycloak: Keycloak) -> None:
    good = keycloak.token("root")
    short = keycloak.token("root", client="short")
    assert (await front.get("/v2/projects/alpha", headers=bearer(good))).status_code == 404
    head, claims, signature = good.split(".")
    own = generated(_kid(head))
    wrong = {
        "none": "",
        "wrong audience": keycloak.token("root", client="elsewhere"),
        "alg none": f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "alg none with its signature": f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.{signature}",
        "changed": f"{head}.{_encoded({**_claims(claims), 'preferred_username': 'eve'})}.{signature}",
        "key swap": _signed_again(head, claims, own),
        "other tenant": keycloak.token("bob"),
        "viewer": keycloak.token("alan"),
        "no grants": keycloak.token("nobody"),
    }
    got_through = []
    for name, token in wrong.items():
        answer = await front.post("/v2/projects/alpha/composite-apps", json={}, headers=bearer(token) if token else {})
        if answer.status_code not in (401, 403):
            got_through.append((name, answer.status_code))
    assert got_through == []
    assert await _until_refused(front, short) == 401


async def _until_refused(front: httpx.AsyncClient, token: str) -> int:
    """A token of one second, where clocks may differ by another at most."""
    deadline = time.monotonic() + 20
    while (status := (await front.get("/v2/projects", headers=bearer(token))).status_code) == 200:
        assert time.monotonic() < deadline, "an expired token still counts"
        await asyncio.sleep(0.5)
    return status


class Terminal:
    """emcoctl as its user runs it: what it shows, and a browser beside it."""

    def __init__(self, folder: Path, front: httpx.AsyncClient) -> None:
        self._folder = folder
        config = folder / "emco.yaml"
        config.write_text(f"ingress: {{host: 127.0.0.1, port: {front.base_url.port}}}\n")
        self._environ = {"XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
        self.cache = folder / "cache" / "emco" / "logins.json"
        self.shown = io.StringIO()
        self.said = io.StringIO()

    def run(self, *words: str) -> int:
        self.shown.truncate(self.shown.seek(0))
        self.said.truncate(self.said.seek(0))
        argv = [*words, "--config", "emco.yaml"]
        return run(argv, stdout=self.shown, stderr=self.said, environ=self._environ, cwd=self._folder)

    async def gets(self, project: str) -> int:
        """How asking for something in a project is answered: 404 where it is not there but could have been had."""
        await asyncio.to_thread(self.run, "get", f"projects/{project}/composite-apps")
        found = re.search(r"Response Code: (\d+)", self.shown.getvalue())
        assert found, self.said.getvalue()
        return int(found[1])

    async def login(self, user: str, *words: str, yes: bool = True) -> int:
        """``emcoctl login`` in one thread, the user's browser in another."""
        done: list[int] = []
        running = threading.Thread(target=lambda: done.append(self.run("login", *words)))
        running.start()
        async with asyncio.timeout(60):
            while not (asked := re.search(r"Open (\S+)", self.shown.getvalue())):
                assert running.is_alive(), self.said.getvalue()
                await asyncio.sleep(0.05)
            await asyncio.to_thread(Browser().agree, asked[1], user, yes=yes)
            await asyncio.to_thread(running.join)
        return done[0]


async def test_the_device_flow_from_login_to_logout(fronts: Fronts, keycloak: Keycloak, tmp_path: Path) -> None:
    """The server says whom to log in at; from then on every command is known; nothing of it is for others to read."""
    terminal = Terminal(tmp_path, fronts["built in"])
    assert await terminal.gets("alpha") == 401
    assert await terminal.login("ada") == 0, terminal.said.getvalue()
    assert "as ada." in terminal.shown.getvalue()
    assert stat.S_IMODE(terminal.cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(terminal.cache.parent.stat().st_mode) == 0o700
    assert await terminal.gets("alpha") == 404
    assert await terminal.gets("beta") == 403
    assert await asyncio.to_thread(terminal.run, "whoami", "-o", "json") == 0
    facts = json.loads(terminal.shown.getvalue())
    assert (facts["user"], facts["issuer"], facts["grants"]) == ("ada", keycloak.issuer, ["alpha:User"])
    assert await asyncio.to_thread(terminal.run, "logout") == 0
    assert terminal.cache.read_text() == "[]"
    assert await asyncio.to_thread(terminal.run, "whoami") == 1
    assert "run `emcoctl login`" in terminal.said.getvalue()


async def test_a_token_that_is_over_is_renewed_until_the_session_ends(
    fronts: Fronts, keycloak: Keycloak, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, fronts["envoy"])
    assert await asyncio.to_thread(terminal.run, "login") == 1
    assert "name it with --issuer" in terminal.said.getvalue()
    assert await terminal.login("ada", "--issuer", keycloak.issuer) == 0, terminal.said.getvalue()

    def end() -> str:
        (entry,) = json.loads(terminal.cache.read_text())
        terminal.cache.write_text(json.dumps([entry | {"expires": 0}]))
        return str(entry["access_token"])

    first = end()
    assert await terminal.gets("alpha") == 404
    assert end() != first
    await asyncio.to_thread(keycloak.end_sessions, "ada")
    assert await asyncio.to_thread(terminal.run, "get", "projects/alpha/composite-apps") == 1
    assert "has ended; run `emcoctl login`" in terminal.said.getvalue()


async def test_a_login_that_is_refused_in_the_browser_is_none(fronts: Fronts, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, fronts["built in"])
    assert await terminal.login("ada", yes=False) == 1
    assert "refused in the browser" in terminal.said.getvalue()
    assert not terminal.cache.exists()


async def test_a_login_is_for_its_server_alone(fronts: Fronts, tmp_path: Path) -> None:
    """Another port is another server, and gets no token."""
    terminal = Terminal(tmp_path, fronts["built in"])
    assert await terminal.login("ada") == 0
    other = Terminal(tmp_path, fronts["envoy"])
    assert await other.gets("alpha") == 401


async def test_new_keys_of_the_realm_are_noticed(fronts: Fronts, keycloak: Keycloak) -> None:
    """The last of all, since Envoy notices only when what it has kept is a minute old."""
    old = keycloak.token("root")
    keycloak.new_keys()
    new = keycloak.token("root")
    assert _kid(old.split(".")[0]) != _kid(new.split(".")[0])
    deadline = time.monotonic() + 20
    while (await fronts["built in"].get("/v2/projects", headers=bearer(new))).status_code != 200:
        assert time.monotonic() < deadline, "the new key was not noticed within 20 s"
        await asyncio.sleep(0.5)
    assert (await fronts["built in"].get("/v2/projects", headers=bearer(old))).status_code == 200


def _kid(head: str) -> str:
    return str(_claims(head)["kid"])


def _claims(part: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed_again(head: str, claims: str, key: object) -> str:
    from joserfc import jwt

    return jwt.encode(_claims(head), _claims(claims), key)  # type: ignore[arg-type]
