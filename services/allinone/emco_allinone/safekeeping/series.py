"""Backups that are made again and again into one folder: how each is called, and which are kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

_NAME = re.compile(r"emco-\d{8}T\d{6}Z\.zip")


def next_in(folder: Path, now: datetime) -> Path:
    """The file for a backup that is made now; by its name it sorts after older ones."""
    return folder / f"emco-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"


def forget_all_but(folder: Path, keep: int) -> list[Path]:
    """Remove the oldest of the series until ``keep`` are left; answers what was removed. Files that somebody has named
    himself are left alone."""
    series = sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))
    gone = series[: max(len(series) - keep, 0)]
    for file in gone:
        file.unlink()
    return gone
