"""The floor, in a process of its own: server-side applies written down beforehand, sent over pooled connections.

``python -m bench.floor`` does what it is asked on its input. Answers are read and not looked into.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
from yarl import URL

from bench import workload
from bench.apiservers import context_of
from bench.child import processor_seconds, serve
from emco_common.kube.kubeconfig import parse_kubeconfig

HEADERS = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json", "User-Agent": "emco"}
Prepared = tuple[URL, bytes]


class Floor:
    def __init__(self) -> None:
        self._sessions: dict[str, tuple[str, aiohttp.ClientSession]] = {}
        self._jobs: dict[str, dict[str, list[list[Prepared]]]] = {}

    async def open(self, fleet: dict[str, str], connections: int) -> None:
        await self.close()
        for name, kubeconfig in fleet.items():
            connector = aiohttp.TCPConnector(limit=connections, ssl=context_of(kubeconfig), keepalive_timeout=120)
            session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
            self._sessions[name] = parse_kubeconfig(kubeconfig).server, session

    async def prepare(
        self, job: str, objects: list[dict[str, Any]], label: str, clusters: list[str] | None = None
    ) -> None:
        """Write the requests down, for all clusters or the named ones."""
        waves = workload.waves(objects, label=label)
        self._jobs[job] = {
            name: [[(URL(server + one.path, encoded=True), one.body) for one in wave] for wave in waves]
            for name, (server, _) in self._sessions.items()
            if clusters is None or name in clusters
        }

    async def run(self, job: str, clusters: list[str]) -> dict[str, float]:
        """Everything on all the clusters, kind by kind as rsync does; seconds, and those of the processor."""
        prepared, used, began = self._jobs.pop(job), processor_seconds(), time.perf_counter()
        await asyncio.gather(*(self._deliver(name, prepared[name]) for name in clusters))
        return {"seconds": time.perf_counter() - began, "processor": processor_seconds() - used}

    async def arrive(self, jobs: list[str], rate: float) -> list[float]:
        """The jobs come at so many a second; how long each took from its coming to its last acknowledgement."""
        began = time.perf_counter()

        async def one(number: int, job: str) -> float:
            await asyncio.sleep(began + number / rate - time.perf_counter())
            came, prepared = time.perf_counter(), self._jobs.pop(job)
            await asyncio.gather(*(self._deliver(name, waves) for name, waves in prepared.items()))
            return time.perf_counter() - came

        return list(await asyncio.gather(*(one(number, job) for number, job in enumerate(jobs))))

    async def close(self) -> None:
        for _, session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _deliver(self, name: str, waves: Sequence[Sequence[Prepared]]) -> None:
        session = self._sessions[name][1]
        for wave in waves:
            await asyncio.gather(*(self._apply(session, url, body) for url, body in wave))

    async def _apply(self, session: aiohttp.ClientSession, url: URL, body: bytes) -> None:
        async with session.patch(url, data=body, headers=HEADERS, allow_redirects=False) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{url.path}: {answer.status} {content[:300]!r}")


async def main() -> None:
    floor = Floor()
    try:
        await serve({"open": floor.open, "prepare": floor.prepare, "run": floor.run, "arrive": floor.arrive})
    finally:
        await floor.close()


if __name__ == "__main__":
    asyncio.run(main())
