from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import errors


def status(code: int, reason: str, message: str = "m", **details: Any) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": code,
        }
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "expected", "retriable"),
    [
        (401, "Unauthorized", errors.Unauthorized, False),
        (403, "Forbidden", errors.Forbidden, False),
        (404, "NotFound", errors.NotFound, False),
        (409, "AlreadyExists", errors.AlreadyExists, False),
        (409, "Conflict", errors.Conflict, True),
        (410, "Expired", errors.Gone, False),
        (422, "Invalid", errors.Invalid, False),
        (429, "TooManyRequests", errors.TooManyRequests, True),
        (500, "InternalError", errors.ServerError, True),
        (503, "ServiceUnavailable", errors.ServerError, True),
        (504, "Timeout", errors.ServerError, True),
        (400, "BadRequest", errors.KubeError, False),
        (415, "UnsupportedMediaType", errors.KubeError, False),
    ],
)
@pytest.mark.robustness(46)
def test_each_code_has_its_class(code: int, reason: str, expected: type[errors.KubeError], retriable: bool) -> None:
    error = errors.error_from_answer(code, status(code, reason))
    assert type(error) is expected
    assert error.retriable is retriable
    assert (error.http_status, error.reason, str(error)) == (code, reason, "m")


def test_a_field_conflict_tells_fields_and_managers() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
            "field": ".spec.replicas",
        },
        {"reason": "FieldManagerConflict", "message": 'conflict with "hpa"', "field": ".spec.x"},
    ]
    error = errors.error_from_answer(409, status(409, "Conflict", causes=causes))
    assert isinstance(error, errors.FieldConflict)
    assert error.fields == (".spec.replicas", ".spec.x")
    assert error.managers == ("kubectl-client-side-apply", "hpa")


def test_a_namespace_on_its_way_out_is_told_apart_from_a_missing_right() -> None:
    body = status(
        403, "Forbidden", causes=[{"reason": "NamespaceTerminating", "message": "x", "field": "metadata.namespace"}]
    )
    error = errors.error_from_answer(403, body)
    assert isinstance(error, errors.NamespaceTerminating)
    assert error.retriable


def test_a_path_that_nobody_serves_is_an_unknown_kind() -> None:
    assert type(errors.error_from_answer(404, b"404 page not found\n")) is errors.UnknownKind


def test_the_missing_thing_is_named() -> None:
    assert (
        errors.error_from_answer(404, status(404, "NotFound", kind="namespaces", name="n")).subject_kind == "namespaces"
    )


def test_a_pause_is_taken_from_header_or_body_and_bounded() -> None:
    body = status(429, "TooManyRequests", retryAfterSeconds=7)
    pauses = [
        errors.error_from_answer(429, body),
        errors.error_from_answer(429, body, retry_after="3"),
        errors.error_from_answer(429, body, retry_after="999999999999999"),
        errors.error_from_answer(429, b"", retry_after="soon"),
    ]
    assert [error.retry_after for error in pauses if isinstance(error, errors.TooManyRequests)] == [7, 3, 300, 1]


def test_a_manifest_that_cannot_be_typed_is_the_manifests_fault() -> None:
    message = (
        "failed to create typed patch object (d/x; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema"
    )
    error = errors.error_from_answer(500, status(500, "", message))
    assert isinstance(error, errors.Invalid)


@pytest.mark.robustness(27)
def test_hostile_messages_are_cut_and_made_harmless() -> None:
    error = errors.error_from_answer(422, status(422, "Invalid", "\x1b[31mred\x1b[0m\r\nline\u202e" + "x" * 100_000))
    assert str(error).startswith("red line")
    assert len(str(error)) == errors.MAX_MESSAGE
    assert "\x1b" not in str(error)
    many = [{"reason": "r", "message": "m", "field": "f"}] * 10_000
    assert len(errors.error_from_answer(422, status(422, "Invalid", causes=many)).causes) == errors.MAX_CAUSES


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_answer_becomes_an_error_with_a_text(code: int, body: bytes) -> None:
    error = errors.error_from_answer(code, body)
    assert error.http_status == code
    assert str(error)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_any_error_event_becomes_an_error(body: object) -> None:
    assert isinstance(errors.error_from_event(body), errors.KubeError)


def test_of_a_long_message_the_start_and_the_end_are_kept() -> None:
    text = errors.clean("spec.template: " + "x" * 50_000 + "\x1b[31m: field is immutable")
    assert text.startswith("spec.template: x")
    assert text.endswith(": field is immutable")
    assert len(text) == errors.MAX_MESSAGE
    assert "\x1b" not in text
