"""What a deployment intent group allows the resource synchronizer."""

import pytest

from emco_common.appcontext.model import DeliveryOptions
from emco_common.errors import EmcoError
from emco_common.resources.model import check
from emco_orchestrator.assembly import options_of
from emco_orchestrator.schemas import DeploymentIntentGroup

SPEC = {"compositeProfile": "p", "version": "r1", "logicalCloud": "lc"}


def group(**delivery: object) -> dict[str, object]:
    return {"metadata": {"name": "g"}, "spec": {**SPEC, "overrideValues": [], **delivery}}


def stored(**delivery: object) -> dict[str, object]:
    spec: dict[str, object] = check(DeploymentIntentGroup, group(**delivery)).as_body()["spec"]
    return spec


def test_a_group_that_asks_for_nothing_has_the_body_it_always_had() -> None:
    assert "delivery" not in stored()
    assert options_of(stored()) == DeliveryOptions()


def test_what_it_asks_for_is_kept_and_comes_to_the_context() -> None:
    said = stored(delivery={"heal": True, "replace": True, "readyTimeout": 90})
    assert said["delivery"] == {"heal": True, "replace": True, "readyTimeout": 90}
    assert options_of(said) == DeliveryOptions(heal=True, replace=True, ready_timeout=90.0)


def test_to_wait_for_ever_is_not_to_say_nothing() -> None:
    said = stored(delivery={"heal": False, "readyTimeout": 0})
    assert said["delivery"] == {"readyTimeout": 0}
    assert options_of(said).ready_timeout == 0.0
    assert options_of(stored(delivery={"heal": True})).ready_timeout is None


@pytest.mark.parametrize("delivery", [{"heal": "yes"}, {"readyTimeout": -1}, {"readyTimeout": 1.5}, []])
def test_nonsense_is_refused_by_the_name_of_the_field(delivery: object) -> None:
    with pytest.raises(EmcoError) as refused:
        check(DeploymentIntentGroup, group(delivery=delivery))
    assert "delivery" in f"{refused.value} {refused.value.detail}"
