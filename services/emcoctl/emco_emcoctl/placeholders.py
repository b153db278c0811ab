"""What an export leaves to be filled in, and how it is told again before anything is sent."""

from __future__ import annotations

from pathlib import Path

FILE = b"# emcoctl export: a placeholder. Put here "
"""A file that begins so stands for one that was not exported."""

TEXT = "<to be filled in: not exported>"
"""A text in a document that stands for a secret."""


def is_placeholder(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(FILE)) == FILE
