"""What the chart's values say of traces is what every service understands."""

from __future__ import annotations

from typing import Any

import pytest

from emco_common.settings import Settings
from tests.support.helm import pods, refusal, rendered

SERVICES = {"clm", "dcm", "ingress", "ncm", "orchestrator", "rsync"}


def told(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The environment of each service; what comes from a secret as what it refers to."""
    return {
        name.removeprefix("emco-"): {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
        for name, pod in pods(rendered(values=values))
        for container in pod["spec"]["containers"]
        if name.removeprefix("emco-") in SERVICES
    }


def settings(name: str, environment: dict[str, Any]) -> Settings:
    return Settings.load(name, {key: value for key, value in environment.items() if isinstance(value, str)})


@pytest.mark.parametrize(
    ("values", "endpoint", "zipkin", "sample"),
    [
        ({"tracing": {"endpoint": "http://collector:4318", "sample": 0.25}}, "http://collector:4318", "", 0.25),
        ({"global": {"zipkinIp": "zipkin"}}, "", "http://zipkin:9411/api/v2/spans", 1.0),
        ({"global": {"zipkinIp": "z", "zipkinPort": "9000"}}, "", "http://z:9000/api/v2/spans", 1.0),
        ({"tracing": {"endpoint": "http://c"}, "global": {"zipkinIp": "z"}}, "http://c", "", 1.0),
    ],
)
def test_every_service_sends_its_traces_under_its_name(
    values: dict[str, Any], endpoint: str, zipkin: str, sample: float
) -> None:
    found = told(values)
    assert found.keys() == SERVICES
    for name, environment in found.items():
        loaded = settings(name, environment)
        assert (loaded.trace_endpoint, loaded.zipkin_endpoint) == (endpoint, zipkin)
        assert (loaded.trace_sample, loaded.trace_service) == (sample, f"{name}.emco")


def test_a_token_for_the_collector_comes_from_a_secret() -> None:
    for environment in told({"tracing": {"endpoint": "https://c", "headersSecret": "traces"}}).values():
        assert environment["EMCO_TRACE_HEADERS"] == {"secretKeyRef": {"name": "traces", "key": "headers"}}


def test_as_supplied_nothing_is_sent() -> None:
    for name, environment in told({}).items():
        loaded = settings(name, environment)
        assert (loaded.trace_endpoint, loaded.zipkin_endpoint) == ("", "")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tracing": {"endpoint": "collector:4318"}}, "/tracing/endpoint"),
        ({"tracing": {"sample": 2}}, "/tracing/sample"),
        ({"tracing": {"sampling": 1}}, "/tracing"),
        ({"global": {"zipkinIp": "http://z"}}, "/global/zipkinIp"),
        ({"global": {"zipkinPort": 0}}, "/global/zipkinPort"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], place: str) -> None:
    assert place in refusal(values=values)
