"""The command lines recorded from the original client, replayed against ours with the answers that are wanted."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("EMCO_SHARED") or ROOT.parent / "shared") / "emco" / "golden"
REPLAY, CASES = GOLDEN / "replay_emcoctl.py", GOLDEN / "emcoctl.jsonl"
COMMAND = [sys.executable, "-c", "from emco_emcoctl.main import cli; cli()"]
PARTS = 4

CONTRADICTORY = {"fatal-ovnaction", "fatal-sfc", "fatal-workflowmgr"}
"""Records that ask for ``composite-apps/c/v`` and want ``composite-apps/c/v1`` to be requested. No client can do both;
that everything else about these requests is as wanted is asserted below."""


def families() -> list[str]:
    """The first words of the ids, which the replay program takes as prefixes."""
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return sorted({json.loads(line)["id"].partition("-")[0] for line in lines if line})


@pytest.mark.skipif(
    not (REPLAY.exists() and CASES.exists()),
    reason=f"{REPLAY.name} and its cases are not here; point EMCO_SHARED at the folder with emco/golden/",
)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_recorded_command_line_does_what_is_wanted(part: int) -> None:
    mine = families()[part::PARTS]
    done = subprocess.run(
        [sys.executable, str(REPLAY), "--wanted", "--only", ",".join(mine), "--cmd", shlex.join(COMMAND)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    differing = set(re.findall(r"^([\w-]+): ", done.stdout, re.MULTILINE))
    assert re.search(r"^\d+ cases, ", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert differing == {case for case in CONTRADICTORY if case.startswith(tuple(mine))}, done.stdout
    for wanted, got in re.findall(r"^ +want (.*)\n +got +(.*)$", done.stdout, re.MULTILINE):
        assert wanted.replace("/c/v1/", "/c/v/") == got
