"""A real Keycloak with one realm: users of two tenants, a viewer, an administrator, and clients right and wrong.

Ask for the fixture ``keycloak``. It takes some ten seconds and 500 MB, once for each test process; under pytest-xdist
its tests form one group.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.support.program import Nest, free_ports
from tests.support.realserver import skip_or_fail
from tests.testbed import keycloak as testbed
from tests.testbed.build import cache_root

START_SECONDS = 180
REALM = "enterprise1"
PASSWORD = "correct horse"
USERS = {
    "root": ("Admin",),
    "watcher": ("Viewer",),
    "ada": ("alpha:User",),
    "alan": ("alpha:Viewer",),
    "bob": ("beta:User",),
    "nobody": (),
}
LIFETIME = 300


class Keycloak:
    """``issuer`` is that of the realm."""

    def __init__(self, base: str, admin_password: str) -> None:
        self.issuer = f"{base}/realms/{REALM}"
        self._base = base
        self._password = admin_password

    def prepare(self) -> None:
        """The realm as docs/istio.md says it is to be made."""
        with httpx.Client(base_url=self._base, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {self._admin(client)}"
            client.post("/admin/realms", json=_realm()).raise_for_status()

    def token(self, user: str, *, client: str = "tests") -> str:
        """An access token by the password of the user."""
        form = {
            "grant_type": "password",
            "client_id": client,
            "username": user,
            "password": PASSWORD,
            "scope": "openid",
        }
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=form, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def new_keys(self) -> None:
        """From now on the realm signs with another key."""
        with httpx.Client(base_url=self._base, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {self._admin(client)}"
            realm = client.get(f"/admin/realms/{REALM}").json()
            key = {
                "name": f"rsa-{secrets.token_hex(4)}",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "parentId": realm["id"],
                "config": {"priority": ["200"], "keySize": ["2048"], "active": ["true"], "enabled": ["true"]},
            }
            client.post(f"/admin/realms/{REALM}/components", json=key).raise_for_status()

    def end_sessions(self, user: str) -> None:
        with httpx.Client(base_url=self._base, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {self._admin(client)}"
            (found,) = client.get(f"/admin/realms/{REALM}/users", params={"username": user, "exact": "true"}).json()
            client.post(f"/admin/realms/{REALM}/users/{found['id']}/logout").raise_for_status()

    def _admin(self, client: httpx.Client) -> str:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": self._password}
        answer = client.post("/realms/master/protocol/openid-connect/token", data=form)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


class Browser:
    """What a user does with the address that ``emcoctl login`` shows: logs in and agrees, or does not."""

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=30)
        self._cookies: dict[str, str] = {}

    def agree(self, url: str, user: str, *, yes: bool = True) -> str:
        """The last page."""
        page = self._go("GET", url)
        page = self._go("POST", _action(page), {"username": user, "password": PASSWORD, "credentialId": ""})
        code = re.search(r'name="code" value="([^"]*)"', page.text)
        page = self._go("POST", _action(page), {"code": code[1] if code else "", "accept" if yes else "cancel": "Yes"})
        self._client.close()
        return page.text

    def _go(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        """Cookies by hand: Keycloak marks them as being for TLS, from which browsers except this machine."""
        for _ in range(10):
            cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            answer = self._client.request(method, url, data=form, headers={"Cookie": cookie})
            for line in answer.headers.get_list("set-cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                if value and "max-age=0" not in line.lower():
                    self._cookies[name] = value
                else:
                    self._cookies.pop(name, None)
            if not answer.has_redirect_location:
                return answer
            method, url, form = "GET", urljoin(url, answer.headers["location"]), None
        raise AssertionError(f"too many redirects, the last to {url}")


def _action(page: httpx.Response) -> str:
    found = re.search(r'<form[^>]*\baction="([^"]+)"', page.text)
    assert found, page.text[:2000]
    return urljoin(str(page.url), unescape(found[1]))


def _realm() -> dict[str, Any]:
    grants = sorted({grant for held in USERS.values() for grant in held})
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",
        "accessTokenLifespan": LIFETIME,
        "oauth2DeviceCodeLifespan": 120,
        "oauth2DevicePollingInterval": 1,
        "roles": {"client": {"emco": [{"name": grant} for grant in grants]}},
        "clients": [
            {"clientId": "emco", "publicClient": False, "standardFlowEnabled": False, "secret": secrets.token_hex()},
            _public("emcoctl", device=True),
            _public("tests", device=False),
            _public("short", device=False, lifetime=1),
            _public("elsewhere", device=False, meant_for_emco=False),
        ],
        "users": [
            {
                "username": user,
                "enabled": True,
                "email": f"{user}@example.com",
                "emailVerified": True,
                "firstName": user,
                "lastName": "Example",
                "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
                "clientRoles": {"emco": list(held)},
            }
            for user, held in USERS.items()
        ],
    }


def _public(client: str, *, device: bool, meant_for_emco: bool = True, lifetime: int = 0) -> dict[str, Any]:
    audience = {
        "name": "audience emco",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": "emco", "access.token.claim": "true", "id.token.claim": "false"},
    }
    role = {
        "name": "grants of emco",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-client-role-mapper",
        "config": {
            "usermodel.clientRoleMapping.clientId": "emco",
            "claim.name": "role",
            "jsonType.label": "String",
            "multivalued": "true",
            "access.token.claim": "true",
        },
    }
    attributes = {"oauth2.device.authorization.grant.enabled": str(device).lower()}
    if lifetime:
        attributes["access.token.lifespan"] = str(lifetime)
    return {
        "clientId": client,
        "publicClient": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": not device,
        "fullScopeAllowed": meant_for_emco,
        "attributes": attributes,
        "protocolMappers": [role, audience] if meant_for_emco else [role],
    }


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    built = testbed.folder(cache_root())
    if not built.exists() or testbed.missing_tools():
        skip_or_fail("there is no Keycloak", remedy="run `make testbed` where there are Java 17 and Maven")
    port, management = free_ports(2)
    password = secrets.token_hex(12)
    with closing(Nest("emco-keycloak")) as nest:
        program = nest.program("keycloak", testbed.command(built, port, password=password, management=management))
        program.start()
        ready = f"http://127.0.0.1:{management}/health/ready"
        program.wait_until(lambda: _answers(ready), seconds=START_SECONDS)
        made = Keycloak(f"http://127.0.0.1:{port}", password)
        made.prepare()
        yield made


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests with it in one process; first of all, since pytest-xdist reads the mark in this hook."""
    for item in items:
        if "keycloak" in getattr(item, "fixturenames", ()) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("keycloak"))
