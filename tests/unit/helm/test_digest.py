"""Equal digests mean equal renders."""

from dataclasses import replace

import pytest

from emco_common.helm.digest import request_digest
from tests.unit.helm.builders import request

BASE = request(b"chart", profile=b"profile", overrides=(("a", "1"), ("b", "2")))


def test_the_order_of_overrides_does_not_count() -> None:
    assert request_digest(BASE) == request_digest(replace(BASE, overrides=(("b", "2"), ("a", "1"))))


@pytest.mark.parametrize(
    "change",
    [
        {"app": "other"},
        {"chart": b"other"},
        {"profile": b"other"},
        {"profile": None},
        {"profile": b""},
        {"release": "r2"},
        {"namespace": "other"},
        {"overrides": ()},
        {"overrides": (("a", "1"), ("b", "3"))},
        {"overrides": (("a", "1b"), ("", "2"))},
        {"app": "webr", "release": "1"},
    ],
    ids=str,
)
def test_every_input_counts(change: dict[str, object]) -> None:
    assert request_digest(BASE) != request_digest(replace(BASE, **change))  # type: ignore[arg-type]


def test_no_profile_and_an_empty_one_differ() -> None:
    assert request_digest(replace(BASE, profile=None)) != request_digest(replace(BASE, profile=b""))
