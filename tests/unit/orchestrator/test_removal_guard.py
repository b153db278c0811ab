"""A placement that has shrunk a lot is refused until somebody says that it is meant (robustness 49)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.errors import EmcoError
from emco_orchestrator.removalguard import LeavesTooMany, Placement, RemovalGuard, left_by

pytestmark = pytest.mark.robustness(49)


def on(count: int, *, first: int = 0) -> frozenset[str]:
    return frozenset(f"acme+e{number:02}" for number in range(first, first + count))


def refusal(before: Placement, after: Placement, *, share: float = 0.3, agreed: int | None = None) -> EmcoError | None:
    try:
        RemovalGuard(share).check(before, after, agreed=agreed, verb="update", name="g")
    except LeavesTooMany as error:
        return error
    return None


@pytest.mark.parametrize(
    ("before", "after", "share", "asks"),
    [
        pytest.param({"web": on(10)}, {"web": on(7)}, 0.3, False, id="as much as the share"),
        pytest.param({"web": on(10)}, {"web": on(6)}, 0.3, True, id="forty per cent"),
        pytest.param({"web": on(4)}, {"web": on(2)}, 0.3, False, id="half, which is two"),
        pytest.param({"web": on(3)}, {"web": on(0)}, 0.3, True, id="all three"),
        pytest.param({"web": on(10)}, {"web": on(0)}, 1, False, id="all, where the share is 1"),
        pytest.param({"web": on(10)}, {"web": on(7)}, 0, True, id="three, where the share is 0"),
        pytest.param({"web": on(5)}, {"web": on(5, first=5)}, 0.3, True, id="all others"),
        pytest.param({"web": on(5), "log": on(50)}, {"web": on(1), "log": on(50)}, 0.3, True, id="one app of two"),
        pytest.param({"web": on(9), "log": on(9)}, {"web": on(9)}, 0.3, False, id="an app that is no longer part"),
        pytest.param({"web": on(2), "log": on(9)}, {"web": on(2)}, 0.3, True, id="an app, and its clusters with it"),
        pytest.param({"web": on(3)}, {"web": on(9)}, 0, False, id="more clusters than before"),
    ],
)
def test_it_asks_for_many_clusters_of_a_deployment_or_of_one_of_its_apps(
    before: Placement, after: Placement, share: float, asks: bool
) -> None:
    assert (refusal(before, after, share=share) is not None) is asks


def test_it_names_ten_of_them_and_the_number_to_agree_to() -> None:
    before, after = {"web": on(20)}, {"web": on(8)}
    refused = refusal(before, after)
    assert refused is not None
    assert str(refused) == (
        "update of g would leave 12 of 20 clusters: acme+e08, acme+e09, acme+e10, acme+e11, acme+e12, acme+e13, "
        "acme+e14, acme+e15, acme+e16, acme+e17 and 2 more. If that is meant, ask for it with removeClusters=12"
    )
    assert "EMCO_ORCHESTRATOR_REMOVAL_GUARD" in (refused.detail or "")
    assert "leave 12 of 20 clusters, not 11: " in str(refusal(before, after, agreed=11))
    assert refusal(before, after, agreed=12) is None


_placements = st.dictionaries(
    st.sampled_from(["web", "log", "db"]), st.frozensets(st.integers(0, 30).map(str), max_size=20), max_size=3
)


@given(_placements, _placements, st.floats(0, 1))
def test_the_number_that_it_names_is_the_one_it_takes(before: Placement, after: Placement, share: float) -> None:
    count = len(left_by(before, after))
    assert refusal(before, after, share=share, agreed=count) is None
    if refusal(before, after, share=share) is not None:
        assert count >= 3
        assert refusal(before, after, share=share, agreed=count + 1) is not None
