"""What a run shows: lines that scripts cut at ``Response:``, or one line per document for people (emcoctl 8).

Answers go to standard output, problems to standard error, once each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, TextIO

from emco_emcoctl.planning import Call
from emco_emcoctl.requests import Answer

_GREEN, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_REASON_LENGTH = 300


class Reporter(Protocol):
    def configured(self, path: str | None) -> None:
        """The configuration was read from ``path``, or none was found."""

    def answered(self, call: Call, base_url: str, answer: Answer) -> None: ...

    def accepted(self, call: Call, *, seconds: int) -> None:
        """The call was answered with 202; the run pauses for ``seconds``."""

    def problem(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def finished(self) -> None:
        """Nothing more will be sent."""


def reporter(*, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> Reporter:
    """Output for people if ``stdout`` is a terminal, else for scripts; without colours if ``NO_COLOR`` is set."""
    if stdout.isatty():
        return TerminalOutput(stdout=stdout, stderr=stderr, colour="NO_COLOR" not in environ)
    return ScriptOutput(stdout=stdout, stderr=stderr)


class _Problems:
    """``stderr`` lines, which both kinds of output share."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr

    def problem(self, message: str) -> None:
        print(f"emcoctl: {message}", file=self._stderr, flush=True)

    def warning(self, message: str) -> None:
        print(f"emcoctl: warning: {message}", file=self._stderr, flush=True)


class ScriptOutput(_Problems):
    """Exactly the lines of the original."""

    def __init__(self, *, stdout: TextIO, stderr: TextIO) -> None:
        super().__init__(stderr)
        self._stdout = stdout

    def configured(self, path: str | None) -> None:
        self._line(f"Using config file: {path}" if path else "Warning: No Configuration File found. Using defaults")

    def answered(self, call: Call, base_url: str, answer: Answer) -> None:
        self._line("---")
        self._line(f"{call.method}  --> URL: {base_url}{call.address.path}")
        self._line(f"Response Code: {answer.status}")
        if answer.has_body:
            self._line(f"Response: {answer.body}")

    def accepted(self, call: Call, *, seconds: int) -> None:
        if call.method in ("POST", "PUT") or seconds:
            self._line("API Response code 202. Waiting...")

    def finished(self) -> None:
        pass

    def _line(self, text: str) -> None:
        print(text, file=self._stdout, flush=True)


class TerminalOutput(_Problems):
    """A tick or a cross per document; what was read follows its line."""

    def __init__(self, *, stdout: TextIO, stderr: TextIO, colour: bool = True) -> None:
        super().__init__(stderr)
        self._stdout = stdout
        self._colour = colour
        self._done = 0
        self._failed = 0

    def configured(self, path: str | None) -> None:
        self._line(self._painted(_DIM, f"configuration: {path or 'none found, using the local defaults'}"))

    def answered(self, call: Call, base_url: str, answer: Answer) -> None:
        what = f"{call.method} {call.address.path.removeprefix('/v2/')}"
        if answer.ok:
            self._done += 1
            self._line(f"{self._painted(_GREEN, '✓')} {what}  {self._painted(_DIM, str(answer.status))}")
            if call.method == "GET" and answer.body:
                self._line(_pretty(answer.body))
        else:
            self._failed += 1
            reason = " ".join(answer.body.split())[:_REASON_LENGTH] or "no reason given"
            self._line(f"{self._painted(_RED, '✗')} {what}  {answer.status}: {reason}")

    def accepted(self, call: Call, *, seconds: int) -> None:
        if seconds:
            self._line(self._painted(_DIM, f"  accepted; waiting {seconds} s"))

    def problem(self, message: str) -> None:
        self._failed += 1
        print(f"{self._painted(_RED, '✗')} {message}", file=self._stderr, flush=True)

    def finished(self) -> None:
        if self._done + self._failed > 1:
            self._line(f"{self._done} done, {self._failed} failed")

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text

    def _line(self, text: str) -> None:
        print(text, file=self._stdout, flush=True)


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
