"""``emco backup``, ``emco restore`` and ``emco rotate-data-key`` as programs, with a suite and clusters around them."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_allinone.safekeeping.archive import opened
from emco_allinone.safekeeping.extent import KEPT
from emco_allinone.safekeeping.sealed import data_keys_of
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.contextbus.factory import open_reading
from emco_common.errors import Conflict
from emco_common.runtime import UNFINISHED_RESTORE, open_deps
from emco_common.secrets import Sealer, key_id
from emco_common.settings import Settings
from emco_common.store.api import Document
from emco_common.store.sqlite import SqliteStore
from emco_simcluster import SimCluster
from tests.support.process import Command, EmcoProcess
from tests.support.shop import Shop, objects_of

READS = {"get", "list", "watch"}
BELL = "/changed/"
RECORDS = 1_500


@pytest.fixture
async def emco(tmp_path: Path) -> AsyncIterator[EmcoProcess]:
    process = EmcoProcess(tmp_path / "data")
    yield process
    await process.stop(signal.SIGKILL)


def writes(cluster: SimCluster) -> int:
    return sum(count for (verb, _), count in cluster.counts.items() if verb not in READS)


async def emco_runs(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    log = tmp_path / f"{arguments[0]}.log"
    log.unlink(missing_ok=True)
    return await Command(*arguments, log=log, environment=environment).run()


async def test_backed_up_wiped_and_restored_the_suite_goes_on_and_writes_nothing_to_its_clusters(
    tmp_path: Path, emco: EmcoProcess, sim_clusters: tuple[SimCluster, SimCluster]
) -> None:
    data, file = tmp_path / "data", str(tmp_path / "emco.backup")
    await emco.start()
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync)
        await shop.onboard({cluster.name: cluster.kubeconfig for cluster in sim_clusters})
        group = await shop.group("g")
        await shop.post(f"{group}/instantiate", expect=202)
        before = await shop.ready(group)
        code, said = await emco_runs(tmp_path, "backup", file, "--data", str(data))
        assert code == 0, said
        assert "needed to restore it: data key" in said
        assert await forgotten(data) == []
        assert unknown_secrets(Path(file)) == []
        await shop.post("/v2/projects", {"metadata": {"name": "after-the-backup"}})
        code, said = await emco_runs(tmp_path, "restore", file, "--data", str(data), "--replace")
        assert (code, "in use by another process" in said) == (1, True), said
        await emco.kill()
        key = (data / "data.key").read_text()
        await asyncio.to_thread(shutil.rmtree, data)
        sent = [writes(cluster) for cluster in sim_clusters]
        code, said = await emco_runs(tmp_path, "restore", file, "--data", str(data))
        assert (code, "is not configured" in said) == (1, True), said
        data.mkdir(exist_ok=True)
        (data / "data.key").write_text(key)
        code, said = await emco_runs(tmp_path, "restore", file, "--data", str(data))
        assert code == 0, said
        await emco.start()
        after = await shop.ready(group)
        assert after == before
        assert [project["metadata"]["name"] for project in (await client.get("/v2/projects")).json()] == ["p"]
        assert [writes(cluster) for cluster in sim_clusters] == sent
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)
        assert [objects_of(cluster.objects()) for cluster in sim_clusters] == [[], []]


async def forgotten(data: Path) -> list[str]:
    """What lies on the bus for good and is not backed up; a bell that replicas hear says nothing once it was rung."""
    reading = await open_reading(f"embedded://{data}/bus.db")
    async with aclosing(reading.snapshot("/")) as pieces:
        entries = [entry async for piece in pieces for entry in piece.entries]
    return [
        entry.key
        for entry in entries
        if not entry.lease and not entry.key.startswith(KEPT) and not entry.key.endswith(BELL)
    ]


def unknown_secrets(file: Path) -> list[Document]:
    """Documents with something sealed in them of which a rotation would not know."""
    with opened(file) as archive:
        found = [document for document in archive.documents() if "emco1:" in json.dumps([document.body, document.tags])]
    assert found
    return [document for document in found if not data_keys_of(document)]


async def test_backups_into_a_folder_are_named_by_the_time_and_the_oldest_are_removed(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "backups"
    data.mkdir()
    folder.mkdir()
    await (await SqliteStore.open(data / "store.db")).close()
    await (await EmbeddedBus.open(data / "bus.db")).close()
    old = [folder / f"emco-2025010{day}T020000Z.zip" for day in (1, 2, 3)]
    own = folder / "emco-before-the-upgrade.zip"
    for file in (*old, own):
        file.touch()

    code, said = await emco_runs(tmp_path, "backup", str(folder), "--keep", "2", "--data", str(data))

    assert code == 0, said
    assert not old[0].exists()
    assert not old[1].exists()
    (made,) = {*folder.iterdir()} - {old[2], own}
    with opened(made) as archive:
        assert archive.manifest.documents == 0
    code, said = await emco_runs(tmp_path, "backup", str(made), "--keep", "2", "--data", str(data))
    assert (code, "is no folder" in said) == (2, True), said


async def test_a_restore_that_was_cut_off_starts_no_service(tmp_path: Path) -> None:
    bus = await EmbeddedBus.open(tmp_path / "bus.db")
    await bus.put(UNFINISHED_RESTORE, b"")
    await bus.close()
    given: dict[str, Any] = {
        "database_url": f"sqlite://{tmp_path}/store.db",
        "bus_url": f"embedded://{tmp_path}/bus.db",
    }
    with pytest.raises(Conflict, match="restore is not finished"):
        async with open_deps(Settings.load("emco", {}, data_key="k", **given)):
            pass


async def test_a_backup_of_a_folder_without_data_says_so_and_makes_none(tmp_path: Path) -> None:
    code, said = await emco_runs(tmp_path, "backup", str(tmp_path / "b"), "--data", str(tmp_path / "nothing"))
    assert (code, said) == (1, f"emco: there is no data of `emco up` in {tmp_path}/nothing\n")
    assert not (tmp_path / "nothing").exists()


async def test_a_rotation_that_is_killed_half_way_loses_nothing_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "data.key").write_text("the old key")
    store = await SqliteStore.open(data / "store.db")
    records = CloudConfigs(store, Sealer("the old key"))
    for at in range(0, RECORDS, 500):
        await asyncio.gather(
            *(records.create(Access("p", f"c{n}", kubeconfig=b"k%d" % n)) for n in range(at, at + 500))
        )

    async def done() -> int:
        listed = await store.list(("cloudConfigClusterProvider", "cloudConfigCluster", "level", "namespace"), {})
        return sum(document.revision > 1 for document in listed)

    command = Command("rotate-data-key", "--data", str(data), log=tmp_path / "first.log")
    await command.start()
    async with asyncio.timeout(30):
        while not await done():  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.005)
    await command.end(signal.SIGKILL)
    half = await done()
    assert 0 < half < RECORDS
    new = (data / "data.key").read_text()
    assert (data / "data.key.retired").read_text() == "the old key"
    both = CloudConfigs(store, Sealer(new, retired=("the old key",)))
    assert {(await both.get("p", f"c{n}")).kubeconfig for n in range(0, RECORDS, 100)} == {
        b"k%d" % n for n in range(0, RECORDS, 100)
    }
    code, said = await emco_runs(tmp_path, "rotate-data-key", "--data", str(data))
    assert code == 0, said
    assert f"{RECORDS - half} documents sealed anew" in said
    assert (data / "data.key").read_text() == new
    assert not (data / "data.key.retired").exists()
    alone = CloudConfigs(store, Sealer(new))
    for n in range(RECORDS):
        assert (await alone.get("p", f"c{n}")).kubeconfig == b"k%d" % n
    await store.close()


async def test_with_keys_from_the_environment_a_rotation_says_what_is_still_needed(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await CloudConfigs(store, Sealer("old")).create(Access("p", "c", kubeconfig=b"k"))
    await CloudConfigs(store, Sealer("lost")).create(Access("p", "d", kubeconfig=b"k"))
    urls = {
        "EMCO_DATABASE_URL": f"sqlite://{tmp_path}/store.db",
        "EMCO_BUS_URL": f"embedded://{tmp_path}/bus.db",
        "EMCO_DATA_KEY": "new",
    }
    code, said = await emco_runs(tmp_path, "rotate-data-key", **urls, EMCO_RETIRED_DATA_KEYS="old")
    assert code == 1
    assert said.startswith(f"1 documents sealed anew; the present data key is {key_id('new')}\nnot opened: ")
    assert f"kubeconfig of p/d/0/default was sealed with data key {key_id('lost')}" in said
    assert (await CloudConfigs(store, Sealer("new")).get("p", "c")).kubeconfig == b"k"
    code, said = await emco_runs(tmp_path, "rotate-data-key", **urls, EMCO_RETIRED_DATA_KEYS="lost")
    assert code == 0, said
    assert said.endswith("No other data key is needed for what is stored. EMCO_RETIRED_DATA_KEYS can go.\n")
    await store.close()
