"""What the owners of an object's fields tell about who changed what of it since it was applied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emco_rsync.watch import drift
from emco_rsync.watch.drift import Change, LeaveAlone, describe, differs, digest_of, ownership_changes

LEAVE = LeaveAlone()
Tree = dict[str, Any]


def entry(manager: str, *paths: str, subresource: str = "", operation: str = "Update", when: str = "1") -> Tree:
    """An entry of ``managedFields``; a path's elements are separated by blanks."""
    fields: Tree = {}
    for path in paths:
        node = fields
        for element in path.split():
            node = node.setdefault(element, {})
    return {"manager": manager, "operation": operation, "time": when, "fieldsV1": fields} | (
        {"subresource": subresource} if subresource else {}
    )


def ours(*paths: str, operation: str = "Apply") -> Tree:
    return entry("emco-rsync", *paths, operation=operation)


def live(*entries: Tree, annotations: Tree | None = None) -> Tree:
    return {"metadata": {"name": "x", "managedFields": list(entries), "annotations": annotations or {}}}


REPLICAS, COLOUR, LABEL = "f:spec f:replicas", "f:data f:colour", "f:metadata f:labels f:emco/deployment-id"
IMAGE = 'f:spec f:template f:spec f:containers k:{"name":"web"} f:image'
APPLIED = live(ours(REPLICAS, COLOUR, LABEL, IMAGE))


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (live(ours(COLOUR, LABEL, IMAGE), entry("kubectl-edit", REPLICAS)), "spec.replicas changed by kubectl-edit"),
        (live(ours(REPLICAS, LABEL, IMAGE), entry("kubectl-patch", COLOUR)), "data.colour changed by kubectl-patch"),
        (
            live(ours(REPLICAS, COLOUR, LABEL), entry("argo", IMAGE)),
            "spec.template.spec.containers[name=web].image changed by argo",
        ),
        (live(ours(REPLICAS, LABEL, IMAGE)), "a field removed"),
        (live(ours(LABEL, IMAGE)), "2 fields removed"),
        (live(ours(COLOUR, LABEL, IMAGE), entry("kcm", REPLICAS, subresource="scale")), ""),
        (live(ours(COLOUR, LABEL, IMAGE), entry("kube-controller-manager", REPLICAS)), ""),
        (live(ours(REPLICAS, COLOUR, LABEL), entry("istio-sidecar-injector", IMAGE)), ""),
        (live(ours(COLOUR, LABEL, IMAGE), entry("ops", REPLICAS), annotations={drift.IGNORE_ANNOTATION: "spec"}), ""),
        (live(ours(REPLICAS, COLOUR, LABEL, IMAGE), entry("kubectl-label", "f:metadata f:labels f:team")), ""),
        (live(ours(REPLICAS, COLOUR, LABEL, IMAGE), entry("kubelet", "f:status f:phase", subresource="status")), ""),
        (live(ours(REPLICAS, COLOUR, LABEL, IMAGE, "f:spec f:paused")), ""),
    ],
)
def test_who_took_a_field_is_told_and_who_may_is_left_alone(now: Tree, text: str) -> None:
    assert describe(ownership_changes(now, digest_of(APPLIED), leave_alone=LEAVE)) == text


def test_what_was_removed_is_named_by_what_was_applied() -> None:
    manifest = {
        "data": {"colour": "red"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "a"}]}}},
    }
    now = live(ours(REPLICAS, LABEL))
    changes = ownership_changes(now, digest_of(APPLIED), leave_alone=LEAVE, manifest=manifest)
    assert describe(changes) == "data.colour removed; spec.template.spec.containers[name=web].image removed"


def test_an_item_that_was_removed_is_named_once() -> None:
    item = 'f:spec f:ports k:{"port":80,"protocol":"TCP"}'
    applied = live(ours(f"{item} .", f"{item} f:port", f"{item} f:targetPort"))
    manifest = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    changes = ownership_changes(live(ours(LABEL)), digest_of(applied), leave_alone=LEAVE, manifest=manifest)
    assert describe(changes) == "spec.ports[port=80,protocol=TCP] removed"


def test_a_removal_beside_what_is_left_alone_is_seen() -> None:
    now = live(ours(LABEL, IMAGE), entry("kube-controller-manager", REPLICAS))
    assert describe(ownership_changes(now, digest_of(APPLIED), leave_alone=LEAVE)) == "a field removed"


def test_what_was_created_and_what_was_applied_by_us_is_ours_alike() -> None:
    created = live(ours(REPLICAS, operation="Update"), ours(REPLICAS, COLOUR))
    assert digest_of(created) == digest_of(live(ours(COLOUR, REPLICAS)))


@pytest.mark.parametrize("recorded", ["", "v2:whatever", "nonsense"])
@pytest.mark.robustness(65)
def test_a_digest_by_other_rules_says_nothing(recorded: str) -> None:
    assert not differs(recorded, digest_of(APPLIED))
    assert ownership_changes(APPLIED, recorded, leave_alone=LEAVE) == ()


def test_a_huge_object_has_a_short_digest_that_still_tells_of_a_change() -> None:
    many = [f"f:data f:k{n}" for n in range(3000)]
    recorded = digest_of(live(ours(*many)))
    assert len(recorded) < 64
    assert not differs(recorded, digest_of(live(ours(*reversed(many)))))
    now = live(ours(*many[1:]), entry("kubectl-edit", many[0]))
    assert describe(ownership_changes(now, recorded, leave_alone=LEAVE)) == "its fields changed by kubectl-edit"


@pytest.mark.robustness(27)
@pytest.mark.parametrize(
    "fields", ["text", 7, None, [], {"f:spec": 3}, {"f:spec": {"k:nonsense": {}}}, {"": {"": {}}}, {"f:\x1b[31m": {}}]
)
def test_nonsense_of_a_hostile_server_is_borne(fields: object) -> None:
    strange = {"metadata": {"managedFields": [7, {"manager": "emco-rsync", "fieldsV1": fields}, {"manager": 5}]}}
    text = describe(ownership_changes(strange, digest_of(APPLIED), leave_alone=LEAVE))
    assert text.isprintable()
    assert isinstance(digest_of(strange), str)


@pytest.mark.robustness(27)
def test_a_bottomless_set_of_fields_is_borne() -> None:
    deep: Tree = json.loads('{"f:a":' * 800 + "{}" + "}" * 800)
    assert digest_of({"metadata": {"managedFields": [{"manager": "emco-rsync", "fieldsV1": deep}]}})


_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
_leaf_sets = st.lists(st.lists(_names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=8, unique=True)


def tree(paths: list[tuple[str, ...]]) -> Tree:
    """The field set of these paths, whole items with a dot, as the server writes them."""
    fields: Tree = {}
    for path in paths:
        node = fields
        for element in path:
            node = node.setdefault(f"f:{element}", {})
        node["."] = {}
    return fields


def owned(paths: list[tuple[str, ...]], *others: Tree) -> Tree:
    return live({"manager": "emco-rsync", "operation": "Apply", "fieldsV1": tree(paths)}, *others)


@settings(deadline=None)
@given(_leaf_sets, st.randoms())
def test_the_same_fields_are_the_same_digest_in_whatever_order(paths: list[tuple[str, ...]], random: Any) -> None:
    shuffled = list(paths)
    random.shuffle(shuffled)
    assert digest_of(owned(paths)) == digest_of(owned(shuffled))
    assert ownership_changes(owned(shuffled), digest_of(owned(paths)), leave_alone=LEAVE) == ()


@settings(deadline=None)
@given(_leaf_sets, st.data())
def test_taking_any_one_of_our_fields_is_seen_with_its_taker(paths: list[tuple[str, ...]], data: st.DataObject) -> None:
    taken = data.draw(st.sampled_from(paths))
    taker = {"manager": "ops", "operation": "Update", "fieldsV1": tree([taken])}
    now = owned([path for path in paths if path != taken], taker)
    changes = ownership_changes(now, digest_of(owned(paths)), leave_alone=LEAVE)
    assert [change.manager for change in changes] == ["ops"]
    removed = ownership_changes(owned([p for p in paths if p != taken]), digest_of(owned(paths)), leave_alone=LEAVE)
    assert removed == (Change("a field"),)


@settings(deadline=None)
@given(_leaf_sets, _leaf_sets)
def test_what_others_have_besides_is_no_drift(paths: list[tuple[str, ...]], theirs: list[tuple[str, ...]]) -> None:
    other = {"manager": "ops", "operation": "Update", "fieldsV1": tree(theirs)}
    assert ownership_changes(owned(paths, other), digest_of(owned(paths)), leave_alone=LEAVE) == ()


def test_many_pieces_have_one_digest() -> None:
    assert drift.pieces(drift.joined(["v1:a", "", "v1:b"])) == ["v1:a", "", "v1:b"]
    assert drift.joined(["", ""]) == ""
