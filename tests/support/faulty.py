"""A process whose wall clock can be put forward and back, and whose disk can be made to take no more writes.

Both are done to the real program from outside, by a library that is loaded before the C library; it is compiled where
there is a C compiler, and a test that needs it skips by name where there is none.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("faulty.c")
_LAYOUT = struct.Struct("=qq")


class Faults:
    """Those of the processes that are started with ``environment``; none to begin with."""

    def __init__(self, folder: Path, *, disk: Path | None = None) -> None:
        """``disk`` is the folder that takes no writes when there is an ``error``."""
        library = _compiled(folder / "faulty.so")
        told = folder / "faults"
        told.write_bytes(_LAYOUT.pack(0, 0))
        with told.open("r+b") as file:
            self._told = mmap.mmap(file.fileno(), _LAYOUT.size)
        self.environment = {"LD_PRELOAD": str(library), "FAULTY_TOLD": str(told), "FAULTY_FOLDER": str(disk or "")}
        self._clock = self._error = 0

    def step(self, seconds: int) -> None:
        """Put the wall clock forward, or back."""
        self._clock += seconds
        self._tell()

    def break_disk(self, error: int) -> None:
        """From now on a write answers this number of ``errno``."""
        self._error = error
        self._tell()

    def mend_disk(self) -> None:
        self.break_disk(0)

    def _tell(self) -> None:
        self._told[:] = _LAYOUT.pack(self._clock, self._error)


def _compiled(library: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for tests/support/faulty.c; remedy: apt-get install gcc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library
