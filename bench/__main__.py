"""``python -m bench`` lists the measurements, ``python -m bench fanout latency`` runs these, ``all`` every one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

RUN = {
    "demo_timeline": (),
    "instantiate": (),
    "rest": (),
    "contextbus": (),
    "registration": (),
    "store": (),
    "fanout": (),
    "unchanged": (),
    "isolation": (),
    "latency": (),
    "idle": (),
    "transport": (),
    "agent": (),
    "busy": (),
    "chaos": (),
    "ending": (),
    "tenthousand": (),
}
"""By module, the options with which ``all`` runs it. What is not there is not run."""


def main() -> int:
    wanted = sys.argv[1:]
    found = [name for name in RUN if (Path(__file__).parent / f"{name}.py").exists()]
    if not wanted:
        for name in found:
            print(f"{name:<15}{_first_line(name)}")
        return 0
    failed = 0
    for name in found if wanted == ["all"] else wanted:
        failed |= subprocess.run([sys.executable, "-m", f"bench.{name}", *RUN[name]], check=False).returncode
    return failed


def _first_line(name: str) -> str:
    """What it answers, as its docstring begins."""
    text = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())) or ""
    return text.partition("\n")[0].partition(": ``")[0].rstrip(".:")


if __name__ == "__main__":
    sys.exit(main())
