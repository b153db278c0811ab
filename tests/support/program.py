"""Real programs run by fixtures: started and stopped by process id, waited for with a deadline, gone when we are.

A fixture's own teardown does not run when the test process is killed, so a small shell, the guard, holds the other
end of a pipe: when the pipe closes, for whatever reason, it kills what was started and removes the folder.
"""

import functools
import itertools
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.05
TAIL_LINES = 25

GUARD = """
alive=" "
while read -r change pid; do
  case $change in
    started) alive="$alive$pid " ;;
    ended) alive="${alive%% $pid *} ${alive#* $pid }" ;;
  esac
done
[ -z "${alive%% }" ] || kill -KILL $alive
rm -rf "$1"
"""


class StartError(Exception):
    """A program ended early or was not ready in time; the text holds the end of its log."""


class Nest:
    """The folder of some programs that belong together, and their guard. Closing it ends and removes everything."""

    def __init__(self, prefix: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-"))
        # A session of its own, so that an interrupt from the keyboard reaches the tests and not this shell.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.folder)],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._programs: list[Program] = []

    def write(self, name: str, content: bytes | str) -> Path:
        """Put a file only this user can read into the folder."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def program(self, name: str, command: Sequence[str | Path]) -> "Program":
        """A program with its log in the folder; not started yet."""
        program = Program(name, command, folder=self.folder, tell_guard=self._tell_guard)
        self._programs.append(program)
        return program

    def close(self) -> None:
        """Kill what still runs (test servers have nothing to save) and remove the folder."""
        for program in reversed(self._programs):
            program.kill()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(30)

    def _tell_guard(self, change: str, pid: int) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{change} {pid}\n")


class Program:
    """One process that can be started again after it was stopped; its log is appended to."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, folder: Path, tell_guard: Callable[[str, int], None]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._tell_guard = tell_guard
        # Nothing of the developer's surroundings: no proxies, no home folder with configurations.
        self._environment: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        if self._process is not None:
            raise StartError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.log.parent,
                start_new_session=True,
            )
        self._tell_guard("started", self._process.pid)

    def kill(self) -> None:
        """End it at once, as a crash does. Nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def freeze(self) -> None:
        """Stop it in its tracks, connections and all; returns when no thread of it runs any more."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(signal.SIGCONT)

    def stop(self, *, patience: float = 30) -> None:
        """Ask it to end, and kill it after `patience` seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._ended()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str = "ready") -> None:
        """Wait until `ready` answers true. Raises `StartError` at once when the program ended."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process is None or self._process.poll() is not None:
                code = None if self._process is None else self._process.returncode
                raise StartError(f"{self.name} ended with {code} before it was {what}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not {what} within {seconds:g} s:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def tail(self) -> str:
        """The end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join(f"  {self.name}| {line}" for line in lines)

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait()
        self._tell_guard("ended", self._process.pid)
        self._process = None


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address nobody listens on, below those the kernel gives to outgoing connections.

    One of those could be taken by any client between here and the server's start, which happens in long runs. Every
    parallel worker has a range of its own and gives no port twice, since servers start long after they are asked for.
    """
    free = (port for port in _candidates() if _is_free(port))
    return [next(free) for _ in range(count)]


@functools.cache
def _candidates() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    size = (_LAST_PORT - _FIRST_PORT) // _WORKERS
    ports = list(range(_FIRST_PORT + worker * size, _FIRST_PORT + (worker + 1) * size))
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_FIRST_PORT, _LAST_PORT, _WORKERS = 20_000, 32_000, 8
