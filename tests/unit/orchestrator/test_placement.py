"""Generic placement (spec orchestrator-lifecycle 6)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.errors import BadRequest, Unprocessable
from emco_orchestrator.placement import Group, labels_of, place, survivors

LABELS = {("p", "west"): ["w1", "w2"], ("p", "gpu"): ["g1", "g2"]}
ALL = frozenset(f"p+{name}" for name in ("w1", "w2", "hq", "e1", "e2", "g1", "g2"))


def cluster(name: str) -> dict[str, str]:
    return {"clusterProvider": "p", "cluster": name}


def label(name: str) -> dict[str, str]:
    return {"clusterProvider": "p", "clusterLabel": name}


def placed(rule: dict[str, Any], allowed: frozenset[str] = ALL) -> dict[str, str]:
    groups = place("web", rule, resolve=lambda p, lab: LABELS.get((p, lab), []), allowed=allowed)
    return {name: group.number for group in groups for name in group.clusters}


EXAMPLE = {"allOf": [label("west"), cluster("hq"), {"anyOf": [cluster("e1"), cluster("e2")]}], "anyOf": [label("gpu")]}


def test_the_example_of_the_specification_gets_its_group_numbers() -> None:
    numbers = {"p+w1": "1", "p+w2": "2", "p+hq": "3", "p+e1": "4", "p+e2": "4", "p+g1": "5", "p+g2": "5"}
    assert placed(EXAMPLE) == numbers


def test_of_every_group_the_first_in_byte_order_survives() -> None:
    groups: dict[str, list[str]] = {}
    for name, number in placed(EXAMPLE).items():
        groups.setdefault(number, []).append(name)
    assert survivors(groups) == {"p+w1", "p+w2", "p+hq", "p+e1", "p+g1"}


def test_an_optional_group_is_satisfied_by_a_mandatory_cluster_in_it() -> None:
    assert placed({"allOf": [cluster("e1")], "anyOf": [cluster("e1"), cluster("e2")]}) == {"p+e1": "1"}


def test_a_cluster_that_is_mandatory_twice_is_one_cluster() -> None:
    assert placed({"allOf": [cluster("w1"), label("west")]}) == {"p+w1": "1", "p+w2": "3"}


def test_a_label_that_matches_nothing_is_named() -> None:
    with pytest.raises(Unprocessable, match="label nowhere matches no cluster of provider p"):
        placed({"allOf": [label("nowhere")]})


def test_an_optional_label_that_matches_nothing_does_no_harm_beside_one_that_does() -> None:
    assert placed({"anyOf": [label("nowhere"), label("gpu")]}) == {"p+g1": "1", "p+g2": "1"}


def test_an_optional_group_that_matches_nothing_is_named_by_its_labels() -> None:
    with pytest.raises(Unprocessable, match="labels? nowhere and label never match no cluster of provider p"):
        placed({"allOf": [cluster("hq"), {"anyOf": [label("nowhere"), label("never")]}]})


def test_optional_clusters_are_checked_against_the_logical_cloud_like_mandatory_ones() -> None:
    with pytest.raises(
        BadRequest, match="^The specified Logical Cloud doesn't provide the mandatory clusters: app web"
    ):
        placed({"allOf": [cluster("hq")], "anyOf": [cluster("e1"), cluster("e2")]}, allowed=frozenset({"p+hq"}))


def test_a_cluster_of_two_optional_groups_is_in_the_first_only() -> None:
    rule = {"allOf": [{"anyOf": [cluster("e1")]}], "anyOf": [cluster("e1"), cluster("e2")]}
    assert placed(rule) == {"p+e1": "1", "p+e2": "2"}


def test_a_group_whose_clusters_are_all_in_others_gets_one_that_can_be_spared() -> None:
    groups = [cluster("e1"), cluster("g1")], [cluster("e2"), cluster("g2")], [cluster("g1"), cluster("g2")]
    rule = {"allOf": [{"anyOf": choices} for choices in groups]}
    assert placed(rule) == {"p+e1": "1", "p+e2": "2", "p+g2": "2", "p+g1": "3"}


def test_a_rule_without_clusters_is_refused() -> None:
    with pytest.raises(Unprocessable, match="^No compatible clusters have been provided"):
        placed({})


def test_a_logical_cloud_without_a_mandatory_cluster_is_refused() -> None:
    with pytest.raises(BadRequest, match="^The specified Logical Cloud doesn't provide the mandatory clusters$"):
        placed({"allOf": [cluster("hq")]}, allowed=ALL - {"p+hq"})


def test_optional_clusters_outside_the_logical_cloud_are_not_used() -> None:
    assert placed({"anyOf": [cluster("e1"), cluster("e2")]}, allowed=frozenset({"p+e2"})) == {"p+e2": "1"}


def test_the_labels_of_a_rule_are_found_at_every_depth() -> None:
    rule = {"allOf": [label("a"), {"anyOf": [label("b")]}], "anyOf": [label("c"), cluster("x")]}
    assert labels_of(rule) == {("p", "a"), ("p", "b"), ("p", "c")}


names = st.sampled_from(["w1", "w2", "hq", "e1", "e2", "g1", "g2"])
choices = st.one_of(names.map(cluster), st.sampled_from(["west", "gpu"]).map(label))
rules = st.fixed_dictionaries(
    {
        "allOf": st.lists(
            st.one_of(choices, st.lists(choices, min_size=1, max_size=3).map(lambda c: {"anyOf": c})), max_size=4
        ),
        "anyOf": st.lists(choices, max_size=3),
    }
).filter(lambda rule: rule["allOf"] or rule["anyOf"])


@given(rules)
def test_no_cluster_is_in_two_groups_and_every_requirement_is_met(rule: dict[str, Any]) -> None:
    groups = place("web", rule, resolve=lambda p, lab: LABELS[p, lab], allowed=ALL)
    used = [name for group in groups for name in group.clusters]
    assert len(used) == len(set(used))
    kept = survivors({group.number: group.clusters for group in groups})
    for entry in rule["allOf"]:
        wanted = [_all(choice) for choice in entry.get("anyOf", [entry])]
        if "anyOf" in entry:
            assert kept & set().union(*wanted)
        else:
            assert kept >= set().union(*wanted)
    if rule["anyOf"]:
        assert kept & set().union(*(_all(choice) for choice in rule["anyOf"]))
    assert all(isinstance(group, Group) and group.clusters for group in groups)


def _all(choice: dict[str, str]) -> set[str]:
    if "cluster" in choice:
        return {f"p+{choice['cluster']}"}
    return {f"p+{name}" for name in LABELS["p", choice["clusterLabel"]]}
