"""The one route table against the services' own descriptions, and against the published table."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_allinone.catalogue import CATALOGUE
from emco_common.access.patterns import Pattern, segments_of
from emco_common.access.routes import HTTP_PORTS, ROUTES, RouteTable, routes_to
from tests.support.routes import Operation, operations

GROUP = "/v2/projects/p/composite-apps/a/v1/deployment-intent-groups/g"
PUBLISHED = {
    "/v2/cluster-providers/p/ca-certs": "ca-certs",
    "/v2/cluster-providers/p/ca-certs/c/clusters": "ca-certs",
    "/v2/projects/p/ca-certs/c/logical-clouds/l": "ca-certs",
    "/v2/cluster-providers/p/clusters/c/networks": "ncm",
    "/v2/cluster-providers/p/clusters/c/provider-networks/n": "ncm",
    "/v2/cluster-providers/p/clusters/c/stop": "ncm",
    "/v2/cluster-providers/p/clusters/networks": "clm",
    "/v2/cluster-providers/p/clusters/c": "clm",
    "/v2/cluster-providers/p/cluster-sync-objects/o": "clm",
    "/v2/clm-controllers/c": "clm",
    "/v2/controllers": "orchestrator",
    "/v2/dtc-controllers": "dtc",
    f"{GROUP}/traffic-group-intents/t/inbound-intents": "dtc",
    "/v2/projects/p/logical-clouds": "dcm",
    f"{GROUP}/generic-k8s-intents/i/resources": "gac",
    f"{GROUP}/network-controller-intent": "ovnaction",
    f"{GROUP}/network-chains/c": "sfc",
    f"{GROUP}/sfc-clients": "sfcclient",
    f"{GROUP}/hpa-intents": "hpaplc",
    f"{GROUP}/temporal-workflow-intents": "workflowmgr",
    f"{GROUP}/temporal-action-controller": "tac",
    f"{GROUP}/policy-intents/i": "policy",
    "/v2/policy/agents/a": "policy",
    f"{GROUP}/migrate": "orchestrator",
    "/v2/projects/p/composite-apps/a/v1/apps/web/dependency/d": "orchestrator",
    "/v2/projects": "orchestrator",
    "/v2/projects/logical-clouds": "orchestrator",
}
NOBODY = ["/v2", "/v2/", "/v2/controllersx", "/v3/projects", "/", "/healthz", "/v2/ca-certs"]


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    return asyncio.run(operations(str(tmp_path_factory.mktemp("store"))))


def owner(path: str) -> str:
    segments = segments_of(path)
    assert segments is not None
    route = RouteTable().find(segments)
    return route.service if route else ""


def test_every_operation_of_every_service_leads_to_it(every: list[Operation]) -> None:
    assert len(every) > 150
    wrong = [f"{one} leads to {owner(one.path())!r}" for one in every if owner(one.path()) != one.service]
    assert not wrong


@pytest.mark.parametrize(("path", "service"), PUBLISHED.items(), ids=PUBLISHED)
def test_a_path_of_the_published_table_leads_to_its_service(path: str, service: str) -> None:
    assert owner(path) == service


@pytest.mark.parametrize("path", NOBODY)
def test_a_path_outside_the_table_is_nobodys(path: str) -> None:
    assert owner(path) == ""


def test_an_installation_without_a_service_leaves_its_paths_to_who_answers_404() -> None:
    table = RouteTable(routes_to(["clm", "orchestrator"]))
    found = table.find(("v2", "projects", "p", "logical-clouds"))
    assert found is not None
    assert found.service == "orchestrator"
    assert table.find(("v2", "dtc-controllers")) is None


def test_every_service_of_the_table_has_its_published_port() -> None:
    assert {route.service for route in ROUTES} == set(HTTP_PORTS)
    own = {entry.name: entry.settings.load(entry.name, {}, data_key="key").http_port for entry in CATALOGUE}
    assert {name: port for name, port in own.items() if name != "rsync"}.items() <= HTTP_PORTS.items()


WORDS = st.sampled_from(["v2", "projects", "alpha", "logical-clouds", "a.b", "axb", "kubeconfig", "", "networks"])
PATTERNS = st.sampled_from([route.pattern for route in ROUTES] + [Pattern("/v2/a.b/*"), Pattern("/**")])


@given(st.lists(WORDS, max_size=6), PATTERNS)
def test_a_pattern_and_its_regular_expression_match_the_same_paths(words: list[str], pattern: Pattern) -> None:
    path = "".join(f"/{word}" for word in words)
    segments = tuple(path.split("/")[1:])
    assert pattern.matches(segments) == (re.fullmatch(pattern.regex, path) is not None)


@pytest.mark.parametrize(
    "path",
    [
        "v2/x",
        "/v2//x",
        "/v2/a%2Fb",
        "/v2/a%2fb",
        "/v2/../x",
        "/v2/%2e%2e/x",
        "/v2/.",
        "/v2/a%5Cb",
        "/v2/%00",
        "/v2/%ff",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_read_in_none(path: str) -> None:
    assert segments_of(path) is None


def test_escapes_of_a_path_are_read(tmp_path: Path) -> None:
    assert segments_of("/v2/%70rojects/a%20b/") == ("v2", "projects", "a b", "")
