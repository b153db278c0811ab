"""What the checks of dashboard and alerts see in an expression."""

from __future__ import annotations

import pytest

from tests.support.observed import base_of, unknown_in
from tests.support.promql import asked


def test_metrics_are_told_from_functions_labels_and_words() -> None:
    found = asked(
        'sum by (a, b) (rate(x_total{c="d{", e=~"f"}[5m])) / on (g) group_left (h) topk(3, y) > 2 and z offset 1h'
    )
    assert found.metrics == {"x_total", "y", "z"}
    assert found.labels == {"a", "b", "c", "e", "g", "h"}


def test_what_is_not_served_is_named() -> None:
    served = {"y": frozenset({"c"}), "s_seconds": frozenset({"d"})}
    assert base_of("s_seconds_bucket", served) == "s_seconds"
    assert unknown_in('y{c="d"}', served) == []
    assert unknown_in("sum by (d, le) (rate(s_seconds_bucket[5m]))", served) == []
    assert unknown_in('y{c="d", q="r"} or w', served) == ["w", "q"]


def test_what_cannot_be_read_is_no_expression_without_metrics() -> None:
    with pytest.raises(ValueError, match="not to be read"):
        asked("x ? y")
