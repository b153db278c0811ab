"""The page is what the register and the tests say, and nothing of the core services is without a test."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.conformance.page import NO_TEST, PAGE, read
from tests.conformance.published import CORE, OPENAPI, Operation, operations
from tests.conformance.register import ROWS

TESTS = Path(__file__).parents[1]
REMEDY = "make conformance writes the page anew"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_rows_on_the_page_are_those_of_the_register(page: str) -> None:
    _, rows = read(page)
    assert [row.what for row in rows] == list(ROWS), REMEDY
    stale = [row.what for row in rows if row.left not in ("", ROWS[row.what].left or NO_TEST)]
    assert not stale, REMEDY


def test_every_row_is_shown_by_a_test_or_left_with_a_reason(page: str) -> None:
    _, rows = read(page)
    assert [row.what for row in rows if row.left == NO_TEST] == []


def test_every_operation_of_the_core_services_is_exercised(page: str) -> None:
    on_page, _ = read(page)
    known = [(line, Operation(*line.what.split(" ", 1))) for line in on_page]
    assert len(known) == 274, REMEDY
    assert [line.what for line, operation in known if operation.service in CORE and line.left] == []


@pytest.mark.skipif(not OPENAPI.exists(), reason="EMCO_SHARED names no folder with emco/openapi.yaml")
def test_the_operations_on_the_page_are_those_of_the_published_file(page: str) -> None:
    on_page, _ = read(page)
    assert {line.what for line in on_page} == {f"{one.method} {one.path}" for one in operations()}, REMEDY


def test_the_tests_on_the_page_exist(page: str) -> None:
    named = {test for part in read(page) for line in part for test in line.tests}
    assert named
    assert sorted(test for test in named if not _exists(test)) == [], REMEDY


def _exists(test: str) -> bool:
    file, *_, name = test.split("::")
    return (TESTS / file).exists() and name in _functions(file)


@cache
def _functions(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"(?:def|class) (\w+)", (TESTS / file).read_text(encoding="utf-8")))
