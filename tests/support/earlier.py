"""EMCO as it was at an earlier commit, to run beside the present one: its sources, taken from the history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("common", "services", "simcluster")


def earlier(commit: str, folder: Path) -> dict[str, str]:
    """What is to be in the environment of a process that runs it. Skips where the history does not reach so far."""
    found = subprocess.run(["git", "-C", str(ROOT), "archive", commit, *PARTS], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"commit {commit} cannot be had; remedy: git fetch --unshallow, in a clone made by git")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    roots = [folder / "common", folder / "simcluster", *sorted((folder / "services").iterdir())]
    return {"PYTHONPATH": ":".join(map(str, roots))}
