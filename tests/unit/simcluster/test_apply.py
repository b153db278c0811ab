"""Server-side apply as laws: what holds for every object, every pair of managers and every order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_simcluster import managers
from emco_simcluster.apply import Applier, ApplyConflict, apply
from emco_simcluster.fields import DuplicateElement, FieldSet, decode, difference, encode, owned_by
from emco_simcluster.managers import ownable
from emco_simcluster.shapes import ATOMIC, PLAIN, SET, Shape, map_list, struct

Json = dict[str, Any]

SHAPE = struct(
    metadata=PLAIN,
    data=PLAIN,
    items=map_list("name", item=struct(tags=SET, whole=ATOMIC)),
    whole=ATOMIC,
    tags=SET,
)
SCALARS = st.sampled_from(["", "a", "b", 2, 3, True])
NAMES = st.sampled_from(["x", "y", "z"])
FLAT = st.dictionaries(NAMES, SCALARS, max_size=3)
TAGS = st.lists(st.sampled_from(["t", "u", "v"]), unique=True, max_size=3)


def _items(values: Json) -> list[Json]:
    return [{"name": name, **rest} for name, rest in values.items()]


ITEM = st.fixed_dictionaries({}, optional={"value": SCALARS, "tags": TAGS, "whole": FLAT, "more": FLAT})
ITEMS = st.dictionaries(NAMES, ITEM, max_size=3).map(_items)
PARTS = st.fixed_dictionaries({}, optional={"data": FLAT, "items": ITEMS, "whole": FLAT, "tags": TAGS})
CONFIGS = PARTS.map(lambda parts: {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "n"}, **parts})
STEPS = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), CONFIGS), min_size=1, max_size=5)


def applier(name: str, *, force: bool = False, now: str = "2026-01-01T00:00:00Z") -> Applier:
    return Applier(name, "v1", now, force=force)


def forced(live: Json | None, name: str, config: Json, *, now: str = "2026-01-01T00:00:00Z") -> Json:
    return apply(live, config, SHAPE, applier=applier(name, force=True, now=now))


def after(steps: list[tuple[str, Json]]) -> Json:
    live: Json | None = None
    for name, config in steps:
        live = forced(live, name, config)
    assert live is not None
    return live


def owned(live: Json, name: str) -> FieldSet:
    return next((m.fields for m in managers.read(live) if m.name == name), frozenset())


@given(STEPS)
def test_applying_twice_changes_nothing_not_even_the_time(steps: list[tuple[str, Json]]) -> None:
    live = after(steps)
    name, config = steps[-1]
    assert forced(live, name, config, now="2030-01-01T00:00:00Z") == live


@given(STEPS)
def test_what_was_applied_last_is_there(steps: list[tuple[str, Json]]) -> None:
    live, (name, config) = after(steps), steps[-1]
    wanted = owned_by(ownable(config), SHAPE)
    assert owned(live, name) == wanted
    changed, _ = difference(ownable(live), ownable(forced(live, "witness", config)), SHAPE)
    assert not changed


@given(STEPS)
def test_a_field_one_owns_alone_goes_when_one_no_longer_names_it(steps: list[tuple[str, Json]]) -> None:
    live, name = after(steps), steps[-1][0]
    alone = owned(live, name) - frozenset().union(*(m.fields for m in managers.read(live) if m.name != name))
    left = forced(live, name, {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "n"}})
    remaining, _ = difference({}, ownable(left), SHAPE)
    others = frozenset().union(*(m.fields for m in managers.read(left)))
    held = {path[:length] for path in others for length in range(1, len(path) + 1)}
    keys = {path for path in alone if path[-1] == "f:name" and path[:-1] in held}
    assert not (alone & remaining) - held - keys
    assert name not in {m.name for m in managers.read(left)}


@given(STEPS)
def test_what_others_own_stays(steps: list[tuple[str, Json]]) -> None:
    live, name = after(steps), steps[-1][0]
    left = forced(live, name, {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "n"}})
    for manager in managers.read(live):
        if manager.name != name:
            assert manager.fields == owned(left, manager.name)
            changed, removed = difference(ownable(live), ownable(left), SHAPE)
            assert not manager.fields & (changed | removed)


@given(STEPS, CONFIGS)
def test_a_conflict_arises_exactly_where_another_owner_would_see_a_change(
    steps: list[tuple[str, Json]], config: Json
) -> None:
    live = after(steps)
    result = forced(live, "newcomer", config)
    changed, _ = difference(ownable(live), ownable(result), SHAPE)
    expected = {(m.name, path) for m in managers.read(live) for path in m.fields & changed}
    if expected:
        with pytest.raises(ApplyConflict) as caught:
            apply(live, config, SHAPE, applier=applier("newcomer"))
        assert {(c.holder.name, c.path) for c in caught.value.contested} == expected
    else:
        assert apply(live, config, SHAPE, applier=applier("newcomer")) == result


@given(STEPS)
def test_every_owned_field_exists_and_no_field_has_two_owners_of_different_minds(
    steps: list[tuple[str, Json]],
) -> None:
    live = after(steps)
    present, _ = difference({}, ownable(live), SHAPE)
    for manager in managers.read(live):
        assert manager.fields <= present


@given(CONFIGS)
def test_field_sets_survive_their_coding(config: Json) -> None:
    fields = owned_by(ownable(config), SHAPE)
    assert decode(encode(fields)) == fields
    assert decode(json.loads(json.dumps(encode(fields)))) == fields


@given(CONFIGS, CONFIGS)
def test_an_update_owns_what_it_changed_and_takes_it_from_the_applier(first: Json, second: Json) -> None:
    live = forced(None, "one", first)
    new = {**second, "metadata": live["metadata"]}
    result = managers.updated(
        live, new, SHAPE, manager="editor", api_version="v1", subresource="", now="2026-01-01T00:00:00Z"
    )
    changed, removed = difference(ownable(live), ownable(new), SHAPE)
    assert owned(result, "editor") == changed - {()}
    assert not owned(result, "one") & (changed | removed)


def test_the_input_is_never_changed() -> None:
    live = forced(None, "one", {"kind": "T", "metadata": {"name": "n"}, "items": [{"name": "x", "value": 1}]})
    before = json.dumps(live)
    forced(live, "two", {"kind": "T", "metadata": {"name": "n"}, "items": [{"name": "x", "value": 2}, {"name": "y"}]})
    assert json.dumps(live) == before


def test_a_key_named_twice_is_refused_with_its_place() -> None:
    config = {"metadata": {"name": "n"}, "items": [{"name": "x"}, {"name": "x"}]}
    with pytest.raises(DuplicateElement, match=r'^\.items: duplicate entries for key \[name="x"\]$'):
        forced(None, "one", config)


def test_the_applied_order_leads_and_foreign_elements_stay_behind_their_predecessor() -> None:
    live = forced(None, "one", {"metadata": {"name": "n"}, "items": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})
    result = forced(live, "two", {"metadata": {"name": "n"}, "items": [{"name": "c"}, {"name": "a"}]})
    assert [i["name"] for i in result["items"]] == ["c", "a", "b"]


def test_keys_that_are_left_out_come_from_the_schema() -> None:
    ports = struct(ports=map_list("port", "protocol", protocol="TCP"))
    fields = owned_by({"ports": [{"port": 80}]}, ports)
    assert ("f:ports", 'k:{"port":80,"protocol":"TCP"}') in fields


def test_a_shape_from_a_custom_schema_follows_its_marks() -> None:
    from emco_simcluster.shapes import shape_of_schema

    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a", "b"],
        "items": {"type": "object", "properties": {"b": {"type": "string", "default": "z"}}},
    }
    shape = shape_of_schema({"properties": {"spec": {"properties": {"l": keyed}, "x-kubernetes-map-type": "atomic"}}})
    spec: Shape = shape.member("spec")
    assert spec.atomic
    assert spec.member("l").keys == ("a", "b")
    assert spec.member("l").key_defaults == {"b": "z"}
