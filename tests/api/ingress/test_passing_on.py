"""The ingress as a process between a client and real services: what goes in comes out, both ways, piece by piece."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from emco_common import __version__
from emco_common.settings import BadSettings
from emco_common.web.serving import HttpServer
from emco_ingress.settings import IngressSettings
from tests.api.clm.kubeconfigs import kubeconfig
from tests.support.core import form, named
from tests.support.ingress import ingress, upstreams_of
from tests.support.program import free_ports
from tests.support.suite import RunningSuite, running_suite

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emco(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSuite]:
    async with running_suite(tmp_path_factory.mktemp("emco")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def front(emco: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    async with ingress(upstreams_of(emco)) as client:
        yield client


async def test_every_service_is_reached_through_one_port(front: httpx.AsyncClient) -> None:
    assert (await front.post("/v2/projects", json=named("alpha"))).status_code == 201
    assert (await front.post("/v2/projects/alpha/logical-clouds", json=named("lc", level="0"))).status_code == 201
    assert (await front.post("/v2/cluster-providers", json=named("acme"))).status_code == 201
    credentials = kubeconfig()
    uploaded = await front.post("/v2/cluster-providers/acme/clusters", **form(named("hq"), credentials))
    assert uploaded.status_code == 201
    assert (await front.get("/v2/cluster-providers/acme/clusters/hq/networks")).json() == []
    file = await front.get("/v2/cluster-providers/acme/clusters/hq", headers={"Accept": "application/octet-stream"})
    assert file.content == credentials
    assert (await front.delete("/v2/projects/alpha/logical-clouds/lc")).status_code == 204


async def test_who_answers_and_where_it_is_described_is_the_same_with_either_port(
    front: httpx.AsyncClient, emco: RunningSuite
) -> None:
    names = ["clm", "dcm", "ncm", "orchestrator"]
    for client in (front, emco.client):
        found = (await client.get("/v2")).json()
        assert (found["name"], found["version"], found["apiVersion"]) == ("ingress", __version__, "v2")
        assert "openapi" not in found  # all that it answers is others'
        assert [one["name"] for one in found["services"]] == names
        for one in found["services"]:
            described = await client.get(one["openapi"])
            assert described.json()["info"]["title"] == f"EMCO {one['name']}"
        for nobody in ("/v2/openapi/", "/v2/openapi/nobody", "/v2/openapi"):
            assert (await client.get(nobody)).status_code == 404
    for name in names:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{emco.port(name)}") as service:
            own = (await service.get("/v2")).json()
            assert (own["name"], own["version"], own["services"]) == (name, __version__, [])
            assert (await service.get(own["openapi"])).json()["paths"]["/v2"]["get"]["summary"]
    assert 'route="/v2/openapi/*"' in (await front.get("/metrics")).text


async def test_an_answer_is_the_same_with_the_ingress_and_without(front: httpx.AsyncClient, emco: RunningSuite) -> None:
    own = {"date", "x-request-id"}
    for method, path in (
        ("GET", "/v2/projects"),
        ("GET", "/v2/projects/none"),
        ("PATCH", "/v2/projects"),
        ("POST", "/v2/projects"),
    ):
        through, direct = await front.request(method, path), await emco.client.request(method, path)
        assert (through.status_code, through.content) == (direct.status_code, direct.content)
        kept = [{n: v for n, v in answer.headers.items() if n not in own} for answer in (through, direct)]
        assert kept[0] == kept[1]
        assert len(through.headers.get_list("x-request-id")) == 1


async def test_a_path_of_no_service_is_not_found_here(front: httpx.AsyncClient) -> None:
    answer = await front.get("/v2/dtc-controllers")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert (await front.get("/readyz")).json() == {"status": "ok", "checks": {}}
    assert 'route="/v2/projects/**"' in (await front.get("/v2/projects")).text + (await front.get("/metrics")).text


async def test_the_request_id_goes_all_the_way(front: httpx.AsyncClient) -> None:
    answer = await front.get(
        "/v2/projects/none", headers={"X-Request-Id": "tell-me", "Accept": "application/problem+json"}
    )
    assert answer.headers["x-request-id"] == "tell-me"
    assert answer.json()["instance"] == "tell-me"


async def test_a_service_that_is_away_is_named_and_the_others_go_on(emco: RunningSuite) -> None:
    (nobody,) = free_ports(1)
    async with ingress(upstreams_of(emco) | {"dcm": f"http://127.0.0.1:{nobody}"}) as front:
        answer = await front.get("/v2/projects/p/logical-clouds")
        assert answer.status_code == 503
        assert answer.text == "The service dcm cannot be reached\n"
        assert answer.headers["retry-after"] == "1"
        assert (await front.get("/v2/projects")).status_code == 200


class Behind:
    """A service that shows what reached it, and can be slow."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        seen = {
            "method": request.method,
            "target": f"{request.scope['raw_path'].decode()}?{request.scope['query_string'].decode()}",
            "headers": [[name.decode(), value.decode()] for name, value in request.headers.raw],
            "size": len(body),
        }
        headers = {"Set-Cookie": "a=1", "Connection": "keep-alive", "X-Own": "1"}
        return Response(json.dumps(seen), 207, headers, media_type="application/json")

    async def stream(self, _request: Request) -> Response:
        return StreamingResponse(self._pieces(), media_type="text/event-stream")

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            yield b"data: first\n\n"
            await self.go_on.wait()
            yield b"data: second\n\n"
        finally:
            self.ended.set()

    async def broken(self, _request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("this is meant to fail")

        return StreamingResponse(pieces(), headers={"Content-Length": "8"})


@pytest_asyncio.fixture(loop_scope="module")
async def behind() -> AsyncIterator[tuple[Behind, httpx.AsyncClient]]:
    made = Behind()
    app = Starlette(
        routes=[
            Route("/v2/controllers/stream", made.stream),
            Route("/v2/controllers/broken", made.broken),
            Route("/v2/{rest:path}", made.echo, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        ]
    )
    server = HttpServer(app, "127.0.0.1", 0, name="behind")
    await server.start()
    async with ingress({"orchestrator": f"http://127.0.0.1:{server.port}"}, max_upload=32 << 20) as front:
        yield made, front
    made.go_on.set()
    await server.stop()


async def test_path_and_query_arrive_as_they_were_sent(behind: tuple[Behind, httpx.AsyncClient]) -> None:
    _, front = behind
    answer = await front.get(
        httpx.URL(str(front.base_url)).copy_with(raw_path=b"/v2/projects/a%20b%7e/x;y=1?q=%2Fa+b&q=&r")
    )
    assert answer.json()["target"] == "/v2/projects/a%20b%7e/x;y=1?q=%2Fa+b&q=&r"
    assert answer.status_code == 207
    assert answer.headers["set-cookie"] == "a=1"


async def test_the_service_learns_from_a_trusted_proxy_who_asked_and_nothing_of_the_hop(
    behind: tuple[Behind, httpx.AsyncClient],
) -> None:
    _, front = behind
    given = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "Connection": "close, x-hop",
        "X-Hop": "1",
        "If-Match": '"t"',
    }
    answer = await front.get("/v2/projects", headers=given)
    seen: dict[str, str] = dict(answer.json()["headers"])
    assert seen["x-forwarded-for"] == "198.51.100.7"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["host"] == seen["x-forwarded-host"] == front.base_url.netloc.decode()
    assert seen["if-match"] == '"t"'
    assert "x-hop" not in seen


async def test_a_body_without_length_and_a_large_one_go_through(behind: tuple[Behind, httpx.AsyncClient]) -> None:
    _, front = behind

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield b"x" * (1 << 20)

    form_type = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await front.post("/v2/projects", content=pieces(), headers=form_type)
    assert answer.json()["size"] == 16 << 20
    assert (await front.post("/v2/projects", content=b"")).json()["size"] == 0
    assert (await front.post("/v2/projects", content=b"x" * (5 << 20))).status_code == 413
    assert (await front.post("/v2/projects", content=pieces())).status_code == 413


async def test_events_come_as_they_happen_and_end_with_their_reader(behind: tuple[Behind, httpx.AsyncClient]) -> None:
    service, front = behind
    async with asyncio.timeout(10):
        async with front.stream("GET", "/v2/controllers/stream") as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"data: first\n\n"
        await service.ended.wait()


async def test_half_an_answer_is_not_taken_for_a_whole_one(behind: tuple[Behind, httpx.AsyncClient]) -> None:
    _, front = behind
    with pytest.raises(httpx.RemoteProtocolError):
        await front.get("/v2/controllers/broken")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"EMCO_INGRESS_UPSTREAMS": "nobody=http://x:1"}, "'nobody' is none of"),
        ({"EMCO_INGRESS_UPSTREAMS": "clm=clm:9061"}, "is not http://host:port"),
        ({"EMCO_INGRESS_UPSTREAMS": "clm=http://clm:9061/v2"}, "is not http://host:port"),
        ({"EMCO_INGRESS_OIDC_ISSUER": "http://kc.example/realms/x"}, "must be an https URL"),
        ({"EMCO_INGRESS_OIDC_ALGORITHMS": "RS256,HS256"}, "HS256 is none of"),
        ({"EMCO_INGRESS_OIDC_ALGORITHMS": "none"}, "none is none of"),
    ],
)
async def test_settings_that_make_no_sense_stop_the_start(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        IngressSettings.load("ingress", environment)


async def test_several_services_and_issuers_are_named_with_commas() -> None:
    environment = {
        "EMCO_INGRESS_UPSTREAMS": "clm=http://a:1, gac=https://b",
        "EMCO_INGRESS_OIDC_ISSUER": "https://a/realms/x,https://b",
    }
    loaded = IngressSettings.load("ingress", environment)
    assert loaded.upstreams == {"clm": "http://a:1", "gac": "https://b"}
    assert loaded.oidc_issuer == ("https://a/realms/x", "https://b")
