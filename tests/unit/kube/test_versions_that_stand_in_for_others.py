"""Which versions of a group stand in for one that is not served any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import Kind, errors
from emco_common.kube.versions import successors
from tests.unit.kube.servers import scripted_cluster

ANY = st.from_regex(r"v[1-9](?:(?:alpha|beta)[1-9])?|[a-z0-9]{1,5}", fullmatch=True)
BUDGETS = {
    "kind": "APIResourceList",
    "resources": [{"name": "poddisruptionbudgets", "kind": "PodDisruptionBudget", "namespaced": True}],
}
OLD = Kind("policy/v1beta1", "PodDisruptionBudget")


def test_the_most_mature_of_the_later_ones_comes_first() -> None:
    assert successors("v1beta1", ["v1beta2", "v2", "v1", "v1alpha1", "v1beta1"]) == ["v2", "v1", "v1beta2"]


@pytest.mark.parametrize(("version", "offered"), [("v1", "v1beta1"), ("v2", "v1"), ("v1", "v1"), ("v1", "latest")])
def test_what_is_earlier_or_of_no_order_does_not_stand_in(version: str, offered: str) -> None:
    assert successors(version, [offered]) == []


@given(ANY, st.lists(ANY))
def test_a_stand_in_is_offered_and_never_the_other_way_round(version: str, offered: list[str]) -> None:
    for other in successors(version, offered):
        assert other in offered
        assert version not in successors(other, [version])


async def test_a_kind_of_a_removed_version_is_found_under_the_one_that_is_served() -> None:
    async with scripted_cluster() as (script, client):
        script.json("/apis/policy", {"kind": "APIGroup", "name": "policy", "versions": [{"version": "v1"}]})
        script.json("/apis/policy/v1", BUDGETS)
        found = await client.resource(OLD)
        assert found.path(namespace="n", name="x") == "/apis/policy/v1/namespaces/n/poddisruptionbudgets/x"
        await client.resource(OLD)
        assert script.seen.count("GET /apis/policy") == 1


async def test_a_group_without_a_later_version_of_the_kind_does_not_serve_it() -> None:
    async with scripted_cluster() as (script, client):
        endless = [{"version": f"v{n}"} for n in range(1, 1000)] + [{"version": 7}, "v2"]
        script.json("/apis/policy", {"kind": "APIGroup", "name": "policy", "versions": endless})
        with pytest.raises(errors.UnknownKind, match="policy/v1beta1"):
            await client.resource(OLD)
        assert len(script.seen) < 20
