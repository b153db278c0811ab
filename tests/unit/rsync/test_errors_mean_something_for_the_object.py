from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import errors
from emco_common.kube.errors import Cause
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.classify import Verdict, classify, classify_removal, describe


@pytest.mark.parametrize(
    ("error", "verdict", "removal"),
    [
        (errors.Unreachable("x"), Verdict.AWAY, Verdict.AWAY),
        (errors.Unauthorized("x"), Verdict.AWAY, Verdict.AWAY),
        (errors.Forbidden("x"), Verdict.REFUSED, Verdict.REFUSED),
        (errors.NamespaceTerminating("x"), Verdict.RETRY, Verdict.RETRY),
        (errors.NotFound("x", subject_kind="namespaces"), Verdict.WAIT, Verdict.GONE),
        (errors.NotFound("x", subject_kind="pods"), Verdict.GONE, Verdict.GONE),
        (errors.UnknownKind("x"), Verdict.WAIT, Verdict.GONE),
        (errors.Conflict("x"), Verdict.RETRY, Verdict.RETRY),
        (errors.FieldConflict("x"), Verdict.CONFLICT, Verdict.CONFLICT),
        (errors.AlreadyExists("x"), Verdict.REFUSED, Verdict.REFUSED),
        (errors.Invalid("x"), Verdict.REFUSED, Verdict.REFUSED),
        (errors.TooManyRequests("x"), Verdict.RETRY, Verdict.RETRY),
        (errors.ServerError("x"), Verdict.RETRY, Verdict.RETRY),
        (errors.BadAnswer("x"), Verdict.RETRY, Verdict.RETRY),
    ],
)
def test_each_error_is_classified(error: errors.KubeError, verdict: Verdict, removal: Verdict) -> None:
    assert classify(error) is verdict
    assert classify_removal(error) is removal


def test_what_is_refused_or_in_conflict_is_not_tried_again() -> None:
    assert not any(v.transient for v in (Verdict.REFUSED, Verdict.CONFLICT, Verdict.GONE))


def test_the_reason_of_a_secret_names_fields_and_no_values() -> None:
    error = errors.Invalid("data: Invalid value: canary", causes=(Cause("FieldValueInvalid", "data[k]", "canary"),))
    assert describe(error, kind="Secret") == "Invalid: data[k]"
    assert "canary" not in describe(errors.BadAnswer("<html>canary"), kind="Secret")
    assert describe(error, kind="ConfigMap") == "Invalid: data: Invalid value: canary"


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 300))
def test_a_delay_grows_to_its_limit_and_respects_what_was_asked(attempt: int, chance: float, asked: float) -> None:
    delay = Backoff(lambda: chance).delay(attempt, at_least=asked)
    assert delay >= asked
    assert delay >= min(30.0, 0.25 * 2 ** min(attempt - 1, 20)) / 2
    assert delay <= max(30.0, asked)


def test_the_first_delay_is_a_quarter_of_a_second_at_most() -> None:
    assert Backoff(lambda: 0.999).delay(1) <= 0.25
