"""Anchors to services, and to what stands on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_emcoctl.routing import RouteError, address, service_of

DIG = "projects/p/composite-apps/c/v1/deployment-intent-groups/d"
ROUTES = {
    "controllers": "orchestrator",
    "controllers/x": "orchestrator",
    "clm-controllers": "clm",
    "ncm-controllers": "ncm",
    "dtc-controllers": "dtc",
    "cluster-providers": "clm",
    "cluster-providers/p/clusters/c": "clm",
    "cluster-providers/p/clusters/c/labels": "clm",
    "cluster-providers/p/cluster-sync-objects": "clm",
    "cluster-providers/p/clusters/c/networks": "ncm",
    "cluster-providers/p/clusters/c/provider-networks/n": "ncm",
    "cluster-providers/p/clusters/c/apply": "ncm",
    "cluster-providers/p/clusters/c/update": "ncm",
    "cluster-providers/p/clusters/c/networks-rendered": "ncm",
    "cluster-providers/p/clusters/c/terminate": "ncm",
    "cluster-providers/p/clusters/c/stop": "ncm",
    "cluster-providers/p/clusters/c/status?type=rsync": "ncm",
    "cluster-providers/p/clusters/c/networks?x=1": "clm",
    "cluster-providers/p/ca-certs": "cacert",
    "cluster-providers/p/ca-certs/x/networks": "ncm",
    "cluster-providers/p/ca-certs/x/enrollment/instantiate": "cacert",
    "projects": "orchestrator",
    "projects/p/logical-clouds": "dcm",
    "projects/p/logical-clouds?x=1": "orchestrator",
    "projects/p/ca-certs/x": "cacert",
    "projects/p/policy": "policy",
    "projects/p/composite-apps": "orchestrator",
    "policy/agents/a": "policy",
    DIG: "orchestrator",
    f"{DIG}/intents": "orchestrator",
    f"{DIG}/network-chains/n/links": "sfc",
    f"{DIG}/sfc-clients": "sfcclient",
    f"{DIG}/network-controller-intent": "ovnaction",
    f"{DIG}/traffic-group-intents": "dtc",
    f"{DIG}/generic-k8s-intents/g/resources": "gac",
    f"{DIG}/hpa-intents": "hpaplacement",
    f"{DIG}/temporal-workflow-intents/t/start": "workflowmgr",
    f"{DIG}/temporal-action-controller": "tac",
    f"{DIG}/policy-intents/i": "policy",
    f"{DIG}/policy-intents?x": "orchestrator",
}


@pytest.mark.parametrize(("anchor", "service"), ROUTES.items())
def test_an_anchor_leads_to_its_service(anchor: str, service: str) -> None:
    assert service_of(anchor) == service


@pytest.mark.parametrize(
    "anchor", ["", "/projects", "projects?x=1", "controllers?x=1", "Projects", "foo/bar", "projects2/p", "policy"]
)
def test_an_anchor_that_leads_nowhere_is_named(anchor: str) -> None:
    with pytest.raises(RouteError, match="anchor"):
        service_of(anchor)


def test_characters_that_a_url_cannot_hold_are_escaped_on_the_wire_only() -> None:
    found = address('projects/a b/čž/x%20y/"<>^|`{}')

    assert found.path == '/v2/projects/a b/čž/x%20y/"<>^|`{}'
    assert found.target == "/v2/projects/a%20b/%C4%8D%C5%BE/x%20y/%22%3C%3E%5E%7C%60%7B%7D"


@pytest.mark.parametrize("anchor", ["projects/%41/b", "projects//x", "projects/./a", "projects/../a", "projects/a+b@c"])
def test_what_is_already_a_path_is_left_as_it_is(anchor: str) -> None:
    assert address(anchor).target == f"/v2/{anchor}"


def test_a_query_is_kept_and_made_safe() -> None:
    assert address("projects/p/x/status?a=b c&d=č").target == "/v2/projects/p/x/status?a=b%20c&d=%C4%8D"


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_an_appended_name_is_always_one_segment(name: str) -> None:
    target = address("projects", names=(name,)).target

    assert target.count("/") == 3
    assert not set(target) & set(' ?#"<>')


@pytest.mark.parametrize("anchor", ["projects/a\nb", "projects/\x7f", "projects/%zz", "projects/%4", "projects/a%"])
def test_what_no_url_can_hold_is_refused(anchor: str) -> None:
    with pytest.raises(RouteError):
        address(anchor)


@pytest.mark.parametrize(
    ("anchor", "metadata_only"),
    [
        ("cluster-providers/p/clusters/c", True),
        ("projects/p/composite-apps/c/v1/apps/a", True),
        ("projects/p/composite-apps/c/v1/composite-profiles/cp/profiles/x?y=/z", True),
        ("projects/p", False),
        ("cluster-providers/p/clusters", False),
    ],
)
def test_uploads_are_read_as_metadata(anchor: str, *, metadata_only: bool) -> None:
    assert address(anchor).wants_metadata_only is metadata_only
