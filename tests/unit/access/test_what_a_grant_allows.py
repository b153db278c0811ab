"""Roles as pure rules: every operation of every service, for everybody there can be."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.access.patterns import segments_of
from emco_common.access.roles import claimed, grants_of_projects, is_allowed, rules_of
from tests.support.access import EVERYBODY, expected
from tests.support.routes import Operation, operations

CLUSTER = "/v2/cluster-providers/p/clusters/c"


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    return asyncio.run(operations(str(tmp_path_factory.mktemp("store"))))


def allowed(grants: tuple[str, ...], method: str, path: str, accept: str = "") -> bool:
    return is_allowed(grants, method, segments_of(path), accept=accept)


@pytest.mark.parametrize("grants", EVERYBODY, ids=lambda grants: "+".join(grants) or "nobody")
def test_every_operation_for(grants: tuple[str, ...], every: list[Operation]) -> None:
    for one in every:
        for project in ("alpha", "beta"):
            path = one.path(project=project)
            assert allowed(grants, one.method, path) == expected(grants, one.method, path), (grants, str(one), project)


@pytest.mark.parametrize(
    "path",
    ["/v2/projects/alpha/../beta", "/v2/projects/alpha/%2e%2e/beta", "/v2/projects/alpha%2F..%2Fbeta", "/v2//projects"],
)
def test_a_path_that_can_be_read_in_two_ways_is_allowed_to_nobody(path: str) -> None:
    assert not allowed(("Admin", "alpha:User"), "GET", path)


def test_a_project_whose_name_begins_alike_is_another() -> None:
    assert not allowed(("alpha:User",), "GET", "/v2/projects/alpha2/composite-apps")
    assert not allowed(("alpha:User",), "GET", "/v2/projects/alpha2")


def test_a_user_reads_the_project_but_neither_changes_nor_deletes_it() -> None:
    assert allowed(("alpha:User",), "GET", "/v2/projects/alpha")
    assert not any(allowed(("alpha:User",), method, "/v2/projects/alpha") for method in ("PUT", "DELETE", "POST"))
    assert not allowed(("alpha:User",), "GET", "/v2/projects")


def test_who_may_only_look_gets_no_kubeconfig_of_a_cluster() -> None:
    assert allowed(("Viewer",), "GET", CLUSTER, "application/json")
    for accept in ("", "*/*", "application/octet-stream", "application/json, application/octet-stream"):
        assert not allowed(("Viewer",), "GET", CLUSTER, accept)
    assert allowed(("Viewer",), "GET", f"{CLUSTER}/labels")


@pytest.mark.parametrize(
    "grant", ["admin", "", ":User", "User", "a/b:User", "*:User", "..:User", "alpha:Admin", "a:b:User"]
)
def test_what_is_no_grant_gives_nothing(grant: str) -> None:
    assert rules_of(grant) == ()


@given(st.text(), st.sampled_from(["GET", "POST"]), st.text())
def test_no_text_but_the_two_opens_what_is_outside_projects(grant: str, method: str, path: str) -> None:
    if grant not in ("Admin", "Viewer"):
        assert not allowed((grant,), method, f"/v2/controllers/{path}")


def test_projects_that_cannot_be_named_so_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'a/\*'"):
        grants_of_projects(["alpha", "a/*"])
    assert grants_of_projects(["a", "a"]) == ("Admin", "Viewer", "a:User", "a:Viewer")


@pytest.mark.parametrize(
    ("claims", "where", "found"),
    [
        ({"role": "Admin"}, "role", ("Admin",)),
        ({"role": ["Viewer", 7, "a:User"]}, "role", ("Viewer", "a:User")),
        ({"resource_access": {"emco": {"roles": ["Admin"]}}}, "resource_access.emco.roles", ("Admin",)),
        ({"https://e.x/role": "Admin"}, "https://e.x/role", ("Admin",)),
        ({"role": {"Admin": True}}, "role", ()),
        ({}, "role", ()),
        ({"a": "b"}, "a.b", ()),
    ],
)
def test_grants_are_found_in_a_claim(claims: dict[str, object], where: str, found: tuple[str, ...]) -> None:
    assert claimed(claims, where) == found
