"""Numbers that are counted by hand come out as Prometheus' own library would have counted them."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import AbstractContextManager, nullcontext

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from emco_common.errors import EmcoError, Unavailable
from emco_common.metrics import Counts, PeerCalls, Timings
from emco_common.metrics.timings import OTHER
from emco_common.rpc.channels import PeerUnreachable

BOUNDS = (0.1, 1.0, 10.0)


@given(st.lists(st.floats(0, 20) | st.sampled_from(BOUNDS)))
def test_a_histogram_counts_as_the_library_does(seconds: list[float]) -> None:
    registry = CollectorRegistry()
    ours, theirs = (
        Timings("ours", "Ours", ["a"], registry=registry, bounds=BOUNDS),
        Histogram("theirs", "Theirs", ["a"], registry=registry, buckets=BOUNDS),
    )
    theirs.labels("x")
    ours.series("x")
    for second in seconds:
        ours.series("x").observe(second)
        theirs.labels("x").observe(second)
    for le in ("0.1", "1.0", "10.0", "+Inf"):
        values = [registry.get_sample_value(f"{name}_bucket", {"a": "x", "le": le}) for name in ("ours", "theirs")]
        assert values[0] == values[1]
    assert registry.get_sample_value("ours_count", {"a": "x"}) == len(seconds)
    assert registry.get_sample_value("ours_sum", {"a": "x"}) == pytest.approx(sum(seconds))
    assert bisect_left(BOUNDS, 0.1) == 0


def test_a_histogram_without_labels_is_there_from_the_beginning() -> None:
    registry = CollectorRegistry()
    Timings("ours", "Ours", registry=registry)
    assert registry.get_sample_value("ours_count") == 0


def test_of_too_many_combinations_the_rest_is_counted_together() -> None:
    registry = CollectorRegistry()
    ours = Timings("ours", "Ours", ["a", "b"], registry=registry, most=2)
    for name in ("1", "2", "3", "4"):
        ours.series(name, "x").observe(1)
    assert registry.get_sample_value("ours_count", {"a": "2", "b": "x"}) == 1
    assert registry.get_sample_value("ours_count", {"a": "3", "b": "x"}) is None
    assert registry.get_sample_value("ours_count", {"a": OTHER, "b": OTHER}) == 2


def test_what_may_happen_is_counted_from_nought() -> None:
    registry = CollectorRegistry()
    ours = Counts("ours", "Ours", ["a"], registry=registry, known=[("x",)])
    assert registry.get_sample_value("ours_total", {"a": "x"}) == 0
    ours.add("x")
    ours.add("y", count=2)
    assert registry.get_sample_value("ours_total", {"a": "x"}) == 1
    assert registry.get_sample_value("ours_total", {"a": "y"}) == 2


class Refusal(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


def _because(error: EmcoError, cause: BaseException) -> EmcoError:
    error.__cause__ = cause
    return error


def _expecting(error: BaseException | None) -> AbstractContextManager[object]:
    return nullcontext() if error is None else pytest.raises(type(error))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (EmcoError("no"), "refused"),
        (PeerUnreachable("away"), "unreachable"),
        (_because(Unavailable("away"), PeerUnreachable("away")), "unreachable"),
        (_because(EmcoError("failed"), Refusal(grpc.StatusCode.INTERNAL)), "failed"),
        (Refusal(grpc.StatusCode.UNIMPLEMENTED), "unimplemented"),
    ],
)
def test_a_call_is_counted_by_what_came_of_it(error: BaseException | None, outcome: str) -> None:
    registry = CollectorRegistry()
    calls = PeerCalls(registry)
    with _expecting(error), calls.timed("gac", "UpdateAppContext"):
        if error is not None:
            raise error
    labels = {"controller": "gac", "call": "UpdateAppContext", "outcome": outcome}
    assert registry.get_sample_value("emco_controller_call_seconds_count", labels) == 1
