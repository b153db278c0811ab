"""The disk under a whole suite takes no more writes, or never did: read-only meanwhile, nothing half, nothing lost
(robustness 60)."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emco_common.store.api import Document
from emco_common.store.sqlite import SqliteStore
from emco_simcluster import Rule, SimCluster
from tests.support.faulty import Faults
from tests.support.process import EmcoProcess
from tests.support.shop import Shop, objects_of

pytestmark = pytest.mark.robustness(60)
ERRORS = {"full": errno.ENOSPC, "read-only": errno.EROFS}


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path, disk=tmp_path / "data")


@pytest.fixture
async def emco(tmp_path: Path, faults: Faults) -> AsyncIterator[EmcoProcess]:
    process = EmcoProcess(tmp_path / "data", faults.environment)
    await process.start()
    yield process
    faults.mend_disk()
    await process.stop()


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
async def test_a_suite_whose_disk_takes_nothing_more_reads_refuses_and_goes_on(
    emco: EmcoProcess, faults: Faults, sim_clusters: tuple[SimCluster, SimCluster], error: int
) -> None:
    for cluster in sim_clusters:
        cluster.faults.add(Rule(verb="apply", latency=0.2))
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync)
        await shop.onboard({cluster.name: cluster.kubeconfig for cluster in sim_clusters})
        group = await shop.group("g")
        await shop.post(f"{group}/instantiate", expect=202)
        await begun(sim_clusters[0])
        faults.break_disk(error)
        refused = await client.post("/v2/projects", json={"metadata": {"name": "q"}})
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["Retry-After"]) > 0
        assert "document store" in refused.text
        assert "EMCO goes on by itself" in refused.text
        found = await client.get("/v2/projects")
        assert [project["metadata"]["name"] for project in found.json()] == ["p"]
        assert (await client.get(f"{group}/status")).status_code == 200
        await asyncio.sleep(1)  # longer than the rest of the delivery would take
        faults.mend_disk()
        await shop.ready(group)
        assert [objects_of(cluster.objects()) for cluster in sim_clusters] == [expected("g")] * 2
        await shop.post("/v2/projects", {"metadata": {"name": "q"}})
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)


async def begun(cluster: SimCluster) -> None:
    async with asyncio.timeout(20):
        while not any(verb == "apply" for verb, _ in cluster.counts):  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("key_file", "named"), [(False, "data.key"), (True, "store.db")])
async def test_a_suite_on_a_read_only_disk_is_not_started_and_says_where_and_what_to_do(
    tmp_path: Path, faults: Faults, key_file: bool, named: str
) -> None:
    data, key = tmp_path / "data", {"project": "p"}
    store = await SqliteStore.open(data / "store.db")
    await store.create(Document(key, {"a": "b"}))
    await store.close()
    before = (data / "store.db").read_bytes()
    if key_file:
        (data / "data.key").write_text("a key")
    faults.break_disk(errno.EROFS)
    process = EmcoProcess(data, faults.environment)
    await process.command.start()
    assert await process.command.ended() == 1
    last = process.command.output.splitlines()[-1]
    assert last.startswith("emco: "), last
    assert f"Read-only file system: '{data}/{named}'; make the folder writable" in last
    assert (data / "store.db").read_bytes() == before


async def test_a_copy_made_while_all_runs_brings_everything_back_and_sends_nothing_for_it(
    tmp_path: Path, emco: EmcoProcess, sim_clusters: tuple[SimCluster, SimCluster]
) -> None:
    async with httpx.AsyncClient(base_url=emco.url, timeout=30) as client:
        shop = Shop(client, rsync_port=emco.rsync)
        await shop.onboard({cluster.name: cluster.kubeconfig for cluster in sim_clusters})
        group = await shop.group("g")
        await shop.post(f"{group}/instantiate", expect=202)
        await shop.ready(group)
        data, copy = tmp_path / "data", tmp_path / "copy"
        await asyncio.to_thread(copied, data, copy)
        await shop.post("/v2/projects", {"metadata": {"name": "after-the-copy"}})
        sent = [applies(cluster) for cluster in sim_clusters]
        await emco.kill()
        shutil.rmtree(data)
        copy.rename(data)
        await emco.start()
        await shop.ready(group)
        assert [project["metadata"]["name"] for project in (await client.get("/v2/projects")).json()] == ["p"]
        assert [applies(cluster) for cluster in sim_clusters] == sent
        await shop.post(f"{group}/terminate", expect=202)
        await shop.gone(group)
        assert [objects_of(cluster.objects()) for cluster in sim_clusters] == [[], []]


def copied(data: Path, copy: Path) -> None:
    """As SQLite's own tools do it (``sqlite3 store.db ".backup copy"``), the bus before the store, and the key."""
    copy.mkdir()
    for name in ("bus.db", "store.db"):
        with closing(sqlite3.connect(data / name)) as one, closing(sqlite3.connect(copy / name)) as other:
            one.backup(other)
    shutil.copy(data / "data.key", copy)


def applies(cluster: SimCluster) -> int:
    return sum(count for (verb, _), count in cluster.counts.items() if verb == "apply")


def expected(group: str) -> list[tuple[str, str]]:
    config = [("ConfigMap", f"{group}-config-{index}") for index in range(4)]
    return sorted([*config, ("Deployment", f"{group}-web"), ("Service", f"{group}-web")])
