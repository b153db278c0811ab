"""``docs/faults.md``: which test shows which line of the robustness list, and what of the line is still open.

Read from the markers ``@pytest.mark.robustness(44)`` in the files of the tests, so no test need run. The wording of the
lines and what is open are kept here. ``make faults`` writes the page, and a test compares.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
FIRST_OF_DELIVERY = 44
"""From here on a line is on the page even if no test shows it."""
NOT_SHOWN = "no test shows it"
_HEAD = """# Faults

Made by `make faults` from the markers `@pytest.mark.robustness(<line>)`; do not edit. Numbers are those of the
robustness list, which has a line for each kind of bad input and each fault. Paths of tests are below `tests/`.

| | fault, and what is expected | shown by | open |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Line:
    """``says`` in a few words what happens and what is expected; ``open`` what of it is not shown yet."""

    says: str
    open: str = ""


LINES: Mapping[int, Line] = {
    1: Line("archive entries that lead out of the folder: refused with the entry, nothing outside is written"),
    2: Line("links and devices in archives: refused, never followed"),
    3: Line("compressed bombs: stopped at a limit while they are read"),
    4: Line("archives of too many, too deep or doubled entries: refused at a limit"),
    5: Line("archives that are cut, mixed or no archives: refused, the next attempt is clean"),
    6: Line("chart metadata that is missing or makes no sense: refused, no crash"),
    7: Line("a chart that refers to what is outside of it: refused, no request leaves"),
    8: Line("schemas of values that never end: bounded in depth and time"),
    9: Line("values that name a file: refused"),
    10: Line("templates that never end or grow without limit: ended in their own process"),
    11: Line("templates that look at cluster, network, clock or environment: they see nothing"),
    12: Line("YAML that is hostile or ambiguous: read as Kubernetes reads it, within limits"),
    13: Line("two objects of one name: told before anything is applied"),
    14: Line("objects and contexts larger than a row may be: said before anything is applied"),
    15: Line("a chart repository that leads to another host: credentials stay behind"),
    16: Line("addresses of the inside of a network: blocked after resolution"),
    17: Line("unusual schemes and credentials in addresses: refused, never echoed"),
    18: Line("answers that never end or lead in circles: limits of time and size"),
    19: Line("signatures that are missing or wrong: refused where policy asks for them"),
    20: Line("kubeconfigs that run programs or read files: refused with the field"),
    21: Line("kubeconfigs that are incomplete or broken: refused with the reason"),
    22: Line("kubeconfigs and secrets appear in no output"),
    23: Line("one API server under two names: found out by the identity of the cluster"),
    24: Line("credentials are revoked and renewed at work: waited for without haste, taken up without a restart"),
    25: Line("a server certificate changes: refused until it is trusted again"),
    26: Line("an agent asks for what belongs to another cluster: denied"),
    27: Line("a cluster answers with hostile content: cut, cleaned, nobody else is touched"),
    28: Line("tokens that are forged or out of date: 401"),
    29: Line("what belongs to another tenant: as if it were not there"),
    30: Line("objects beyond a tenant's rights in its chart: denied by policy"),
    31: Line("a user's rights are not widened by labels or impersonation: denied, impersonation is always set"),
    32: Line("references to secrets of another tenant: denied"),
    33: Line("no secret in a reason, a difference or a message"),
    34: Line("sealed values: nonces differ, tampering fails, keys rotate"),
    35: Line("guessing of credentials, tokens after their end: limited, streams closed"),
    36: Line("markup in names and messages: inert wherever it is shown"),
    37: Line("path parameters that are encoded, too long or look alike: validated after decoding"),
    38: Line("bodies that are too large, too slow or malformed: refused, health answers"),
    39: Line("webhooks that are wrong, repeated or malformed: 4xx, no crash"),
    40: Line("expressions of exponential cost: a limit, an error on that object"),
    41: Line("what cannot be read (a poisoned object) is put aside with its reason; the rest goes on"),
    42: Line("two edit the same at once: one wins, the other is told"),
    43: Line("dependencies in a circle, on nothing, or for ever: refused, or ended by a deadline"),
    44: Line(
        "one cluster of many is a black hole: its work waits once, the others do not notice",
        open="the pace of the others is measured by `bench/isolation.py`, not asserted",
    ),
    45: Line(
        "a link that flaps, loses and delays: converges with bounded requests, statuses do not flicker",
        open="lost segments are stalled by a proxy as TCP would resend them; no packet is lost by a kernel",
    ),
    46: Line("each class of refusal on one object: retried if it can heal, told in the server's words if not"),
    47: Line("watches that end, fall silent, lose, double or disorder events: no change stays missed"),
    48: Line("a cluster returns older, or empty under the same address: identity is checked, nothing deleted unread"),
    49: Line("a source of truth answers empty or not at all: nothing is deleted for that"),
    50: Line("an app moves to another cluster: the new copy comes first, the old one goes when that is there"),
    51: Line("definitions and objects together, late, removed, of a version no longer served: waits, maps or says"),
    52: Line("a field that cannot be changed: said; replaced only by consent"),
    53: Line("another manager owns a field: listed, left or taken as the rule says, never fought over"),
    54: Line("finalizers, a namespace on its way out, a claim in use: named, with a deadline and a way to give up"),
    55: Line("a hook fails, hangs, is deleted, gets no image: the event ends with the end of its log; retry works"),
    56: Line("back to a revision whose chart is gone: works from what was kept"),
    57: Line("an app, logical cloud or cluster is removed while its cluster is away: accepted, finished on its return"),
    58: Line("the process is killed anywhere: the next one comes to the same end"),
    59: Line("two believe that they own the same work: the old one's writes are refused"),
    60: Line("the store is full, read-only, locked or damaged: refuses with instructions, nothing half done"),
    61: Line(
        "the clock jumps: time-outs do not care",
        open="windows of time, with zones and leap days, are not there yet",
    ),
    62: Line("descriptors, threads, memory run out: pressure is passed back, no crash loop"),
    63: Line("a storm of changes in one cluster: told in few writes, the newest state wins; slow readers are dropped"),
    64: Line("stopped in the middle of a rollout: the next process goes on where this one was"),
    65: Line("upgraded and taken back with live apps: nothing is sent when nothing changed"),
    66: Line("the database of a cluster is full: that cluster is degraded, others are not, nothing is made anew"),
}


def written() -> str:
    """The page."""
    shown = marked(TESTS)
    rows = (_row(n, line, shown.get(n, ())) for n, line in LINES.items() if n in shown or n >= FIRST_OF_DELIVERY)
    return _HEAD + "\n".join(rows) + "\n"


def marked(folder: Path) -> dict[int, list[str]]:
    """Tests below ``folder`` by the lines that they bear. ``ValueError`` for a line that is not known here."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "mark.robustness(" in text:
            for test, line in _marked_in(ast.parse(text)):
                if line not in LINES:
                    raise ValueError(
                        f"{file}: {test} bears line {line}, which tests/support/robustness.py does not have"
                    )
                found[line].append(f"{file.relative_to(folder)}::{test}")
    return found


def _marked_in(module: ast.Module) -> Iterator[tuple[str, int]]:
    everywhere = [mark for statement in module.body for mark in _of_the_module(statement)]
    for statement in module.body:
        tests = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        outer = statement.decorator_list if isinstance(statement, ast.ClassDef) else []
        prefix = f"{statement.name}::" if isinstance(statement, ast.ClassDef) else ""
        for test in tests:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
                for mark in (*everywhere, *outer, *test.decorator_list):
                    yield from ((prefix + test.name, line) for line in _lines_of(mark))


def _of_the_module(statement: ast.stmt) -> Sequence[ast.expr]:
    """What ``pytestmark`` says."""
    if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) != "pytestmark":
        return ()
    return statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else (statement.value,)


def _lines_of(mark: ast.expr) -> Iterator[int]:
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.robustness":
        for argument in mark.args:
            yield int(ast.literal_eval(argument))


def _row(number: int, line: Line, tests: list[str] | tuple[str, ...]) -> str:
    named = "<br>".join(f"`{test}`" for test in tests)
    return f"| {number} | {line.says} | {named or '–'} | {line.open or ('' if tests else NOT_SHOWN)} |"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
