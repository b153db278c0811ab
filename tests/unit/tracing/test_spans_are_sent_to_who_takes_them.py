"""The one ``Tracing`` of a process and a real receiver."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from emco_common.settings import BadSettings, Settings
from emco_common.tracing.opening import tracing_of
from emco_common.tracing.spans import NOTHING, Kind, Tracing, counted, here, names_here, traced, within
from emco_common.tracing.wire import Caller
from tests.support.collector import Collector, collecting

CALLER = Caller(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as made:
        yield made


def settings(endpoint: str, **given: str) -> Settings:
    environment = {"EMCO_TRACE_ENDPOINT": endpoint} | {f"EMCO_{name.upper()}": text for name, text in given.items()}
    return Settings.load("orchestrator", environment | {"POD_NAMESPACE": "edge"})


def do(tracing: Tracing, caller: Caller | None = None) -> None:
    with within(tracing.begin("GET /x", Kind.SERVER, caller=caller, facts={"a": 1})):
        with traced("inner", {"b": "c"}):
            counted("seen", 2)
            counted("seen")
        with pytest.raises(ValueError, match="canary"), traced("broken"):
            raise ValueError("canary")


async def test_a_collector_gets_what_was_done_below_who_asked_for_it(collector: Collector) -> None:
    async with tracing_of(settings(collector.url, trace_headers="X-Tenant=t, Authorization=Bearer k")) as tracing:
        assert tracing is not None
        do(tracing, CALLER)

    spans = {span.name: span for span in collector.spans}
    assert {span.service for span in spans.values()} == {"orchestrator.edge"}
    assert {span.trace for span in spans.values()} == {f"{CALLER.trace_id:032x}"}
    assert spans["GET /x"].above == f"{CALLER.span_id:016x}"
    assert (spans["GET /x"].facts, spans["GET /x"].kind) == ({"a": 1}, 2)
    assert spans["inner"].above == spans["broken"].above == spans["GET /x"].id
    assert spans["inner"].facts == {"b": "c", "seen": 3}
    assert (spans["broken"].failed, spans["broken"].facts) == (True, {"error.type": "ValueError"})
    assert b"canary" not in collector.bytes
    assert (collector.headers["x-tenant"], collector.headers["authorization"]) == ("t", "Bearer k")


async def test_zipkin_gets_the_same_as_its_own_json(collector: Collector) -> None:
    host, _, port = collector.url.removeprefix("http://").partition(":")
    async with tracing_of(settings("", zipkin_ip=host, zipkin_port=port)) as tracing:
        assert tracing is not None
        do(tracing, CALLER)

    spans = {span["name"]: span for span in collector.zipkin}
    root = spans["GET /x"]
    assert (root["traceId"], root["parentId"]) == (f"{CALLER.trace_id:032x}", f"{CALLER.span_id:016x}")
    assert (root["kind"], root["tags"]) == ("SERVER", {"a": "1"})
    assert root["localEndpoint"] == {"serviceName": "orchestrator.edge"}
    assert spans["inner"]["parentId"] == root["id"]
    assert spans["inner"]["tags"] == {"b": "c", "seen": "3"}
    assert spans["broken"]["tags"]["error"] == "ValueError"
    assert root["duration"] >= 1


@pytest.mark.parametrize(
    ("share", "caller", "recorded"),
    [
        ("0", None, False),
        ("1", None, True),
        ("1", Caller(sampled=False), False),
        ("0", Caller(sampled=True), True),
        ("0", CALLER, True),
        ("1", Caller(CALLER.trace_id, CALLER.span_id, False), False),
        ("0", Caller(CALLER.trace_id, CALLER.span_id, None), False),
        ("1", Caller(CALLER.trace_id, CALLER.span_id, None), True),
    ],
)
async def test_the_caller_decides_and_else_the_share(
    collector: Collector, share: str, caller: Caller | None, recorded: bool
) -> None:
    async with tracing_of(settings(collector.url, trace_sample=share)) as tracing:
        assert tracing is not None
        with within(tracing.begin("x", Kind.SERVER, caller=caller)) as span:
            assert span.open is recorded
            assert (caller is None or not caller.trace_id) or span.caller.trace_id == caller.trace_id
            assert span.caller.sampled is recorded
            assert names_here()["trace_id"] == f"{span.caller.trace_id:032x}"
            with traced("inner"):
                pass

    assert bool(collector.spans) is recorded
    assert recorded or not collector.requests


def test_without_a_trace_nothing_is_made() -> None:
    with traced("x") as span:
        counted("y")
        assert span is here() is NOTHING
        assert names_here() == {}


async def test_one_that_is_away_is_told_of_once_and_so_is_its_return(collector: Collector) -> None:
    from emco_common.tracing.process import SdkTracing, Telling, open_tracing

    made = open_tracing(f"{collector.url}/api/v2/spans", service="x", sample=1, headers={})
    telling = made._exporter
    assert isinstance(telling, Telling)
    assert isinstance(made, SdkTracing)
    spans = _some_spans()
    import asyncio

    with capture_logs() as lines:
        for collector.answers in (503, 503, 200, 200, 503):
            await asyncio.to_thread(telling.export, spans)
    await made.close()
    told = [(line["event"], line.get("lost")) for line in lines]
    assert told == [("traces_not_taken", None), ("traces_taken_again", 2), ("traces_not_taken", None)]


def _some_spans() -> list[object]:
    from opentelemetry.sdk.trace import TracerProvider

    made = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("x")
    made.end()
    return [made]


async def test_one_that_never_answers_holds_up_neither_work_nor_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, capture_logs() as lines:
        async with tracing_of(settings(f"http://127.0.0.1:{silent.getsockname()[1]}")) as tracing:
            assert tracing is not None
            for _ in range(20_000):  # more than waits to be sent
                tracing.begin("x", Kind.SERVER).end()
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["traces_left_behind"]


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "http://me:pw@collector", "x y"])
def test_an_endpoint_that_is_none_is_refused_at_the_start(endpoint: str) -> None:
    with pytest.raises(BadSettings, match="setting trace_endpoint: .* is not http://host:port or https://host:port"):
        settings(endpoint)


def test_the_name_is_that_of_the_original_with_what_makes_sense_where_nothing_is_said() -> None:
    named = {"APP_NAME": "emco-orch", "POD_NAMESPACE": "emco"}
    assert Settings.load("orchestrator", named).trace_service == "emco-orch.emco"
    assert Settings.load("orchestrator", {"APP_NAME": ""}).trace_service == "orchestrator.default"
    assert Settings.load("orchestrator", named | {"EMCO_TRACE_SERVICE": "o"}).trace_service == "o"
