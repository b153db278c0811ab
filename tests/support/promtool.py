"""Prometheus' own judge of rules and metrics: the one of the testbed, ``$EMCO_PROMTOOL``, or one on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.support.realserver import skip_or_fail
from tests.testbed.build import PROMTOOL, cache_root

SECONDS = 60


@cache
def _program() -> str | None:
    built = cache_root() / PROMTOOL.folder / "promtool"
    return os.environ.get("EMCO_PROMTOOL") or (str(built) if built.exists() else shutil.which("promtool"))


def promtool(*arguments: str, given: str | None = None, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What it says, whatever that is. Skips the test where there is none."""
    program = _program()
    if program is None:
        skip_or_fail("promtool cannot be had", remedy="make testbed, or EMCO_PROMTOOL=<path>")
    return subprocess.run(
        [program, *arguments], input=given, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
