"""JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_simcluster.patch import MergeKeyMissing, PatchError, json_patch, merge_patch, strategic_merge
from emco_simcluster.shapes import SET, map_list, struct

Json = dict[str, Any]

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab~/", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~f"]), VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value


@given(OBJECTS, OBJECTS)
def test_a_json_patch_made_by_another_library_leads_from_one_document_to_the_other(old: Json, new: Json) -> None:
    patch = jsonpatch.make_patch(old, new).patch
    before = copy.deepcopy(old)
    assert json_patch(old, patch) == new
    assert old == before


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "/none"}],
        [{"op": "replace", "path": "/none", "value": 1}],
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "add", "path": "/list/7", "value": 1}],
        [{"op": "add", "path": "/list/-1", "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "fly", "path": "/a"}],
        [{"op": "add", "path": "/a/b", "value": 1}],
        [3],
        {"op": "add"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operations: Any) -> None:
    with pytest.raises(PatchError):
        json_patch({"a": 1, "list": [1, 2]}, operations)


def test_json_patch_appends_moves_and_copies() -> None:
    operations = [
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "move", "from": "/a", "path": "/b"},
        {"op": "copy", "from": "/list", "path": "/c"},
    ]
    assert json_patch({"a": 1, "list": [1, 2]}, operations) == {"b": 1, "list": [1, 2, 3], "c": [1, 2, 3]}


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_a_merge_patch_once(target: Json, patch: Json) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(OBJECTS)
def test_a_merge_patch_on_nothing_is_the_patch_without_nulls(patch: Json) -> None:
    assert merge_patch({}, patch) == without_nulls(patch)


SHAPE = struct(
    containers=map_list("name", item=struct(env=map_list("name"))), finalizers=SET, ports=map_list("port", "protocol")
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}),
        ({"a": {"x": 1}, "b": 1}, {"a": None}, {"b": 1}),
        ({"list": [1, 2]}, {"list": [3]}, {"list": [3]}),
        (
            {"containers": [{"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]}, {"name": "b"}]},
            {"containers": [{"name": "a", "env": [{"name": "F", "value": "2"}]}, {"name": "c"}]},
            {
                "containers": [
                    {"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]},
                    {"name": "b"},
                    {"name": "c"},
                ]
            },
        ),
        (
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}]},
        ),
        (
            {"containers": [{"name": "a"}]},
            {"containers": [{"$patch": "replace"}, {"name": "z"}]},
            {"containers": [{"name": "z"}]},
        ),
        (
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            {"containers": [{"name": "b"}, {"name": "a"}]},
        ),
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
        ),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
    ],
    ids=[
        "maps merge",
        "a map is replaced on request",
        "null removes",
        "other lists are replaced",
        "keyed lists merge, also inside each other",
        "an element is deleted",
        "a keyed list is replaced on request",
        "elements are put in order",
        "only the retained keys stay",
        "sets grow",
        "values leave a set",
    ],
)
def test_strategic_merge(target: Json, patch: Json, result: Json) -> None:
    before = copy.deepcopy(target)
    assert strategic_merge(target, patch, SHAPE) == result
    assert target == before


def test_an_element_without_its_key_is_refused() -> None:
    with pytest.raises(MergeKeyMissing, match="does not contain declared merge key: name"):
        strategic_merge({}, {"containers": [{"image": "x"}]}, SHAPE)


def test_an_unknown_directive_is_refused() -> None:
    with pytest.raises(PatchError, match="unrecognized type of patch directive: fly"):
        strategic_merge({}, {"a": {"$patch": "fly"}}, SHAPE)
