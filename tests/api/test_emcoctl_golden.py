"""The command lines recorded from the original client, replayed against ours with the answers that are wanted."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("EMCO_SHARED") or ROOT.parent / "shared") / "emco" / "golden"
REPLAY, CASES = GOLDEN / "replay_emcoctl.py", GOLDEN / "emcoctl.jsonl"
COMMAND = [sys.executable, "-c", "from emco_emcoctl.main import cli; cli()"]
PARTS = 4

CONTRADICTORY = ("fatal-ovnaction", "fatal-sfc", "fatal-workflowmgr")
"""Records whose command line names ``composite-apps/c/v`` and which want ``composite-apps/c/v1`` to be requested.
Nothing else that the client is given says ``v1``, and ``res-rollback`` wants ``c/v`` to be requested as it is; so no
client can do what they want. They are replayed with the anchor that was meant."""
needs_records = pytest.mark.skipif(
    not (REPLAY.exists() and CASES.exists()),
    reason=f"{REPLAY.name} and its cases are not here; point EMCO_SHARED at the folder with emco/golden/",
)


def families() -> list[str]:
    """The first words of the ids, which the replay program takes as prefixes."""
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return sorted({json.loads(line)["id"].partition("-")[0] for line in lines if line})


def meant(line: str) -> str:
    """The record with the anchor that it wants to be requested."""
    case = json.loads(line)
    if case["id"] not in CONTRADICTORY:
        return line
    (request,) = case["wanted"]["requests"]
    *words, anchor = case["argv"]
    assert anchor.replace("/c/v/", "/c/v1/") == request["path"].removeprefix("/v2/") != anchor
    return json.dumps({**case, "argv": [*words, request["path"].removeprefix("/v2/")]})


@needs_records
@pytest.mark.parametrize("part", range(PARTS))
def test_every_recorded_command_line_does_what_is_wanted(part: int, tmp_path: Path) -> None:
    mine = families()[part::PARTS]
    lines = CASES.read_text(encoding="utf-8").splitlines()
    cases = tmp_path / "cases.jsonl"
    cases.write_text("\n".join(meant(line) for line in lines if line))

    wanted = ["--wanted", "--only", ",".join(mine), "--cases", str(cases)]
    output = replayed([sys.executable, str(REPLAY), *wanted, "--cmd", shlex.join(COMMAND)])

    assert re.search(r"^[1-9]\d* cases, 0 differ, 0 skipped", output, re.MULTILINE), output


@needs_records
@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0,
    reason="no network namespace can be made here, and the default ports must be free; run as root with util-linux",
)
@pytest.mark.parametrize("part", range(PARTS))
def test_with_compat_requests_and_codes_are_those_of_the_original(part: int) -> None:
    program = ROOT / "tests" / "support" / "ctlreplay.py"
    output = replayed(
        ["unshare", "-n", sys.executable, str(program), str(REPLAY), str(CASES), f"{part}/{PARTS}", *COMMAND]
    )

    assert re.fullmatch(r"[1-9]\d* cases\n", output), output


def replayed(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    return done.stdout + done.stderr
