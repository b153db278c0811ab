"""Which test shows which promise: the marker ``conforms`` and, where asked for, the evidence of a run.

``@pytest.mark.conforms("clm 3: provider exists already")`` names rows of ``tests/conformance/register``. With
``EMCO_CONFORMANCE=<folder>`` each process of the run leaves there what its passing tests showed: the rows of their
marks, and the operations that their requests reached with success in a service of this process. ``make conformance``
makes ``docs/conformance.md`` from it.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Generator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Scope

from emco_common.web.requests import RequestRecorder
from tests.conformance.register import ROWS

VARIABLE = "EMCO_CONFORMANCE"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "conforms(*rows): rows of tests/conformance/register that this test shows")
    folder = os.environ.get(VARIABLE)
    if folder:
        config.pluginmanager.register(Evidence(Path(folder)), "conformance-evidence")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unknown = sorted({f"{row!r} ({item.nodeid})" for item in items for row in rows_of(item) if row not in ROWS})
    if unknown:
        raise pytest.UsageError(f"marked with rows that tests/conformance/register does not have: {', '.join(unknown)}")


def rows_of(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("conforms"):
        yield from mark.args


class Evidence:
    """What the passing tests of one process showed, by test without its parameters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, set[str]] = defaultdict(set)
        self._operations: dict[str, set[str]] = defaultdict(set)
        self._reached: set[str] = set()
        self._marked: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self) -> Generator[None, Any, Any]:
        record = RequestRecorder._record
        evidence = self

        def noting(self: RequestRecorder, scope: Scope, status: int, seconds: float) -> None:
            if status < 400:
                evidence.reached(scope)
            record(self, scope, status, seconds)

        RequestRecorder._record = noting  # type: ignore[method-assign]
        return (yield)

    def reached(self, scope: MutableMapping[str, Any]) -> None:
        path = getattr(scope.get("route"), "path", None)
        if path is not None:
            self._reached.add(f"{scope['method']} {path}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._reached = set()
        self._marked = set(rows_of(item))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        test = report.nodeid.partition("[")[0].partition("@")[0]  # xdist appends the group
        for found, shown in ((self._rows, self._marked), (self._operations, self._reached)):
            for one in shown:
                found[one].add(test)

    def pytest_sessionfinish(self) -> None:
        if self._rows or self._operations:
            self._folder.mkdir(parents=True, exist_ok=True)
            shown = {
                "rows": {row: sorted(tests) for row, tests in self._rows.items()},
                "operations": {operation: sorted(tests) for operation, tests in self._operations.items()},
            }
            (self._folder / f"{os.getpid()}.json").write_text(json.dumps(shown))
