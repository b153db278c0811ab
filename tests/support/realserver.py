"""What a test does when a real server cannot be had: skip by name with the remedy, and say so last of all.

A suite on real servers that quietly does not run is worse than one that fails, so each skip is repeated in the very
last lines of the run, and ``EMCO_REQUIRE_REAL_SERVERS=1`` (the CI) turns every such skip into a failure, but for what
no installation can heal (a machine where no container may be run).
"""

import os
from collections.abc import Generator, Iterable
from typing import Any, NoReturn

import pytest

SKIPPED = "REAL-SERVER SUITE SKIPPED: "
REQUIRED_VARIABLE = "EMCO_REQUIRE_REAL_SERVERS"


def skip_or_fail(reason: str, *, remedy: str = "") -> NoReturn:
    """Skip the running test, naming what is missing and the remedy; fail instead where real servers are required.

    The text begins with ``REAL-SERVER SUITE SKIPPED: ``; `reason` may bear that beginning already.
    """
    text = SKIPPED + reason.removeprefix(SKIPPED) + (f"; remedy: {remedy}" if remedy else "")
    if os.environ.get(REQUIRED_VARIABLE) == "1":
        pytest.fail(f"{text} ({REQUIRED_VARIABLE}=1 makes this a failure)", pytrace=False)
    pytest.skip(text)


def skip_as_impossible(reason: str) -> NoReturn:
    """Skip the running test, also in the CI: no installation would help, another machine would."""
    pytest.skip(f"{SKIPPED}{reason}")


def skipped_suites(reports: Iterable[Any]) -> dict[str, list[str]]:
    """The test files that were skipped for want of a real server, by reason, from pytest's reports of skips."""
    suites: dict[str, list[str]] = {}
    for report in reports:
        longrepr = report.longrepr
        text = str(longrepr[2]) if isinstance(longrepr, (tuple, list)) else str(longrepr)
        _, mark, reason = text.partition(SKIPPED)
        if not mark:
            continue
        files = suites.setdefault(reason, [])
        file = report.nodeid.split("::")[0]
        if file not in files:
            files.append(file)
    return suites


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """Outermost of all, so that these lines come after pytest's own count of the results."""
    result = yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        for reason, files in skipped_suites(terminal.stats.get("skipped", ())).items():
            terminal.write_line(f"{SKIPPED}{', '.join(files)}: {reason}", yellow=True)
    return result
