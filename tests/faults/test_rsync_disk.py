"""The disk under bus and store is full, locked, damaged, or of another version (robustness 60)."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from emco_common.contextbus.api import BusUnavailable, Compare, Put, UnusableBus
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.contextbus.embedded.ledger import APPLICATION_ID, VERSION
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, running

pytestmark = pytest.mark.robustness(60)


class Disk:
    """That of an embedded bus, which can be made to have no room left."""

    def __init__(self, bus: Any) -> None:
        self._connection: sqlite3.Connection = bus._writer._ledger._connection

    def fill(self) -> None:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count={pages}")

    def free(self) -> None:
        self._connection.execute("PRAGMA max_page_count=1073741823")


async def until_full(bus: EmbeddedBus) -> str:
    """Writes until the disk has no room; answers why."""
    try:
        async with asyncio.timeout(20):
            number = 0
            while True:
                await bus.put(f"/fill/{number}", b"x" * 4_000)
                number += 1
    except BusUnavailable as error:
        return str(error)


async def test_a_bus_whose_disk_is_full_is_read_only_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    try:
        disk = Disk(bus)
        disk.fill()
        assert "full" in await until_full(bus)
        before = await bus.range("/fill/")
        with pytest.raises(BusUnavailable, match="full"):
            await bus.transact([Put("/two/a", b"x" * 40_000), Put("/two/b", b"x" * 40_000)])
        assert (await bus.range("/two/")).entries == ()
        assert (await bus.range("/fill/")).entries == before.entries
        disk.free()
        assert await bus.transact([Put("/two/a", b"1")], when=[Compare("/two/a", 0)]) is not None
    finally:
        await bus.close()


async def test_a_deployment_waits_for_room_on_the_disk_and_is_finished_then(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.contexts.write_new(context("71", {"web": {"edge": [config_map("a"), config_map("b")]}}))
        disk = Disk(rig.bus)
        await rig.install("71")
        disk.fill()
        assert "full" in await until_full(rig.bus)  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        disk.free()
        status = await rig.until_state("71", "Instantiated")
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
        assert {o["metadata"]["name"] for o in sim_cluster.objects("ConfigMap")} >= {"a", "b"}


async def test_a_store_that_another_program_holds_locked_keeps_nothing_from_being_delivered(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            await deliver(rig)
            other.execute("ROLLBACK")


async def deliver(rig: Rig) -> None:
    await rig.install(context("71", {"web": {"edge": [config_map("a")]}}))
    await rig.until_state("71", "Instantiated")
    assert rig.labelled("edge") == ["ConfigMap/a"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION + 1}; CREATE TABLE t (x)",
            "newer EMCO",
        ),
        ("PRAGMA application_id=7; CREATE TABLE t (x)", "another program"),
        ("CREATE TABLE t (x)", "another program"),
    ],
)
async def test_a_bus_of_another_or_a_newer_program_is_refused_and_left_alone(
    tmp_path: Path, made: str, reason: str
) -> None:
    path = tmp_path / "bus.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(made)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UnusableBus, match=reason):
        await EmbeddedBus.open(path)
    assert path.read_bytes() == before


async def test_a_damaged_bus_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    path.write_bytes(b"not a database " * 1_000)
    with pytest.raises(UnusableBus, match="move the file away"):
        await EmbeddedBus.open(path)


async def test_a_bus_of_an_older_emco_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    bus = await EmbeddedBus.open(path)
    await bus.put("/kept/", b"1")
    await bus.close()
    with sqlite3.connect(path) as connection:  # as it was before files had a mark
        connection.executescript("PRAGMA application_id=0; PRAGMA user_version=0")
    connection.close()
    bus = await EmbeddedBus.open(path)
    entry = await bus.get("/kept/")
    await bus.close()
    assert entry is not None
    assert entry.value == b"1"
