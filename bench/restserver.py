"""The measured side of ``bench.rest``: the orchestrator, or bare FastAPI routes over the same driver.

``python -m bench.restserver ours|bare <store URL> <folder>`` prints its port and serves until its input ends. ``POST
/bench`` answers how long requests have spent in the store and of that in the database, in seconds, since it was asked
last.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from pymongo import AsyncMongoClient, monitoring

from emco_common.log import configure_logging
from emco_common.runtime import open_deps
from emco_common.store.groupcommit import GroupCommitWriter
from emco_common.store.sqlite import SqliteStore
from emco_common.web.serving import HttpServer


@dataclass
class Spent:
    """Seconds. ``database`` is the server's answer as its driver waits for it, or SQLite at work."""

    store: float = 0.0
    database: float = 0.0


SPENT = Spent()


class _Commands(monitoring.CommandListener):
    """The time in which the MongoDB driver waits for one command or several."""

    def __init__(self) -> None:
        self._waiting = 0
        self._since = 0.0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self._waiting == 0:
            self._since = time.perf_counter()
        self._waiting += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._ended()

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._ended()

    def _ended(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            SPENT.database += time.perf_counter() - self._since


def _noting_sqlite() -> None:
    """Note the time in which SQLite works, in its threads."""

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*arguments)
            finally:
                SPENT.database += time.perf_counter() - began

        return timed

    SqliteStore._with_reader = noted(SqliteStore._with_reader)  # type: ignore[method-assign]
    GroupCommitWriter._commit = noted(GroupCommitWriter._commit)  # type: ignore[method-assign]


class _Timed:
    """A store of which the time in its methods is noted."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await method(*arguments, **named)
            finally:
                SPENT.store += time.perf_counter() - began

        return timed


async def ours(url: str, folder: Path, stack: AsyncExitStack) -> FastAPI:
    from emco_orchestrator.app import create_service
    from emco_orchestrator.settings import OrchestratorSettings

    traces = {name: value for name, value in os.environ.items() if name.startswith("EMCO_TRACE_")}
    settings = OrchestratorSettings.load(
        "orchestrator", traces, database_url=url, bus_url=f"embedded://{folder}/bus.db", data_key="bench"
    )
    deps = await stack.enter_async_context(open_deps(settings))
    return create_service(settings, replace(deps, store=_Timed(deps.store))).app  # type: ignore[arg-type]


class Metadata(BaseModel):
    name: str
    description: str = ""
    userData1: str = ""
    userData2: str = ""


class Project(BaseModel):
    metadata: Metadata


PATH = "/v2/projects"


async def bare(url: str, folder: Path, stack: AsyncExitStack) -> FastAPI:
    return _bare_sqlite(folder) if url.startswith("sqlite") else _bare_mongodb(url)


def _bare_mongodb(url: str) -> FastAPI:
    app = FastAPI()
    projects = AsyncMongoClient[dict[str, Any]](url)[urlsplit(url).path.strip("/")].projects

    @app.post(PATH, status_code=201, response_model=Project)
    async def create(project: Project) -> Any:
        await projects.insert_one({"_id": project.metadata.name, **project.model_dump()})
        return project

    @app.get(PATH, response_model=list[Project])
    async def read_all() -> Any:
        return await projects.find().to_list()

    @app.get(PATH + "/{name}", response_model=Project)
    async def read(name: str) -> Any:
        found = await projects.find_one({"_id": name})
        if found is None:
            raise HTTPException(404)
        return found

    @app.delete(PATH + "/{name}", status_code=204)
    async def delete(name: str) -> None:
        await projects.delete_one({"_id": name})

    return app


def _bare_sqlite(folder: Path) -> FastAPI:
    app = FastAPI()
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE projects (name TEXT PRIMARY KEY, body TEXT)")

    @app.post(PATH, status_code=201, response_model=Project)
    async def create(project: Project) -> Any:
        row = (project.metadata.name, project.model_dump_json())
        connection.execute("INSERT INTO projects VALUES (?, ?)", row)
        return project

    @app.get(PATH, response_model=list[Project])
    async def read_all() -> Any:
        rows = connection.execute("SELECT body FROM projects").fetchall()
        return [json.loads(body) for (body,) in rows]

    @app.get(PATH + "/{name}", response_model=Project)
    async def read(name: str) -> Any:
        row = connection.execute("SELECT body FROM projects WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise HTTPException(404)
        return json.loads(row[0])

    @app.delete(PATH + "/{name}", status_code=204)
    async def delete(name: str) -> None:
        connection.execute("DELETE FROM projects WHERE name = ?", (name,))

    return app


async def main(kind: str, url: str, folder: Path) -> None:
    configure_logging("info")
    monitoring.register(_Commands())
    _noting_sqlite()
    make: Callable[[str, Path, AsyncExitStack], Awaitable[FastAPI]] = {"ours": ours, "bare": bare}[kind]
    async with AsyncExitStack() as stack:
        app = await make(url, folder, stack)

        @app.post("/bench")
        async def bench() -> dict[str, float]:
            spent = {"store": SPENT.store, "database": SPENT.database}
            SPENT.store = SPENT.database = 0.0
            return spent

        server = HttpServer(app, "127.0.0.1", 0, name=kind)
        await server.start()
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
