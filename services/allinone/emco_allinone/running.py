"""How a command's work is run: its errors are one sentence, and its exit code tells."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import click

from emco_common.courtesy import courteous_loop
from emco_common.errors import EmcoError
from emco_common.filetrouble import told
from emco_common.settings import BadSettings


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Ends the process with the exit code that ``work`` answers, or 1 for an error."""
    try:
        with asyncio.Runner(loop_factory=courteous_loop) as runner:
            code = runner.run(work)
    except (BadSettings, EmcoError, OSError) as error:
        click.echo(f"emco: {told(error) if isinstance(error, OSError) else error}", err=True)
        sys.exit(1)
    sys.exit(code or 0)
