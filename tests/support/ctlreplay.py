"""A program that replays recorded command lines with ``--compat`` and prints where ours differs from the record in its
requests, its exit code or its ``Response Code:`` lines.

    python ctlreplay.py REPLAY-PROGRAM CASES ONE-OF-SO-MANY COMMAND…

The last line tells how many cases were compared. It is a program of its own because it wants a network namespace in
which the services' default ports are free.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def main(replay: Path, cases: Path, part: str, command: list[str]) -> None:
    recorded = _module(replay)
    recorded.loopback_up()
    server = recorded.Recorder()
    server.start(default_ports=True)
    first, count = map(int, part.split("/"))
    lines = [line for line in cases.read_text(encoding="utf-8").splitlines() if line.strip()][first::count]
    for case in map(json.loads, lines):
        done = recorded.run_case(case, [*command, "--compat"], server)
        for difference in _differences(recorded, case, done):
            print(f"{case['id']}: {difference}")
    print(f"{len(lines)} cases")


def _differences(recorded: ModuleType, case: dict[str, Any], done: dict[str, Any]) -> list[str]:
    found: list[str] = recorded.differences({**case, "stdout": None, "stderr": None}, done, False)
    wanted, got = (_codes(one["stdout"]) for one in (case, done))
    return found if wanted == got else [*found, f"codes {got} instead of {wanted}"]


def _codes(output: object) -> list[str]:
    return re.findall(r"^Response Code: .*$", output if isinstance(output, str) else "", re.MULTILINE)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_replay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
