"""Label and field selectors."""

from __future__ import annotations

from typing import Any

import pytest

from emco_simcluster.errors import ApiError
from emco_simcluster.selectors import both, field_predicate, label_predicate


def labelled(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "n", "namespace": "s", "labels": labels}}


@pytest.mark.parametrize(
    ("selector", "labels", "wanted"),
    [
        ("a=1", {"a": "1"}, True),
        ("a==1", {"a": "2"}, False),
        ("a!=1", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("! a", {}, True),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a in (1,2)", {}, False),
        ("a notin (1,2)", {}, True),
        ("a notin (1,2)", {"a": "1"}, False),
        ("a=1,b=2", {"a": "1", "b": "2"}, True),
        ("a=1,b in (2,3),!c", {"a": "1", "b": "3", "c": "x"}, False),
        ("app.kubernetes.io/name=web", {"app.kubernetes.io/name": "web"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], wanted: bool) -> None:
    predicate = label_predicate(selector)
    assert predicate is not None
    assert predicate(labelled(**labels)) is wanted


@pytest.mark.parametrize("selector", ["a in", "a=b=c", "-a", "a=b c", "a in (b", "=", "a b"])
def test_malformed_label_selectors_are_a_400(selector: str) -> None:
    with pytest.raises(ApiError) as caught:
        label_predicate(selector)
    assert caught.value.code == 400


def test_no_selector_selects_everything() -> None:
    assert label_predicate("") is None
    assert field_predicate("", plural="pods") is None
    assert both(None, None) is None


def test_field_selectors_know_the_fields_of_their_kind() -> None:
    pod = {"metadata": {"name": "n"}, "status": {"phase": "Running"}, "spec": {"hostNetwork": True}}
    running = field_predicate("status.phase=Running,metadata.name!=x", plural="pods")
    assert running is not None
    assert running(pod)
    host = field_predicate("spec.hostNetwork=true", plural="pods")
    assert host is not None
    assert host(pod)
    for plural in ("pods", "configmaps"):
        with pytest.raises(ApiError):
            field_predicate("spec.unknown=1", plural=plural)
