"""What a run shows: lines that scripts cut at ``Response:``, or one line per document for people (emcoctl 8).

Answers go to standard output, problems to standard error, once each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from emco_emcoctl.drawing import printable
from emco_emcoctl.planning import Call
from emco_emcoctl.requests import Answer

if TYPE_CHECKING:
    from emco_emcoctl.following import Progress
    from emco_emcoctl.live import Bars

_GREEN, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_REASON_LENGTH = 300
_QUICK_UPLOAD = 2.0
"""Seconds that an upload may take before its progress is shown."""


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

    def uploading(self, anchor: str, *, sent: int, total: int) -> None:
        """So many bytes of a body with files are on their way."""

    def following(self, anchor: str, progress: Progress) -> None:
        """What is waited for has come so far."""

    def followed(self, anchor: str, progress: Progress, *, reached: bool) -> None:
        """What was waited for has come to rest, or is given up."""


def reporter(
    *,
    stdout: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    form: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Reporter:
    """Output of the data alone if a ``form`` is given (json, yaml, table); else for people if ``stdout`` is a terminal,
    without colours if ``NO_COLOR`` is set; else for scripts."""
    if form:
        return DataOutput(stdout=stdout, stderr=stderr, form=form)
    if stdout.isatty():
        return TerminalOutput(stdout=stdout, stderr=stderr, colour=colours(stdout, environ), clock=clock)
    return ScriptOutput(stdout=stdout, stderr=stderr)


def colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether what is written to ``stream`` should be coloured."""
    return stream.isatty() and not environ.get("NO_COLOR")


class _Problems:
    """``stderr`` lines, which all kinds of output share."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr
        self._last = ""

    def uploading(self, anchor: str, *, sent: int, total: int) -> None:
        pass

    def following(self, anchor: str, progress: Progress) -> None:
        line = f"{anchor}: {_how_far(progress)}"
        if progress.state and line != self._last:
            print(f"emcoctl: {line}", file=self._stderr, flush=True)
        self._last = line

    def followed(self, anchor: str, progress: Progress, *, reached: bool) -> None:
        self._last = ""

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


class DataOutput(_Problems):
    """The bodies that were answered, in one form: that of the one request, or a list of what each was answered."""

    def __init__(self, *, stdout: TextIO, stderr: TextIO, form: str) -> None:
        super().__init__(stderr)
        self._stdout = stdout
        self._form = form
        self._answers: list[tuple[Call, Answer]] = []

    def configured(self, path: str | None) -> None:
        pass

    def answered(self, call: Call, base_url: str, answer: Answer) -> None:
        if not answer.ok:
            self.problem(f"{_what(call)}: {answer.status}: {_reason(answer)}")
        self._answers.append((call, answer))

    def accepted(self, call: Call, *, seconds: int) -> None:
        pass

    def finished(self) -> None:
        from emco_emcoctl.drawing import data

        told = [_told(call, answer) for call, answer in self._answers if answer.ok or call.method != "GET"]
        if all(call.method == "GET" for call, _ in self._answers):
            told = [one["body"] for one in told]
        if told:
            for line in data(told[0] if len(self._answers) == 1 else told, form=self._form):
                print(line, file=self._stdout, flush=True)


class TerminalOutput(_Problems):
    """A tick or a cross per document; what was read follows its line."""

    def __init__(
        self, *, stdout: TextIO, stderr: TextIO, colour: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stderr)
        self._stdout = stdout
        self._clock = clock
        self._bars: Bars | None = None
        self._upload_began = 0.0
        self._colour = colour
        self._done = 0
        self._failed = 0

    def configured(self, path: str | None) -> None:
        self._line(self._painted(_DIM, f"configuration: {path or 'none found, using the local defaults'}"))

    def answered(self, call: Call, base_url: str, answer: Answer) -> None:
        what = _what(call)
        if answer.ok:
            self._done += 1
            self._line(f"{self._painted(_GREEN, '✓')} {what}  {self._painted(_DIM, str(answer.status))}")
            if call.method == "GET" and answer.body:
                self._line(_pretty(answer.body))
        else:
            self._failed += 1
            self._line(f"{self._painted(_RED, '✗')} {what}  {answer.status}: {_reason(answer)}")

    def accepted(self, call: Call, *, seconds: int) -> None:
        if seconds:
            self._line(self._painted(_DIM, f"  accepted; waiting {seconds} s"))

    def problem(self, message: str) -> None:
        self._failed += 1
        print(f"{self._painted(_RED, '✗')} {message}", file=self._stderr, flush=True)

    def uploading(self, anchor: str, *, sent: int, total: int) -> None:
        if not sent:
            self._upload_began = self._clock()
        elif sent >= total:
            self._bar_gone(anchor)
        elif self._clock() - self._upload_began >= _QUICK_UPLOAD:
            self._bar(anchor, done=sent, total=total, note=f"{sent >> 20} of {total >> 20} MiB")

    def following(self, anchor: str, progress: Progress) -> None:
        self._bar(anchor, done=progress.done, total=progress.total, note=_how_far(progress))

    def followed(self, anchor: str, progress: Progress, *, reached: bool) -> None:
        self._bar_gone(anchor)
        if reached:
            self._line(f"{self._painted(_GREEN, '✓')} {printable(anchor)}  {_how_far(progress)}")

    def _bar(self, anchor: str, *, done: int, total: int, note: str) -> None:
        if self._bars is None:
            from emco_emcoctl.live import Bars

            self._bars = Bars(self._stdout, colours=self._colour)
        self._bars.show(anchor, done=done, total=total, note=note)

    def _bar_gone(self, anchor: str) -> None:
        if self._bars:
            self._bars.close(anchor)

    def finished(self) -> None:
        if self._done + self._failed > 1:
            self._line(f"{self._done} done, {self._failed} failed")

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text

    def _line(self, text: str) -> None:
        print(text, file=self._stdout, flush=True)


def _what(call: Call) -> str:
    named = f" {printable(call.name)}" if call.name else ""
    return f"{call.method} {printable(call.address.path.removeprefix('/v2/'))}{named}"


def _reason(answer: Answer) -> str:
    return printable(" ".join(answer.body.split())[:_REASON_LENGTH]) or "no reason given"


def _how_far(progress: Progress) -> str:
    counted = f", {progress.done} of {progress.total}" if progress.total else ""
    reason = f": {printable(progress.reason)}" if progress.reason else ""
    return f"{progress.state or 'waiting'}{counted}{reason}"


def _told(call: Call, answer: Answer) -> dict[str, Any]:
    try:
        body = json.loads(answer.body or "null")
    except ValueError:
        body = answer.body
    anchor = call.address.path.removeprefix("/v2/")
    named = {"name": call.name} if call.name else {}
    return {"method": call.method, "anchor": anchor, **named, "status": answer.status, "body": body}


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
