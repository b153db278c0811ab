"""The command lines recorded from the original client, replayed against ours with the answers that are wanted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("EMCO_SHARED") or ROOT.parent / "shared" / "emco") / "golden"
REPLAY = GOLDEN / "replay_emcoctl.py"
COMMAND = [sys.executable, "-c", "from emco_emcoctl.main import cli; cli()"]

CONTRADICTORY = {"fatal-ovnaction", "fatal-sfc", "fatal-workflowmgr"}
"""Records that ask for ``composite-apps/c/v`` and want ``composite-apps/c/v1`` to be requested. No client can do both;
that the default ports are right for these services is asserted in the unit tests of the configuration."""


@pytest.mark.skipif(
    not REPLAY.exists(), reason=f"{REPLAY.name} is not here; point EMCO_SHARED at the folder with golden/"
)
def test_every_recorded_command_line_does_what_is_wanted() -> None:
    done = subprocess.run(
        [sys.executable, str(REPLAY), "--wanted", "--cmd", shlex.join(COMMAND)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    differing = set(re.findall(r"^([\w-]+): ", done.stdout, re.MULTILINE))
    assert re.search(r"^\d+ cases, ", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert differing == CONTRADICTORY, done.stdout
    for wanted, got in re.findall(r"^ +want (.*)\n +got +(.*)$", done.stdout, re.MULTILINE):
        assert wanted.replace("/c/v1/", "/c/v/") == got
