"""What a plan tells of an object that would change: every field, only those, and never a secret."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emco_rsync.plan.differences import MISSING, Difference, Step, differences

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2))
NAMED = st.dictionaries(st.sampled_from("xyz"), PLAIN, max_size=2)


def _lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.lists(st.tuples(st.sampled_from("abc"), NAMED), max_size=3, unique_by=lambda pair: pair[0])
    return st.one_of(
        st.lists(values, max_size=3), named.map(lambda pairs: [{"name": name, **rest} for name, rest in pairs])
    )


VALUES = st.recursive(
    PLAIN, lambda v: st.one_of(_lists(v), st.dictionaries(st.sampled_from("klm"), v, max_size=3)), max_leaves=8
)
OBJECTS = st.fixed_dictionaries({"spec": VALUES}, optional={"data": VALUES}).map(
    lambda parts: {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "n"}, **parts}
)


def _changed(obj: Any, one: Difference) -> Any:
    """The object with this difference made."""
    return _put(copy.deepcopy(obj), one.steps, one.after)


def _put(node: Any, steps: tuple[Step, ...], value: Any) -> Any:
    if not steps:
        return value if not _is_order(node, value) else sorted(node, key=lambda item: value.index(str(item["name"])))
    first, *rest = steps
    if isinstance(first, str):
        put = _put(node.get(first, MISSING), tuple(rest), value)
        return {**{k: v for k, v in node.items() if k != first}, **({} if put is MISSING else {first: put})}
    at = first if isinstance(first, int) else _place(node, first)
    put = _put(node[at] if at < len(node) else MISSING, tuple(rest), value)
    return [*node[:at], *([] if put is MISSING else [put]), *node[at + 1 :]]


def _place(node: list[Any], step: tuple[str, str]) -> int:
    return next((at for at, item in enumerate(node) if str(item[step[0]]) == step[1]), len(node))


def _is_order(node: Any, value: Any) -> bool:
    named = isinstance(node, list) and isinstance(value, list) and node
    return bool(
        named
        and all(isinstance(item, dict) and "name" in item for item in node)
        and {str(item["name"]) for item in node} == set(map(str, value))
        and all(isinstance(name, str) for name in value)
    )


def _sorted(node: Any) -> Any:
    """Where new items of a list of named ones stand is not told."""
    if isinstance(node, dict):
        return {name: _sorted(value) for name, value in node.items()}
    if isinstance(node, list):
        items = [_sorted(item) for item in node]
        named = items and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items)
        return sorted(items, key=lambda item: str(item["name"])) if named else items
    return node


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(obj: dict[str, Any]) -> None:
    assert differences(obj, copy.deepcopy(obj)) == ()


@given(OBJECTS, OBJECTS)
def test_what_is_told_makes_the_one_object_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    made = before
    for one in differences(before, after):
        made = _changed(made, one)
    assert json.dumps(_sorted(made), sort_keys=True) == json.dumps(_sorted(after), sort_keys=True)


@given(OBJECTS, OBJECTS)
def test_the_way_back_names_the_same_fields(before: dict[str, Any], after: dict[str, Any]) -> None:
    there = {one.path: (one.before, one.after) for one in differences(before, after)}
    back = {one.path: (one.after, one.before) for one in differences(after, before)}
    assert there == back


SECRETS = st.dictionaries(st.sampled_from(("a", "b", "c")), st.from_regex(r"\Asecret[0-9]{6}\Z"), max_size=3)


@given(SECRETS, SECRETS, st.sampled_from(["data", "stringData", "annotations"]))
def test_of_a_secret_is_told_that_it_changed_and_never_to_what(
    before: dict[str, str], after: dict[str, str], where: str
) -> None:
    def secret(values: dict[str, str]) -> dict[str, Any]:
        metadata = {"name": "s", **({"annotations": values} if where == "annotations" else {})}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            **({where: values} if where[0] != "a" else {}),
        }

    found = differences(secret(before), secret(after))
    assert bool(found) == (before != after)
    assert all(one.hidden for one in found)
    assert "secret" not in repr([(one.before, one.after) for one in found])


def test_what_only_the_server_writes_is_no_difference() -> None:
    before = {"metadata": {"name": "a", "generation": 1, "managedFields": [1]}, "status": {"ready": 1}}
    after = {"metadata": {"name": "a", "generation": 2, "resourceVersion": "9"}, "status": {}}
    assert differences(before, after) == ()


def test_items_of_a_list_are_known_by_their_name() -> None:
    def web(image: str, *more: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": n, "image": image if n == "web" else "x"} for n in (*more, "web")]}}

    (changed,) = differences(web("nginx:1", "log"), web("nginx:2", "log"))
    assert (changed.path, changed.before, changed.after) == ("spec.containers[name=web].image", "nginx:1", "nginx:2")
    (added,) = differences(web("nginx:1"), web("nginx:1", "log"))
    assert (added.path, added.before) == ("spec.containers[name=log]", MISSING)


def test_a_new_order_of_named_items_is_a_difference() -> None:
    (found,) = differences({"s": [{"name": "a"}, {"name": "b"}]}, {"s": [{"name": "b"}, {"name": "a"}]})
    assert (found.path, found.before, found.after) == ("s", ["a", "b"], ["b", "a"])


def test_one_and_true_are_not_the_same() -> None:
    assert [one.path for one in differences({"a": [{"b": 1}]}, {"a": [{"b": True}]})] == ["a[0].b"]


def test_what_kubectl_remembers_of_an_object_is_not_quoted() -> None:
    def noted(text: str) -> dict[str, Any]:
        return {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}}

    assert [one.hidden for one in differences(noted("a"), noted("b"))] == [True]
