"""What only the embedded context bus does: one file, one process, survival of a kill, and its own compaction."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from emco_common.contextbus.api import BusUnavailable, Compacted, EventType, Put, UnusableBus
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.contextbus.factory import open_reading

PATIENCE = 20

WRITER = """
import asyncio, pathlib, sys
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.contextbus.factory import open_reading

async def main():
    bus = await EmbeddedBus.open(pathlib.Path(sys.argv[1]))
    lease = await bus.lease(60)
    await bus.put("/owned/", b"", lease=lease.id)
    number = 0
    while True:
        await asyncio.gather(*(bus.put(f"/n/{number + part:06}/", b"x" * 500) for part in range(10)))
        number += 10
        print(number, flush=True)

asyncio.run(main())
"""


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    first = await bus.put("/a/", b"1")
    await bus.put("/b/", b"")
    await bus.delete("/b/")
    await bus.close()
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch("/", start_revision=first)) as watch:
        entry = await bus.get("/a/")
        assert entry is not None
        assert (entry.value, entry.mod_revision) == (b"1", first)
        await anext(watch)
        events = await anext(watch)
        assert [(event.type, event.entry.key) for event in events] == [
            (EventType.PUT, "/a/"),
            (EventType.PUT, "/b/"),
            (EventType.DELETE, "/b/"),
        ]
        assert await bus.put("/c/", b"") == first + 3
    await bus.close()


def write_until_killed(file: Path, count: int) -> int:
    """Let another process write, kill it after ``count`` acknowledged writes, answer how many there were."""
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = next(int(line) for line in process.stdout if int(line) >= count)
        process.kill()
        return int((process.stdout.read().split() or [str(acknowledged)])[-1])


async def test_what_was_acknowledged_survives_a_kill_and_leases_do_not(tmp_path: Path) -> None:
    file = tmp_path / "bus.db"
    acknowledged = await asyncio.to_thread(write_until_killed, file, 300)
    bus = await EmbeddedBus.open(file)
    kept = [entry.key for entry in (await bus.range("/n/")).entries]
    assert kept[:acknowledged] == [f"/n/{number:06}/" for number in range(acknowledged)]
    assert await bus.get("/owned/") is None
    await bus.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_second_opener_of_the_file_is_refused(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    with pytest.raises(BusUnavailable, match="another process"):
        await EmbeddedBus.open(tmp_path / "bus.db")
    await bus.close()
    await (await EmbeddedBus.open(tmp_path / "bus.db")).close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_text("no database, certainly " * 100)
    with pytest.raises(UnusableBus, match="cannot use"):
        await EmbeddedBus.open(tmp_path / "bus.db")


async def test_a_bus_in_memory_leaves_nothing_behind() -> None:
    bus = await EmbeddedBus.open(":memory:")
    await bus.put("/a/", b"")
    await bus.close()
    again = await EmbeddedBus.open(":memory:")
    assert await again.get("/a/") is None
    await again.close()


async def test_a_watch_from_before_the_kept_history_is_told_so() -> None:
    bus = await EmbeddedBus.open(":memory:", history=20)
    start = await bus.put("/a/", b"first")
    for number in range(100):
        await bus.put("/b/", b"%d" % number)
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch("/", start_revision=start)) as watch:
        assert not await anext(watch)
        with pytest.raises(Compacted):
            await anext(watch)
    entry = await bus.get("/a/")
    assert entry is not None
    assert entry.value == b"first"
    await bus.close()


async def test_history_is_bounded_and_values_in_force_are_kept(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.db", history=50)
    for number in range(40):
        await bus.transact([Put(f"/k/{part:02}", b"%d" % number) for part in range(10)])
    await bus.delete("/k/0", prefix=True)
    seen = await bus.range("/k/")
    assert [entry.key for entry in seen.entries] == []
    await bus.transact([Put(f"/k/{part:02}", b"last") for part in range(10)])
    for _ in range(200):
        await bus.put("/other", b"")
    assert [entry.value for entry in (await bus.range("/k/")).entries] == [b"last"] * 10
    await bus.close()
    with sqlite3.connect(tmp_path / "bus.db") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM log").fetchone()
    assert rows <= 50 + 26 + 11


async def test_a_lease_ends_when_the_clock_passes_its_life() -> None:
    now = 100.0
    bus = await EmbeddedBus.open(":memory:", clock=lambda: now)
    lease = await bus.lease(1)
    await bus.put("/a/", b"", lease=lease.id)
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch("/")) as watch:
        await anext(watch)
        now += 5
        assert lease.lost
        events = await anext(watch)
        await lease.wait_lost()
    assert [(event.type, event.entry.key) for event in events] == [(EventType.DELETE, "/a/")]
    assert await bus.get("/a/") is None
    await bus.close()


async def test_a_closed_bus_says_so_to_callers_and_watches() -> None:
    bus = await EmbeddedBus.open(":memory:")
    watch = bus.watch("/")
    await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await bus.close()
    await bus.close()
    with pytest.raises(BusUnavailable, match="closed"):
        await asyncio.wait_for(waiting, PATIENCE)
    with pytest.raises(BusUnavailable, match="closed"):
        await bus.put("/a/", b"")
    with pytest.raises(BusUnavailable, match="closed"):
        await bus.get("/a/")


async def test_a_cancelled_writer_does_not_hide_its_event_from_watches() -> None:
    bus = await EmbeddedBus.open(":memory:")
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch("/")) as watch:
        await anext(watch)
        writing = asyncio.ensure_future(bus.put("/a/", b""))
        await asyncio.sleep(0)
        writing.cancel()
        assert [event.entry.key for event in await anext(watch)] == ["/a/"]
    await bus.close()


async def test_its_file_is_read_while_another_process_has_it(tmp_path: Path) -> None:
    file = tmp_path / "bus.db"
    url = f"embedded://{file}"
    with pytest.raises(UnusableBus, match="there is no context bus"):
        await open_reading(url)
    bus = await EmbeddedBus.open(file)
    await bus.put("/a/", b"1")
    reading = await open_reading(url)
    async with aclosing(reading.snapshot("/")) as pieces:
        assert [entry.key async for piece in pieces for entry in piece.entries] == ["/a/"]
    await reading.close()
    await bus.close()
