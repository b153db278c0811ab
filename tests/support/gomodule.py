"""Files of a Go module, kept where Go keeps modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.realserver import skip_or_fail


def folder_of(module: str, *, what: str) -> Path:
    """Where ``path@version`` is, fetched if it is not here. Skips the test where ``what`` cannot be had."""
    go = shutil.which("go")
    if go is None:
        skip_or_fail(f"{what} cannot be had without Go", remedy="install Go 1.26 or newer")
    with tempfile.TemporaryDirectory() as folder:  # outside of any module
        answer = subprocess.run(
            [go, "mod", "download", "-json", module],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "GOWORK": "off"},
        )
    if answer.returncode != 0:
        skip_or_fail(f"{module} cannot be had: {answer.stdout[-300:]}{answer.stderr[-300:]}", remedy="a network")
    return Path(json.loads(answer.stdout)["Dir"])
