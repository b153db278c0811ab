"""How fast a context bus is: the embedded one, and etcd from the wheel or at ``EMCO_TEST_ETCD``. Asserts nothing.

python -m bench.contextbus
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from emco_common.contextbus.api import ContextBus, Put
from emco_common.contextbus.embedded import EmbeddedBus
from tests.support.etcd import SERVER_VARIABLE, EtcdServer, RemoteEtcd, etcd_programs

BASE = "/bench/"
VALUE = b"x" * 1_000
KEYS = 10_000


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def puts(bus: ContextBus, *, count: int, writers: int) -> float:
    """Single puts a second by so many writers at once."""

    async def write(writer: int) -> None:
        for number in range(count // writers):
            await bus.put(f"{BASE}put/{writer}/{number}", VALUE)

    seconds = await timed(lambda: asyncio.gather(*(write(writer) for writer in range(writers))))
    return count / seconds


async def transactions(bus: ContextBus, *, writers: int) -> float:
    """Keys a second, a hundred to a transaction, so many transactions under way at once."""
    turns = asyncio.Semaphore(writers)

    async def write(start: int) -> None:
        async with turns:
            await bus.transact([Put(f"{BASE}keys/{start + part:05}", VALUE) for part in range(100)])

    return KEYS / await timed(lambda: asyncio.gather(*(write(start) for start in range(0, KEYS, 100))))


async def watch_latency(bus: ContextBus, *, count: int) -> tuple[float, float]:
    """Milliseconds from the call of ``put`` to its event: median, and 99th percentile."""
    taken: list[float] = []
    async with aclosing(bus.watch(f"{BASE}watched/")) as watch:
        await anext(watch)
        for number in range(count):
            start = time.perf_counter()
            writing = asyncio.create_task(bus.put(f"{BASE}watched/{number}", VALUE))
            await anext(watch)
            taken.append((time.perf_counter() - start) * 1_000)
            await writing
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


async def measure(name: str, bus: ContextBus) -> None:
    await bus.delete(BASE, prefix=True)
    alone, together = await puts(bus, count=1_000, writers=1), await puts(bus, count=10_000, writers=100)
    in_turn, at_once = await transactions(bus, writers=1), await transactions(bus, writers=8)
    whole = statistics.median([await timed(lambda: bus.range(f"{BASE}keys/")) for _ in range(5)])
    bare = statistics.median([await timed(lambda: bus.range(f"{BASE}keys/", keys_only=True)) for _ in range(5)])
    median, slowest = await watch_latency(bus, count=500)
    gone = await timed(lambda: bus.delete(f"{BASE}keys/", prefix=True))
    await bus.delete(BASE, prefix=True)
    print(
        f"{name:<24} puts/s {alone:>7,.0f} (1 writer) {together:>7,.0f} (100)"
        f" · keys/s by 100 {in_turn:>7,.0f} (1) {at_once:>7,.0f} (8)"
        f" · range of {KEYS:,} {whole * 1e3:.0f} ms, keys only {bare * 1e3:.0f} ms, deleted in {gone * 1e3:.0f} ms"
        f" · watch {median:.2f} ms, p99 {slowest:.2f} ms"
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        embedded = await EmbeddedBus.open(Path(folder, "bus.db"))
        await measure("embedded", embedded)
        await embedded.close()
    own = os.environ.get(SERVER_VARIABLE)
    if own:
        await measure_etcd(RemoteEtcd(own.split(",")))
        return
    server = EtcdServer(etcd_programs())
    try:
        await asyncio.to_thread(server.start)
        await measure_etcd(server)
    finally:
        server.close()


async def measure_etcd(server: EtcdServer | RemoteEtcd) -> None:
    bus = await server.connect()
    await measure("etcd (no fsync)" if isinstance(server, EtcdServer) else "etcd", bus)
    await bus.close()


if __name__ == "__main__":
    asyncio.run(main())
