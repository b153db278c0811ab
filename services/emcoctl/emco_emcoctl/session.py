"""One run of emcoctl: what it was given, what it ends with, and what every command prepares first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from emco_emcoctl import commandline, errors
from emco_emcoctl.errors import NoInput

if TYPE_CHECKING:
    from emco_emcoctl.config import Config
    from emco_emcoctl.output import Reporter

PROGRAM = "emcoctl"
TOKEN_VARIABLE = "EMCO_TOKEN"


@dataclass
class Session:
    """``compat`` asks for the original's exit codes; ``code`` is the one to end with."""

    stdout: TextIO
    stderr: TextIO
    stdin: BinaryIO
    environ: Mapping[str, str]
    cwd: Path
    sleep: Callable[[float], None]
    clock: Callable[[], float] = time.monotonic
    compat: bool = False
    code: int = errors.OK

    def show(self, text: str) -> None:
        print(text, file=self.stdout, flush=True)

    def prepared(self, config: str, *, form: str = "") -> tuple[Config, Reporter]:
        """The configuration, announced to the user, and where to report; raises ``ConfigError``.

        ``form`` is one in which the data alone is shown (json, yaml, table).
        """
        from emco_emcoctl.config import load
        from emco_emcoctl.output import reporter

        settings = load(config, environ=self.environ, cwd=self.cwd, compat=self.compat)
        self.compat = self.compat or settings.compat
        report = reporter(stdout=self.stdout, stderr=self.stderr, environ=self.environ, form=form, clock=self.clock)
        report.configured(settings.path)
        return settings, report

    def token(self, given: tuple[str, ...], *, file: str) -> str:
        """The bearer token of the flag, the file, or the environment; ``""`` for none."""
        if token := commandline.first_of(given, flag="--token"):
            return token
        if not file:
            return self.environ.get(TOKEN_VARIABLE, "")
        try:
            return (self.cwd / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoInput(f"the token file {file} cannot be read: {error}") from error

    def bearer(self, given: tuple[str, ...], *, file: str, config: Config) -> str:
        """The same, or that of the login at the server that ``config`` names; raises ``NoInput`` where it has ended."""
        token = self.token(given, file=file)
        if token or self.compat:
            return token
        from emco_emcoctl.tokens import stored_token

        return stored_token(config, self.environ)


def session_of(context: click.Context) -> Session:
    session = context.find_object(Session)
    assert session is not None
    return session
