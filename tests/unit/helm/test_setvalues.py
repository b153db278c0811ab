"""Values of ``--set`` on top of values of files, integers included."""

from collections.abc import Mapping
from typing import Any

import helm_python
import pytest

from emco_common.helm.setvalues import assignments, merged, restoring_template


def applied(values: Mapping[str, Any], *pairs: str) -> Mapping[str, Any]:
    for pair in pairs:
        for assignment in assignments(pair):
            values = merged(values, assignment, helm_python.parse_set_string(assignment))
    return values


@pytest.mark.parametrize(
    ("pair", "single"),
    [
        ("a=1", ["a=1"]),
        ("a=1,b.c=2", ["a=1", "b.c=2"]),
        (r"a=1\,2,b=3", [r"a=1\,2", "b=3"]),
        ("a={1,2},b=3", ["a={1,2}", "b=3"]),
        ("a=x{1,b=3}", ["a=x{1", "b=3}"]),
        ("a=", ["a="]),
        ("", []),
    ],
)
def test_a_pair_is_cut_into_its_assignments(pair: str, single: list[str]) -> None:
    assert list(assignments(pair)) == single


@pytest.mark.parametrize(
    ("values", "pairs", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, ("a.b=3",), {"a": {"b": 3, "c": 2}}),
        ({"a": "text"}, ("a={x,y}",), {"a": ["x", "y"]}),
        ({"a": ["x", "y", "z"]}, ("a={w}",), {"a": ["w"]}),
        ({"a": ["x", "y", "z"]}, ("a[1]=w",), {"a": ["x", "w", "z"]}),
        ({"a": [{"n": "x", "p": 1}]}, ("a[0].p=2",), {"a": [{"n": "x", "p": 2}]}),
        ({}, ("a[2]=w",), {"a": [None, None, "w"]}),
        ({"a": {"b": 1}}, ("a.b=null",), {"a": {"b": None}}),
        ({}, (r"a.b\.c=x,d=1.5,e=true",), {"a": {"b.c": "x"}, "d": "1.5", "e": True}),
        ({}, ("a=1", "a=2"), {"a": 2}),
    ],
)
def test_assignments_fall_onto_values_as_helm_lets_them(
    values: Mapping[str, Any], pairs: tuple[str, ...], expected: Mapping[str, Any]
) -> None:
    assert applied(values, *pairs) == expected


def test_without_integers_there_is_nothing_to_restore() -> None:
    assert restoring_template(applied({"file": 1000000}, "a=x,b=true")) == ""


def test_what_was_there_before_is_not_changed() -> None:
    before = {"a": {"b": [1, 2]}}
    applied(before, "a.b[0]=5,a.c=1")
    assert before == {"a": {"b": [1, 2]}}
