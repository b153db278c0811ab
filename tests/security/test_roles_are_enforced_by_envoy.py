"""A real Envoy in front of the running suite, its routes, JWT and RBAC filters printed from EMCO's own table."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from emco_allinone.deploying import envoy
from emco_allinone.deploying.wanted import Issuer, Wanted
from emco_common.access.routes import OWN
from tests.support.access import EVERYBODY, got_wrong
from tests.support.core import named
from tests.support.envoy import envoy_as_configured
from tests.support.issuer import Provider, generated, provider
from tests.support.program import free_ports
from tests.support.routes import operations
from tests.support.suite import RunningSuite, running_suite

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@module_fixture
async def emco(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSuite]:
    async with running_suite(tmp_path_factory.mktemp("emco")) as started:
        yield started


@module_fixture
async def issuer() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


@module_fixture
async def front(emco: RunningSuite, issuer: Provider) -> AsyncIterator[httpx.AsyncClient]:
    hosts = {name: f"127.0.0.1:{emco.port(name)}" for name in OWN}
    wanted = Wanted(hosts, [Issuer(issuer.url, jwks=f"{issuer.url}/keys")], projects=["alpha", "beta"])
    (port,) = free_ports(1)
    configuration = envoy.configuration(wanted, envoy.Listening(address="127.0.0.1", port=port))
    with envoy_as_configured(configuration, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 30
            while (await client.get("/v2/projects", headers=bearer(issuer.token("Admin")))).status_code != 200:
                assert time.monotonic() < deadline, "Envoy did not fetch the issuer's keys within 30 s"
            yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_every_operation_of_every_service_for_everybody(
    front: httpx.AsyncClient, issuer: Provider, tmp_path: Path
) -> None:
    tokens = {grants: issuer.token(*grants) if grants else "" for grants in EVERYBODY}
    assert await got_wrong(front, await operations(str(tmp_path)), tokens) == []


async def test_every_operation_reaches_its_service(
    front: httpx.AsyncClient, emco: RunningSuite, issuer: Provider, tmp_path: Path
) -> None:
    """Whatever a service answers to a request, it answers through Envoy as well; another one would not."""
    admin = bearer(issuer.token("Admin"))
    for one in await operations(str(tmp_path)):
        if one.method != "GET":
            continue
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{emco.port(one.service)}") as direct:
            theirs = await direct.get(one.path())
        through = await front.get(one.path(), headers=admin)
        assert (through.status_code, through.content) == (theirs.status_code, theirs.content), str(one)


async def test_nobody_gets_through_with_a_token_that_is_not_true(front: httpx.AsyncClient, issuer: Provider) -> None:
    wrong = {
        "none": "",
        "expired": issuer.token("Admin", exp=int(time.time()) - 100),
        "no end": issuer.token("Admin", exp=None),
        "audience": issuer.token("Admin", aud="account"),
        "no audience": issuer.token("Admin", aud=None),
        "issuer": issuer.token("Admin", iss="https://elsewhere.example"),
        "alg none": issuer.forged("Admin", algorithm="none"),
        "key as secret": issuer.forged("Admin", algorithm="HS256", secret=b"x"),
        "key swap": issuer.token("Admin", key=generated("first")),
        "other tenant": issuer.token("beta:User"),
    }
    for name, token in wrong.items():
        for method, path in (("GET", "/v2/projects/alpha"), ("POST", "/v2/projects/alpha/composite-apps")):
            answer = await front.request(method, path, headers=bearer(token) if token else {})
            assert answer.status_code in (401, 403), name


@pytest.mark.parametrize(
    "raw",
    [
        b"/v2/projects/alpha/../beta",
        b"/v2/projects/alpha/%2e%2e/beta",
        b"/v2/projects/alpha%2f..%2fbeta",
        b"/v2/projects/alpha/..%2fbeta",
        b"/v2/projects//beta",
        b"/v2/projects/alpha/..;/beta",
        b"/v2/projects/alpha\\..\\beta",
        b"/v2/projects/%62eta",
    ],
)
async def test_no_spelling_of_a_path_leads_to_another_project(
    front: httpx.AsyncClient, issuer: Provider, raw: bytes
) -> None:
    await front.post("/v2/projects", json=named("beta"), headers=bearer(issuer.token("Admin")))
    answer = await front.get(front.base_url.copy_with(raw_path=raw), headers=bearer(issuer.token("alpha:User")))
    assert answer.status_code in (301, 307, 400, 403, 404), answer.text


async def test_who_may_only_look_gets_no_kubeconfig_of_a_cluster(front: httpx.AsyncClient, issuer: Provider) -> None:
    viewer, path = bearer(issuer.token("Viewer")), "/v2/cluster-providers/p/clusters/c"
    assert (await front.get(path, headers=viewer | {"Accept": "application/json"})).status_code == 404
    for accept in ("application/octet-stream", "*/*", "application/json, application/octet-stream"):
        assert (await front.get(path, headers=viewer | {"Accept": accept})).status_code == 403
    twice = [("Accept", "application/json"), ("Accept", "application/octet-stream"), *viewer.items()]
    assert (await front.get(path, headers=twice)).status_code == 403


async def test_a_claim_that_is_one_text_counts(front: httpx.AsyncClient, issuer: Provider) -> None:
    assert (await front.get("/v2/projects", headers=bearer(issuer.token(role="Admin")))).status_code == 200
    assert (await front.get("/v2/projects", headers=bearer(issuer.token(role="Admin alpha:User")))).status_code == 403
