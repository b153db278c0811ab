"""JSON text as Go writes it."""

from __future__ import annotations

import json
import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_emcoctl import gojson
from emco_emcoctl.yamldocs import Timestamp

_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e15, 1e15) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
def test_what_is_written_reads_back_the_same(value: object) -> None:
    assert json.loads(gojson.dumps(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_reads_back_the_same(value: float) -> None:
    assert float(gojson.number(value)) == value


@given(st.dictionaries(_TEXT, st.integers()))
def test_keys_are_sorted_by_bytes(value: dict[str, int]) -> None:
    keys = list(json.loads(gojson.dumps(value)))

    assert keys == sorted(keys, key=str.encode)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (1.10, "1.1"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (-1.5e-7, "-1.5e-7"),
        (1.2345678901234569e23, "1.2345678901234569e+23"),
        ("<a>&\u2028\u2029é", '"\\u003ca\\u003e\\u0026\\u2028\\u2029é"'),
        ("\x01\t\"\\/", '"\\u0001\\t\\"\\\\/"'),
        (Timestamp(date(2020, 1, 2), 3, 4, 5, "1", -90), '"2020-01-02T03:04:05.1-01:30"'),
    ],
)  # fmt: skip
def test_a_value_is_written_as_go_writes_it(value: object, text: str) -> None:
    assert gojson.dumps(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: "a"}, {"a": {None: 1}}, object()])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(gojson.NotJsonError):
        gojson.dumps(value)
