"""The built-in gate in front of real services: every operation for everybody, attacks, and the line about each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import structlog

from emco_allinone.catalogue import CATALOGUE
from emco_common.access.routes import OWN
from tests.support.access import EVERYBODY, got_wrong
from tests.support.core import named
from tests.support.ingress import ingress, upstreams_of
from tests.support.issuer import Provider, generated, provider
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
    async with ingress(upstreams_of(emco), oidc_issuer=issuer.url) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_ingress_knows_every_service_that_people_speak_to() -> None:
    assert {entry.name for entry in CATALOGUE} - {"rsync"} == set(OWN)


async def test_every_operation_of_every_service_for_everybody(
    front: httpx.AsyncClient, issuer: Provider, tmp_path: Path
) -> None:
    tokens = {grants: issuer.token(*grants) if grants else "" for grants in EVERYBODY}
    assert await got_wrong(front, await operations(str(tmp_path)), tokens) == []


async def test_nobody_gets_through_with_a_token_that_is_not_true(front: httpx.AsyncClient, issuer: Provider) -> None:
    wrong = {
        "none": "",
        "expired": issuer.token("Admin", exp=int(time.time()) - 100),
        "audience": issuer.token("Admin", aud="account"),
        "alg none": issuer.forged("Admin", algorithm="none"),
        "key swap": issuer.token("Admin", key=generated("first")),
        "other tenant": issuer.token("beta:User"),
    }
    for name, token in wrong.items():
        for method, path in (
            ("GET", "/v2/projects/alpha"),
            ("POST", "/v2/projects/alpha/composite-apps"),
            ("GET", "/metrics"),
        ):
            answer = await front.request(method, path, headers=bearer(token) if token else {})
            assert answer.status_code == (403 if name == "other tenant" else 401), name


async def test_a_refusal_tells_programs_what_to_do(front: httpx.AsyncClient, issuer: Provider) -> None:
    answer = await front.get("/v2/projects")
    challenge = answer.headers["www-authenticate"]
    where = f"http://{front.base_url.netloc.decode()}/.well-known/oauth-protected-resource"
    assert challenge == f'Bearer realm="emco", resource_metadata="{where}"'
    assert "emcoctl login" in answer.text
    described = (await front.get(where)).json()
    assert described["authorization_servers"] == [issuer.url]
    assert described["emco_client_id"] == "emcoctl"
    expired = await front.get("/v2/projects", headers=bearer(issuer.token("Admin", exp=1)))
    assert (
        'error="invalid_token", error_description="The token has expired; log in again"'
        in expired.headers["www-authenticate"]
    )
    refused = await front.get(
        "/v2/projects", headers=bearer(issuer.token("alpha:User")) | {"Accept": "application/problem+json"}
    )
    assert refused.json()["status"] == 403
    assert refused.json()["title"] == "ada may not GET /v2/projects; the grants held are: alpha:User"


async def test_probes_need_no_token(front: httpx.AsyncClient, issuer: Provider) -> None:
    assert (await front.get("/healthz")).status_code == 200
    assert (await front.get("/readyz")).json()["checks"] == {"issuers": "ok"}


async def test_while_the_issuer_is_away_nobody_is_let_in_and_nobody_called_a_liar(emco: RunningSuite) -> None:
    async with provider() as issuer, ingress(upstreams_of(emco), oidc_issuer=issuer.url) as front:
        issuer.away = True
        answer = await front.get("/v2/projects", headers=bearer(issuer.token("Admin")))
        assert answer.status_code == 503
        assert (await front.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    "raw",
    [
        b"/v2/projects/alpha/../beta/composite-apps",
        b"/v2/projects/alpha/%2e%2e/beta/composite-apps",
        b"/v2/projects/alpha%2f..%2fbeta/composite-apps",
        b"/v2/projects/alpha/..%2fbeta",
        b"/v2/projects//beta",
        b"/v2//projects/beta",
        b"/v2/projects/beta%00alpha",
        b"/v2/projects/alpha\\..\\beta",
    ],
)
async def test_no_spelling_of_a_path_leads_to_another_project(
    front: httpx.AsyncClient, issuer: Provider, raw: bytes
) -> None:
    await front.post("/v2/projects", json=named("beta"), headers=bearer(issuer.token("Admin")))
    url = front.base_url.copy_with(raw_path=raw)
    answer = await front.get(url, headers=bearer(issuer.token("alpha:User")))
    assert answer.status_code in (301, 400, 403, 404), answer.text
    assert "beta" not in answer.text or answer.status_code == 403


async def test_two_tokens_are_no_token(front: httpx.AsyncClient, issuer: Provider) -> None:
    good = f"Bearer {issuer.token('Admin')}"
    answer = await front.get("/v2/projects", headers=[("Authorization", good), ("Authorization", good)])
    assert answer.status_code == 401
    assert (
        await front.get("/v2/projects", headers={"Authorization": good.replace("Bearer", "bearer")})
    ).status_code == 200
    assert (
        await front.get("/v2/projects", headers={"Authorization": good.replace("Bearer", "Basic")})
    ).status_code == 401
    in_query = good.partition(" ")[2]
    assert (await front.get(f"/v2/projects?access_token={in_query}")).status_code == 401


async def test_every_request_is_audited_and_no_token_written(front: httpx.AsyncClient, issuer: Provider) -> None:
    good, other = issuer.token("alpha:User"), issuer.token("beta:User")
    with structlog.testing.capture_logs() as events:
        await front.get("/v2/projects/alpha", headers=bearer(good) | {"X-Request-Id": "r-1"})
        await front.delete("/v2/projects/alpha/composite-apps/a/v1", headers=bearer(other))
        await front.get("/v2/projects/alpha")
    lines = [event for event in events if event["event"] == "request_audited"]
    assert [(line["who"], line["method"], line["outcome"], line["status"]) for line in lines] == [
        ("ada", "GET", "allowed", 404),
        ("ada", "DELETE", "refused", 403),
        ("", "GET", "unauthenticated", 401),
    ]
    assert lines[0] | {"request_id": "r-1", "subject": "1234", "issuer": issuer.url, "client": "127.0.0.1"} == lines[0]
    assert not any(token in str(events) for token in (good, other))


async def test_a_stream_ends_with_the_token_that_opened_it(tmp_path: Path, issuer: Provider) -> None:
    async with running_suite(tmp_path / "data", environment={"EMCO_INGRESS_OIDC_ISSUER": issuer.url}) as suite:
        admin = bearer(issuer.token("Admin"))
        client = suite.client
        await client.post("/v2/projects", json=named("alpha"), headers=admin)
        await client.post("/v2/projects/alpha/logical-clouds", json=named("lc", level="0"), headers=admin)
        path = "/v2/projects/alpha/logical-clouds/lc/status/stream"
        short = bearer(issuer.token("alpha:Viewer", exp=int(time.time()) + 2))
        async with asyncio.timeout(20), client.stream("GET", path, headers=short) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_bytes():
                pass


async def test_the_suite_in_one_process_has_the_same_gate(tmp_path: Path, issuer: Provider) -> None:
    environment = {"EMCO_INGRESS_OIDC_ISSUER": issuer.url, "EMCO_HOST": "0.0.0.0"}
    async with running_suite(tmp_path / "data", environment=environment) as suite:
        assert (await suite.client.get("/v2/projects")).status_code == 401
        answer = await suite.client.get("/v2/projects", headers=bearer(issuer.token("Viewer")))
        assert answer.json() == []
        assert {service.host for service in suite.suite.services.values()} == {"127.0.0.1"}
