"""The pause after an accepted call (emcoctl 6.5)."""

from __future__ import annotations

from collections.abc import Callable

from emco_emcoctl.output import Reporter
from emco_emcoctl.planning import Call
from emco_emcoctl.requests import Answer

ACCEPTED = 202


class Waiter:
    """Sleeps ``seconds`` after each 202. A GET changes nothing, so nothing is waited for."""

    def __init__(self, seconds: int, *, sleep: Callable[[float], None], report: Reporter) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._report = report

    def after(self, call: Call, answer: Answer) -> None:
        if answer.status != ACCEPTED or call.method == "GET":
            return
        self._report.accepted(call, seconds=self._seconds)
        if self._seconds:
            self._sleep(self._seconds)
