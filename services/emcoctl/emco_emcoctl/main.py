"""Where emcoctl is entered: ``cli`` is the program, ``run`` the same inside a process."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO

import click

from emco_emcoctl import commandline, errors
from emco_emcoctl.commands import root
from emco_emcoctl.errors import CtlError, UsageError
from emco_emcoctl.session import PROGRAM, Session

_BROKEN_PIPE = 141


def run(
    argv: Sequence[str],
    *,
    stdout: TextIO,
    stderr: TextIO,
    stdin: BinaryIO | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Carries out one command line and returns its exit code (see ``errors``); a user's mistake raises nothing.

    Relative paths are meant from ``cwd``, by default the working directory. Blocks until the last answer is there.
    """
    session = Session(
        stdout=stdout,
        stderr=stderr,
        stdin=io.BytesIO() if stdin is None else stdin,
        environ=os.environ if environ is None else environ,
        cwd=Path() if cwd is None else cwd,
        sleep=sleep,
        clock=clock,
    )
    try:
        words = commandline.arranged(list(argv), commands=root.commands)
        session.compat, words = commandline.asked_for("--compat", words)
        root.main(words, prog_name=PROGRAM, standalone_mode=False, obj=session)
    except CtlError as error:
        return _failed(session, error)
    except click.ClickException as error:
        return _failed(session, UsageError(f"{error.format_message().rstrip('.')}; see '{PROGRAM} --help'"))
    except (KeyboardInterrupt, click.Abort):
        print(f"{PROGRAM}: interrupted", file=stderr)
        return errors.ENDED_BY_INTERRUPT if session.compat else errors.INTERRUPTED
    return session.code


def cli() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        root.main(prog_name=PROGRAM)
    try:
        code = run(sys.argv[1:], stdout=sys.stdout, stderr=sys.stderr, stdin=sys.stdin.buffer)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _BROKEN_PIPE
    if code == errors.ENDED_BY_INTERRUPT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(code)


def _failed(session: Session, error: CtlError) -> int:
    print(f"{PROGRAM}: {error}", file=session.stderr, flush=True)
    return error.compat_code if session.compat else error.exit_code
