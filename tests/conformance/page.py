"""``docs/conformance.md``: what is shown by which test, and what is left. Written, and read again by the checks."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.published import CORE, Operation, normal
from tests.conformance.register import ERRORS, TRANSITIONS, Row

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
SHOWN = 2
NO_TEST = "no test shows it"
_HEAD = """# Conformance

Made by `make conformance` from a run of the tests; do not edit. An operation is listed with tests whose requests were
answered by it with success, a row of a specification with tests that say so (`@pytest.mark.conforms`). Only tests that
passed count, of each at most {shown} are named, the most specific first. Paths of tests are below `tests/`.
"""


@dataclass
class Evidence:
    """Tests by what they showed."""

    rows: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    operations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """What all processes of a run left in ``folder``."""
        found = cls()
        for file in sorted(folder.glob("*.json")):
            shown = json.loads(file.read_text())
            for row, tests in shown["rows"].items():
                found.rows[row] |= set(tests)
            for operation, tests in shown["operations"].items():
                found.operations[normal(operation)] |= set(tests)
        return found


def written(operations: Sequence[Operation], evidence: Evidence) -> str:
    """The page."""
    breadth = Counter(test for tests in evidence.operations.values() for test in tests)
    shown = {one: _most_specific(evidence.operations.get(one.id, ()), breadth) for one in operations}
    lines = [_HEAD.format(shown=SHOWN), "## Figures", ""]
    lines += _figures(shown, evidence)
    lines += ["", "## Operations of the published OpenAPI file", ""]
    for service in dict.fromkeys((*CORE, *(one.service for one in operations))):
        lines += [f"### {service}", "", "| operation | tests |", "| --- | --- |"]
        lines += [
            f"| `{one.method} {one.path}` | {_tests(tests) or _left(one)} |"
            for one, tests in shown.items()
            if one.service == service
        ]
        lines.append("")
    for title, rows in (("State transitions", TRANSITIONS), ("Error rows", ERRORS)):
        lines += [f"## {title}", ""]
        lines += _sections(rows.values(), evidence)
    return "\n".join(lines).rstrip() + "\n"


def _figures(shown: Mapping[Operation, Sequence[str]], evidence: Evidence) -> Iterator[str]:
    yield "| | all | shown | left |"
    yield "| --- | --- | --- | --- |"
    for name, wanted in (("operations", lambda _: True), ("of them core services", lambda s: s in CORE)):
        mine = [bool(tests) for one, tests in shown.items() if wanted(one.service)]
        yield f"| {name} | {len(mine)} | {sum(mine)} | {len(mine) - sum(mine)} |"
    for name, rows in (("state transitions", TRANSITIONS), ("error rows", ERRORS)):
        covered = sum(bool(evidence.rows.get(row)) for row in rows)
        yield f"| {name} | {len(rows)} | {covered} | {len(rows) - covered} |"


def _sections(rows: Iterable[Row], evidence: Evidence) -> Iterator[str]:
    by_section: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_section[row.section].append(row)
    for section, mine in by_section.items():
        yield from (f"### {section}", "", "| row | tests |", "| --- | --- |")
        for row in mine:
            tests = sorted(evidence.rows.get(row.id, ()))[:SHOWN]
            yield f"| {row.says} | {_tests(tests) or f'left: {row.left or NO_TEST}'} |"
        yield ""


def _most_specific(tests: Iterable[str], breadth: Mapping[str, int]) -> list[str]:
    return sorted(tests, key=lambda test: (breadth[test], test))[:SHOWN]


def _tests(tests: Sequence[str]) -> str:
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)


def _left(operation: Operation) -> str:
    return f"left: {NO_TEST}" if operation.service in CORE else f"left: {operation.service}, service not built"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table of the page: ``what`` is the operation or the id of the row."""

    what: str
    tests: tuple[str, ...]
    left: str


def read(text: str) -> tuple[list[Line], list[Line]]:
    """The page's operations, and its rows of both kinds."""
    found: tuple[list[Line], list[Line]] = ([], [])
    section, chapter = "", 0
    for line in text.splitlines():
        if line.startswith("## "):
            chapter = ("Operations" in line) + 2 * ("transitions" in line or "Error" in line)
        elif line.startswith("### "):
            section = line[4:]
        elif chapter and (cells := re.fullmatch(r"\| (.+) \| (.+) \|", line)) and cells[1] not in ("row", "---"):
            if cells[1] == "operation":
                continue
            tests = tuple(re.findall(r"`([^`]+)`", cells[2])) if not cells[2].startswith("left:") else ()
            left = cells[2].removeprefix("left: ") if not tests else ""
            what = cells[1].strip("`") if chapter == 1 else f"{section}: {cells[1]}"
            found[chapter - 1].append(Line(what, tests, left))
    return found
