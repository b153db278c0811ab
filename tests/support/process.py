"""EMCO as a process of its own, for tests that kill it."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx

START_DEADLINE = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EmcoProcess:
    """``emco up`` on one data folder; its ingress and rsync ports stay the same over restarts."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ingress = free_port()
        self.rsync = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ingress}"

    async def start(self) -> None:
        """Returns when the ingress answers; raises with the end of the log if it does not."""
        environment = os.environ | {
            "EMCO_HTTP_PORT": "0",
            "EMCO_GRPC_PORT": "0",
            "EMCO_RSYNC_GRPC_PORT": str(self.rsync),
            "EMCO_REPLICA": "the-one",
        }
        log = open(self.data.parent / "emco.log", "ab")  # noqa: SIM115, ASYNC230  # the child keeps it
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emco_allinone.main", "up", "--data", str(self.data)),
            *("--ingress-port", str(self.ingress), "--log-level", "info"),
            env=environment,
            stdout=log,
            stderr=log,
        )
        log.close()
        async with asyncio.timeout(START_DEADLINE), httpx.AsyncClient(base_url=self.url) as client:
            while True:
                assert self._process.returncode is None, self.log_tail()
                try:
                    if (await client.get("/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.02)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """A graceful stop; answers the exit code."""
        return await self._end(signal.SIGTERM)

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join((self.data.parent / "emco.log").read_text().splitlines()[-lines:])

    async def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if process.returncode is None:
            process.send_signal(number)
        return await asyncio.wait_for(process.wait(), 15)
