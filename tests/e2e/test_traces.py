"""One request and all that it brings about is one trace, through the ingress, the services and the clusters."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from emco_common.access.routes import OWN
from emco_simcluster import Rule, SimCluster
from tests.support import shop as shopping
from tests.support.collector import Collector, Seen, ancestors, collecting
from tests.support.process import Command, EmcoProcess
from tests.support.program import free_ports
from tests.support.shop import GROUPS, Shop

pytestmark = pytest.mark.xdist_group("traces")  # they share one running suite
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
CANARY = "c4n4ry"
SECRET = f"""
---
apiVersion: v1
kind: Secret
metadata: {{name: "{{{{ .Release.Name }}}}-secret"}}
stringData: {{password: {CANARY}-of-a-chart}}
"""
TRACE, CALLER, REQUEST = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "asked:by/a.test@42"
B3 = {"X-B3-TraceId": TRACE, "X-B3-SpanId": CALLER, "X-B3-Sampled": "1", "X-Request-Id": REQUEST}
PATH = f"{GROUPS.replace('/p/', '/{project}/')}"


@dataclass
class Installation:
    suite: EmcoProcess
    front: Command
    url: str
    collector: Collector
    cluster: SimCluster

    def lines(self) -> list[dict[str, Any]]:
        output = self.suite.command.output + self.front.output
        return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def front_of(suite_ports: dict[str, int], port: int, folder: Path, environment: dict[str, str]) -> Command:
    upstreams = ",".join(f"{name}=http://127.0.0.1:{number}" for name, number in suite_ports.items())
    own = {"EMCO_INGRESS_HTTP_PORT": str(port), "EMCO_INGRESS_UPSTREAMS": upstreams}
    return Command("serve", "ingress", log=folder / "ingress.log", environment=own | environment)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emco(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    folder = tmp_path_factory.mktemp("traces")
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(collecting())
        cluster = await stack.enter_async_context(SimCluster("edge", ready_after=0.02))
        port, *rest = free_ports(1 + len(OWN))
        ports = dict(zip(OWN, rest, strict=True))
        environment = {
            "EMCO_TRACE_ENDPOINT": collector.url,
            "EMCO_TRACE_HEADERS": f"authorization=Bearer {CANARY}-of-a-collector",
            "EMCO_DATA_KEY": f"{CANARY}-of-the-data",
        }
        listening = {f"EMCO_{name.upper()}_HTTP_PORT": str(number) for name, number in ports.items()}
        suite = EmcoProcess(folder / "data", environment | listening)
        front = front_of(ports, port, folder, environment)
        stack.push_async_callback(suite.kill)
        stack.push_async_callback(front.end, signal.SIGKILL)
        await suite.start()
        await front.start()
        await front.says("ingress is up")
        yield Installation(suite, front, f"http://127.0.0.1:{port}", collector, cluster)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(emco: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spans(emco: Installation, client: httpx.AsyncClient) -> list[Seen]:
    """Those of one instantiate whose caller has begun the trace, as meshes and the original tell it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shopping, "CONFIG", shopping.CONFIG + SECRET)
        shop = Shop(client, rsync_port=emco.suite.rsync)
        await shop.onboard({"edge": emco.cluster.kubeconfig})
    colour = {"app": "config", "values": {"colour": f"{CANARY}-of-values"}}
    path = await shop.group("g", overrideValues=[colour])
    own = {"Authorization": f"Bearer {CANARY}-of-a-user"}
    answer = await client.post(f"{path}/instantiate", headers=B3 | own, params={"q": f"{CANARY}-of-a-query"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["x-request-id"] == REQUEST
    await shop.ready(path)
    await emco.collector.until(lambda _: _is_whole(emco.collector.of(TRACE)))
    return emco.collector.of(TRACE)


def _is_whole(spans: list[Seen]) -> bool:
    """Has either process sent its last?"""
    return any(span.name.startswith("deliver") for span in spans) and any(span.above == CALLER for span in spans)


@IN_ONE_LOOP
async def test_an_instantiate_is_one_tree_from_the_ingress_to_each_app_on_its_cluster(spans: list[Seen]) -> None:
    (root,) = [span for span in spans if span.above not in {other.id for other in spans}]
    assert (root.above, root.service, root.kind) == (CALLER, "ingress.default", 2)
    assert root.facts["http.response.status_code"] == 202
    assert root.facts["emco.request_id"] == REQUEST

    names = [(span.name, span.service) for span in spans]
    route = f"POST {GROUPS}".replace("/p/", "/{project}/")
    (asked,) = [span for span in spans if span.service == "emco.default" and span.name.startswith("POST ")]
    assert asked.name.endswith("/deployment-intent-groups/{deploymentIntentGroup}/instantiate"), route
    assert asked.facts["emco.deploymentIntentGroup"] == "g"
    assert ancestors(asked, spans) == ["to orchestrator", root.name]
    for name, above in {
        "helm render": ["render", asked.name],
        "store get_blob": ["render", asked.name],
        "bus transact": ["write", asked.name],
        "installapp/InstallApp": ["queue", asked.name],
    }.items():
        found = [ancestors(span, spans) for span in spans if span.name == name]
        assert any(above[0] in one and above[1] in one for one in found), (name, found, names)

    (delivered,) = [span for span in spans if span.name == "deliver Instantiate"]
    assert ancestors(delivered, spans)[:2] == ["installapp/InstallApp", "installapp/InstallApp"]  # server, client
    assert asked.name in ancestors(delivered, spans)
    assert (delivered.facts["emco.again"], delivered.facts["emco.request_id"]) == (False, REQUEST)
    places = {span.name: span for span in spans if "emco.cluster" in span.facts}
    assert set(places) == {"web on acme+edge", "config on acme+edge"}
    assert {span.above for span in places.values()} == {delivered.id}
    assert places["config on acme+edge"].facts["emco.objects.applied"] == 5
    assert places["config on acme+edge"].facts["emco.kube.calls"] >= 5
    assert not [span for span in spans if span.failed]


@IN_ONE_LOOP
async def test_the_id_of_the_request_is_in_the_lines_of_everybody_who_worked_for_it(
    emco: Installation, spans: list[Seen]
) -> None:
    own = [line for line in emco.lines() if line.get("request_id") == REQUEST]
    assert {"event_queued", "event_started", "event_finished", "request_answered"} <= {line["event"] for line in own}
    assert {line.get("trace_id") for line in own} == {TRACE}
    assert {line["span_id"] for line in own} <= {span.id for span in spans}
    answered = [line for line in own if line["event"] == "request_answered"]
    assert {(line["method"], line["status"], line["client"]) for line in answered} == {("POST", 202, "127.0.0.1")}
    begun = [line["request_id"] for line in emco.lines() if line["event"] == "event_started"]
    assert len(begun) == len(set(begun)) == 2, "that of the logical cloud is another"


@IN_ONE_LOOP
async def test_no_secret_is_in_any_span_or_line(emco: Installation, spans: list[Seen]) -> None:
    assert emco.collector.headers["authorization"] == f"Bearer {CANARY}-of-a-collector"
    assert b"deliver Instantiate" in emco.collector.bytes
    secrets = [CANARY, *_secrets_of(emco.cluster.kubeconfig)]
    for secret in secrets:
        assert secret.encode() not in emco.collector.bytes
        assert secret not in emco.suite.command.output
        assert secret not in emco.front.output


def _secrets_of(kubeconfig: str) -> list[str]:
    found = [part.split(":", 1)[1].strip() for part in kubeconfig.splitlines() if "token" in part or "-data" in part]
    return [text for text in found if len(text) > 8] or [kubeconfig]


@IN_ONE_LOOP
@pytest.mark.parametrize("given", ["x" * 129, "a b", 'x"y', "é", ""])
async def test_a_request_id_that_is_not_fit_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/v2/projects", headers={b"x-request-id": given.encode()})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


@IN_ONE_LOOP
async def test_what_was_cut_off_goes_on_in_the_same_trace(
    emco: Installation, client: httpx.AsyncClient, spans: list[Seen]
) -> None:
    trace = "1" * 32
    shop = Shop(client, rsync_port=emco.suite.rsync)
    path = await shop.group("h")
    before = emco.cluster.counts["apply", "configmaps"]
    emco.cluster.faults.add(Rule(verb="apply", status=503))
    headers = {"traceparent": f"00-{trace}-{CALLER}-01"}
    assert (await client.post(f"{path}/instantiate", headers=headers)).status_code == 202
    async with asyncio.timeout(60):
        while emco.cluster.counts["apply", "configmaps"] == before:  # noqa: ASYNC110 - done by another process
            await asyncio.sleep(0.05)
    await emco.suite.kill()
    emco.cluster.faults.clear()
    await emco.suite.start()
    await shop.ready(path)
    await emco.collector.until(lambda _: any(span.name.startswith("deliver") for span in emco.collector.of(trace)))
    (again,) = [span for span in emco.collector.of(trace) if span.name == "deliver Instantiate"]
    assert again.facts["emco.again"] is True
    assert (
        len([span for span in emco.collector.of(trace) if span.above == again.id and "emco.cluster" in span.facts]) == 2
    )


async def test_a_collector_that_is_away_changes_no_answer_and_no_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        suite = EmcoProcess(tmp_path / "data", {"EMCO_TRACE_ENDPOINT": endpoint})
        await suite.start()
        try:
            async with httpx.AsyncClient(base_url=suite.url, timeout=10) as client:
                for number in range(20):
                    body = {"metadata": {"name": f"p{number}"}}
                    assert (await client.post("/v2/projects", json=body)).status_code == 201
                assert len((await client.get("/v2/projects")).json()) == 20
        finally:
            assert await suite.stop() == 0
    assert suite.command.output.count("traces_left_behind") == 1


async def test_a_share_of_nothing_sends_nothing_but_what_a_caller_has_decided(tmp_path: Path) -> None:
    async with collecting() as collector:
        suite = EmcoProcess(tmp_path / "data", {"EMCO_TRACE_ENDPOINT": collector.url, "EMCO_TRACE_SAMPLE": "0"})
        await suite.start()
        try:
            async with httpx.AsyncClient(base_url=suite.url, timeout=10) as client:
                assert (await client.get("/v2/projects")).status_code == 200
                assert (await client.get("/v2/projects/none", headers={"b3": f"{TRACE}-{CALLER}-1"})).status_code == 404
        finally:
            assert await suite.stop() == 0
        assert {span.trace for span in collector.spans} == {TRACE}
        root = next(span for span in collector.spans if span.above == CALLER)
        assert (root.name, root.facts["http.response.status_code"], root.failed) == (
            "GET /v2/projects/{project}",
            404,
            False,
        )
