"""The rows of the specifications that this project must conform to, in our own words.

A row is ``<specification> <section>: <what happens>``; that is also its id, which tests name in
``@pytest.mark.conforms``. A row that no test shows says after ``left:`` why. Two kinds: transitions of a state machine,
and errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.conformance.register import clm, dcm, ncm, orchestrator_api, orchestrator_lifecycle


@dataclass(frozen=True, slots=True)
class Row:
    """``left`` is the reason why no test shows it, empty for all others."""

    id: str
    left: str = ""

    @property
    def section(self) -> str:
        return self.id.partition(": ")[0]

    @property
    def says(self) -> str:
        return self.id.partition(": ")[2]


def _rows(specification: str, text: str) -> Iterator[Row]:
    for line in filter(None, map(str.strip, text.splitlines())):
        row, _, left = line.partition(" left: ")
        yield Row(f"{specification} {row}", left)


def _collect(kind: str) -> dict[str, Row]:
    pages = (orchestrator_api, orchestrator_lifecycle, clm, ncm, dcm)
    rows = [row for page in pages for row in _rows(page.SPECIFICATION, getattr(page, kind))]
    found = {row.id: row for row in rows}
    if len(found) != len(rows):
        raise ValueError(f"rows that are there twice: {sorted({row.id for row in rows if rows.count(row) > 1})}")
    return found


TRANSITIONS = _collect("TRANSITIONS")
ERRORS = _collect("ERRORS")
ROWS = TRANSITIONS | ERRORS
