"""The completion scripts, for the shells click knows (emcoctl 1)."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "fish", "powershell", "zsh")


def script(shell: str, *, command: click.Command, program: str) -> str | None:
    """The script that completes ``program``, or ``None`` for a shell that is not known."""
    completer = get_completion_class(shell) if shell in SHELLS else None
    if completer is None:
        return None
    made = completer(command, {}, program, f"_{program.upper()}_COMPLETE")
    return made.source_template % made.source_vars()
