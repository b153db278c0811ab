"""Disputed fields, in the words of a real API server: whose they are, and an object without them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emco_common.kube.errors import Cause, FieldConflict
from emco_rsync.apply.conflicts import Disputed, Looked, decide, disputed, locate, looked_at, without
from emco_rsync.watch.drift import Change, LeaveAlone

DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "d", "labels": {"app": "x", "app.kubernetes.io/name": "y", "app.kubernetes.io": "z"}},
    "spec": {
        "replicas": 1,
        "template": {
            "metadata": {"annotations": {'odd[key="1"].name': "v"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}, {"containerPort": 81}]},
                    {"name": "side", "image": "envoy", "resources": {"limits": {"cpu": "1"}}},
                ]
            },
        },
    },
}


def conflict(*causes: tuple[str, str]) -> FieldConflict:
    return FieldConflict("no", causes=tuple(Cause("FieldManagerConflict", field, text) for text, field in causes))


def test_the_server_says_whose_a_field_is_and_how_it_was_set() -> None:
    found = disputed(
        conflict(
            ('conflict with "kubectl" with subresource "scale" using apps/v1', ".spec.replicas"),
            ('conflict with "kubectl-edit" using apps/v1', '.spec.template.spec.containers[name="web"].image'),
            ("something else", ".spec.x"),
        )
    )
    assert found == (
        Disputed(".spec.replicas", "kubectl", "scale"),
        Disputed('.spec.template.spec.containers[name="web"].image', "kubectl-edit"),
        Disputed(".spec.x", ""),
    )
    assert str(found[1]) == "spec.template.spec.containers[name=web].image (kubectl-edit)"


def test_what_autoscalers_injectors_and_the_object_itself_speak_for_is_left() -> None:
    scaled = Disputed(".spec.replicas", "kubectl", "scale")
    injected = Disputed(".metadata.annotations.inject", "istio-sidecar-injector")
    given_free = Disputed('.spec.template.spec.containers[name="web"].image', "keel")
    edited = Disputed(".spec.paused", "kubectl-edit")
    decision = decide(
        [scaled, injected, given_free, edited],
        leave_alone=LeaveAlone(),
        ignored=["spec.template.spec.containers"],
    )
    assert decision.left == (scaled, injected, given_free)
    assert decision.contested == (edited,)


def test_a_field_of_two_owners_is_left_if_one_of_them_is() -> None:
    both = [Disputed(".spec.replicas", "kubectl-edit"), Disputed(".spec.replicas", "kubectl", "scale")]
    assert decide(both, leave_alone=LeaveAlone(), ignored=[]).contested == ()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (".spec.replicas", ("spec", "replicas")),
        (".metadata.labels.app.kubernetes.io/name", ("metadata", "labels", "app.kubernetes.io/name")),
        (".metadata.labels.app", ("metadata", "labels", "app")),
        (
            '.spec.template.metadata.annotations.odd[key="1"].name',
            ("spec", "template", "metadata", "annotations", 'odd[key="1"].name'),
        ),
        (
            '.spec.template.spec.containers[name="side"].image',
            ("spec", "template", "spec", "containers", 1, "image"),
        ),
        (
            '.spec.template.spec.containers[name="web"].ports[containerPort=81,protocol="TCP"]',
            ("spec", "template", "spec", "containers", 0, "ports", 1),
        ),
        (".spec.template.spec.containers[1].image", ("spec", "template", "spec", "containers", 1, "image")),
        (".spec.none", None),
        ('.spec.template.spec.containers[name="other"].image', None),
        (".spec.template.spec.containers[name=", None),
        (".metadata.labels.app.kubernetes", None),
    ],
)
def test_a_path_means_a_field_beside_its_object(path: str, place: tuple[str | int, ...] | None) -> None:
    assert locate(DEPLOYMENT, path) == place


def test_an_item_of_a_set_is_found_by_its_value() -> None:
    assert locate({"metadata": {"finalizers": ["a/b", "c/d"]}}, '.metadata.finalizers[="c/d"]') == (
        "metadata",
        "finalizers",
        1,
    )


def test_fields_are_left_out_with_what_becomes_empty_and_the_object_stays() -> None:
    before = copy.deepcopy(DEPLOYMENT)
    containers = ".spec.template.spec.containers"
    kept, unknown = without(
        DEPLOYMENT,
        [".spec.replicas", f'{containers}[name="side"].resources.limits.cpu', f'{containers}[name="web"]', ".nowhere"],
    )
    assert before == DEPLOYMENT
    assert unknown == (".nowhere",)
    assert "replicas" not in kept["spec"]
    assert kept["spec"]["template"]["spec"]["containers"] == [{"name": "side", "image": "envoy"}]


_VALUES = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b", "c/d"]), inner, min_size=1)
)
_OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), _VALUES, min_size=1)


@settings(deadline=None)
@given(_OBJECTS, st.text(max_size=20))
def test_any_text_is_a_path_or_none(obj: dict[str, Any], text: str) -> None:
    place = locate(obj, text)
    if place is not None:
        assert "".join(f".{step}" for step in place) == text


def live(*managers: dict[str, Any], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7", "managedFields": list(managers), "annotations": annotations or {}}}


def test_what_was_seen_decides_whether_the_server_has_to_be_asked_for_the_disputed_fields() -> None:
    changes = (Change("data.a", "kubectl-edit"), Change("data.b"))
    editor: dict[str, Any] = {"manager": "kubectl-edit", "fieldsV1": {"f:data": {"f:a": {}}}}
    scaler = {"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    assert looked_at(live(editor), changes, LeaveAlone()) == Looked("7", (Disputed("data.a", "kubectl-edit"),))
    assert looked_at(live(editor, scaler), changes, LeaveAlone()) is None
    assert looked_at(live(editor, annotations={"emco/ignore-fields": "data.a"}), changes, LeaveAlone()) is None
    assert looked_at({"metadata": {"managedFields": [editor]}}, changes, LeaveAlone()) is None
