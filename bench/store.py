"""How many operations a second the document stores take: ``python -m bench.store [--operations N] [--url URL …]``.

Without ``--url`` it measures SQLite in a temporary folder and, where it is installed, SecantusDB as a MongoDB server.
The floor is what the same disk or server does for one plain insert at a time, without keys, integrity or revisions.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pymongo import AsyncMongoClient

from bench.programs import secantusdb
from emco_common.store.api import Document, DocumentStore, StoreUnavailable
from emco_common.store.factory import open_store

BODY = {"metadata": {"name": "n", "description": "d" * 100, "userData1": "", "userData2": ""}, "spec": {"app": "a"}}
PARENTS = 20
LISTED = 1000


async def rate(operation: Callable[[int], Awaitable[object]], *, total: int, in_flight: int) -> float:
    numbers = iter(range(total))

    async def worker() -> None:
        for number in numbers:
            await operation(number)

    began = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(in_flight)])
    return total / (time.perf_counter() - began)


def parent(number: int) -> dict[str, str]:
    return {"project": f"p{number % PARENTS}"}


def child(number: int, run: str) -> dict[str, str]:
    return {**parent(number), "app": f"{run}-{number}"}


async def measure(store: DocumentStore, operations: int) -> None:
    for number in range(PARENTS):
        await store.create(Document(parent(number), BODY))
    large = {"project": "large"}
    await store.create(Document(large, BODY))
    await rate(lambda n: store.create(Document({**large, "app": f"{n}"}, BODY)), total=LISTED, in_flight=16)
    for in_flight in (1, 16):
        run = f"run{in_flight}"

        async def create(n: int, run: str = run) -> object:
            new = Document(child(n, run), BODY, references=(parent(n + 1),))
            return await store.create(new, parent=parent(n))

        steps: list[tuple[str, Callable[[int], Awaitable[object]], int]] = [
            ("create (parent, one reference)", create, operations),
            ("get", lambda n, run=run: store.get(child(n, run)), operations),
            (f"list {LISTED}", lambda _n: store.list(("project", "app"), large), max(10, operations // 50)),
            ("replace", lambda n, run=run: store.replace(Document(child(n, run), BODY)), operations),
            ("delete", lambda n, run=run: store.delete(child(n, run)), operations),
        ]
        for name, operation, total in steps:
            print(
                f"  {name:32} {in_flight:2} in flight {await rate(operation, total=total, in_flight=in_flight):9.0f} /s"
            )


def sqlite_floor(folder: Path, operations: int) -> float:
    with contextlib.closing(sqlite3.connect(folder / "floor.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        began = time.perf_counter()
        for _ in range(operations):
            connection.execute("INSERT INTO t (body) VALUES (?)", (str(BODY),))
        return operations / (time.perf_counter() - began)


async def mongodb_floor(url: str, operations: int) -> float:
    async with AsyncMongoClient[dict[str, object]](url, w="majority", journal=True) as client:
        collection = client.get_default_database().floor
        return await rate(lambda _n: collection.insert_one({"body": BODY}), total=operations, in_flight=1)


async def opened(url: str) -> DocumentStore:
    deadline = time.monotonic() + 30
    while True:
        try:
            return await open_store(url)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise


async def show(url: str, operations: int) -> None:
    store = await opened(url)
    print(url.partition("?")[0])
    try:
        if url.startswith("sqlite"):
            floor = await asyncio.to_thread(sqlite_floor, Path(url.removeprefix("sqlite://")).parent, operations)
        else:
            floor = await mongodb_floor(url, operations)
        print(f"  {'floor: one plain insert':32}  1 in flight {floor:9.0f} /s")
        await measure(store, operations)
    finally:
        await store.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--url", action="append", default=[])
    given = parser.parse_args()
    if given.url:
        for url in given.url:
            await show(url, given.operations)
        return
    with tempfile.TemporaryDirectory(prefix="emco-bench-", dir=Path.cwd()) as name:
        await show(f"sqlite://{name}/store.db", given.operations)
        async with secantusdb(Path(name)) as url:
            if url is not None:
                await show(url, max(50, given.operations // 5))


if __name__ == "__main__":
    asyncio.run(main())
