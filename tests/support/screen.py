"""A program on a terminal, and what stands on its screen as it goes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

COLUMNS, ROWS = 120, 40
_PIECE = re.compile(
    r"\x1b\[(?P<numbers>[0-9;?]*)(?P<command>[A-Za-z])|(?P<control>[\r\n\x08])|(?P<text>[^\x1b\r\n\x08]+)"
)


class Screen:
    """As much of a terminal as text that is written over itself needs: lines, erasing, moving up. No colours."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        for piece in _PIECE.finditer(text):
            if piece["text"]:
                self._put(piece["text"])
            elif piece["control"]:
                self._move(piece["control"])
            else:
                self._command(piece["command"], int(piece["numbers"]) if piece["numbers"].isdigit() else 0)

    def shown(self) -> list[str]:
        """The lines, without empty ones at the end."""
        lines = ["".join(line).rstrip() for line in self._lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _put(self, text: str) -> None:
        line = self._lines[self._row]
        line += " " * (self._column - len(line))
        line[self._column : self._column + len(text)] = text
        self._column += len(text)

    def _move(self, control: str) -> None:
        if control == "\n":
            self._row += 1
            self._lines += [[] for _ in range(self._row + 1 - len(self._lines))]
        self._column = max(self._column - 1, 0) if control == "\x08" else 0

    def _command(self, command: str, number: int) -> None:
        if command == "A":
            self._row = max(self._row - max(number, 1), 0)
        elif command == "K":
            line = self._lines[self._row]
            del line[0 if number == 2 else self._column :]


@dataclass(frozen=True)
class Played:
    """``raw`` is what was written; ``frames`` are the different screens in their order, the last one being the end."""

    code: int
    raw: str
    frames: tuple[tuple[str, ...], ...]

    @property
    def end(self) -> str:
        return "\n".join(self.frames[-1]) if self.frames else ""


def played(*words: str, cwd: Path, environ: Mapping[str, str]) -> Played:
    """Runs ``python words…`` on a terminal of its own until it ends."""
    pid, ours = pty.fork()
    if not pid:
        os.chdir(cwd)
        os.environ.update({"TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(ROWS), **environ})
        os.execv(sys.executable, [sys.executable, *words])
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    raw = b""
    frames: list[tuple[str, ...]] = []
    for piece in _read(ours):
        raw += piece
        screen = Screen()
        screen.write(raw.decode("utf-8", "ignore"))
        frame = tuple(screen.shown())
        if frame and frame != (frames[-1] if frames else ()):
            frames.append(frame)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Played(code, raw.decode(), tuple(frames))


def _read(descriptor: int) -> Iterator[bytes]:
    try:
        while piece := os.read(descriptor, 65536):
            yield piece
    except OSError:  # how a terminal says that nobody is left at its other end
        pass
    finally:
        os.close(descriptor)
