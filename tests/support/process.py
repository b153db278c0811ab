"""EMCO's programs as processes of their own: what they print is kept, and each is ended by its process id."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.program import free_ports

START_DEADLINE = 30.0
STOP_DEADLINE = 15.0
POLL = 0.02
TAIL_LINES = 40


class Command:
    """One call of ``emco``, or of another module's command line; ``output`` is what it has printed so far."""

    def __init__(
        self,
        *arguments: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        module: str = "emco_allinone.main",
        folder: Path | None = None,
    ) -> None:
        self.log = log
        self._arguments = ("-m", module, *arguments)
        self._environment = _surroundings() | {"PYTHONUNBUFFERED": "1", **(environment or {})}
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._arguments),
                env=self._environment,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def says(self, text: str) -> str:
        """The output once it holds ``text``. Fails at once when the process has ended without saying so."""
        async with asyncio.timeout(START_DEADLINE):
            while text not in self.output:
                assert self.runs or text in self.output, f"ended without {text!r}:\n{self.tail()}"
                await asyncio.sleep(POLL)
        return self.output

    async def run(self) -> tuple[int, str]:
        """Start it and wait for its end; answers exit code and output."""
        await self.start()
        return await self.ended(), self.output

    async def ended(self, seconds: float = 120.0) -> int:
        """The exit code; a process that is late is killed and fails the test."""
        assert self._process is not None, "not started"
        try:
            return await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError(f"did not end within {seconds:g} s:\n{self.tail()}") from None

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; 0 when it never ran."""
        if self._process is None:
            return 0
        if self.runs:
            self._process.send_signal(number)
        return await self.ended(STOP_DEADLINE)

    def signal(self, number: signal.Signals) -> None:
        """Send one, and wait for nothing."""
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def family(self) -> list[int]:
        """Process ids of what runs in its session: itself and what it started."""
        return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _session_of(stat) == self.pid]

    def tail(self) -> str:
        return "\n".join(self.output.splitlines()[-TAIL_LINES:])


class EmcoProcess:
    """``emco up`` on one data folder; its ingress and rsync ports stay the same over restarts."""

    def __init__(self, data: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.ingress, self.rsync = free_ports(2)
        ports = {"EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0", "EMCO_RSYNC_GRPC_PORT": str(self.rsync)}
        self.command = Command(
            *("up", "--data", str(data), "--ingress-port", str(self.ingress), "--log-level", "info"),
            log=data.parent / "emco.log",
            environment=ports | (dict(environment) if environment else {}),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ingress}"

    async def start(self) -> None:
        """Returns when the ingress answers; raises with the end of the log if it does not."""
        await self.command.start()
        async with asyncio.timeout(START_DEADLINE), httpx.AsyncClient(base_url=self.url) as client:
            while True:
                assert self.command.runs, self.command.tail()
                try:
                    if (await client.get("/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(POLL)

    async def kill(self) -> None:
        await self.command.end(signal.SIGKILL)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """A graceful stop; answers the exit code."""
        return await self.command.end(number)


def _surroundings() -> dict[str, str]:
    """The environment of the tests without settings of EMCO that the developer may have made."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("EMCO_", "DB_EMCO_"))}


def _session_of(stat: Path) -> int:
    try:
        state, _parent, _group, session = stat.read_text().rpartition(")")[2].split()[:4]
    except OSError:  # it has ended meanwhile
        return 0
    return 0 if state == "Z" else int(session)
