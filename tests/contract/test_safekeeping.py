"""Backup, restore and rotation of the data key, over each store and each bus."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emco_allinone.safekeeping.archive import Archive, BadArchive, opened
from emco_allinone.safekeeping.backup import Busy, backup
from emco_allinone.safekeeping.extent import KEPT
from emco_allinone.safekeeping.restore import NotEmpty, StillRunning, restore
from emco_allinone.safekeeping.rotation import rotate
from emco_common.cloudconfig import Access, CloudConfigs
from emco_common.contextbus.api import ContextBus, Range
from emco_common.errors import Conflict
from emco_common.runtime import UNFINISHED_RESTORE
from emco_common.secrets import Sealer, key_id
from emco_common.store.api import Document, DocumentStore
from emco_common.syncobjects import SyncObjects, record_of

EDGE = {"clusterProvider": "edge"}
APP = {"project": "p", "app": "a"}
PROFILE = {"project": "p", "profile": "x"}
SYNC = {"clusterProvider": "edge", "clusterSyncObject": "git"}
CLOUD = {"project": "p", "logicalCloud": "lc"}
OLD, NEW = "the old key", "the new key"
KEY = Sealer(OLD)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing."""
ENTRIES = {
    "/context/7/": b"7",
    "/context/7/meta/": b'{"a": "\xc3\xa4"}',
    "/context/7/blob/": bytes(range(256)),
    "/context/7/empty/": b"",
    "/activecontext/7/": b"7",
    "/livecontext/7/": b"7",
}


@pytest.fixture
async def clean_bus(bus: ContextBus) -> AsyncIterator[ContextBus]:
    async def wipe() -> None:
        for prefix in (*KEPT, UNFINISHED_RESTORE):
            await bus.delete(prefix, prefix=True)

    await wipe()
    yield bus
    await wipe()


def clock() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


async def filled(store: DocumentStore, bus: ContextBus) -> None:
    digest = await store.put_blob(b"a chart")
    await store.create(Document(PROFILE, {"metadata": {"name": "x"}}, alias={"app": "a"}))
    await store.create(Document(APP, {}, tags={"content": {"digest": digest}, "stateInfo": {"n": 1}}))
    await store.replace(Document(PROFILE, {"metadata": {"name": "x"}}, references=(APP,), alias={"app": "a"}))
    await store.create(Document(EDGE, {"spec": {"n": [None, True, 1.5, 2**53]}}))
    await CloudConfigs(store, KEY).create(Access("edge", "c", kubeconfig=b"a kubeconfig"))
    kv = [{"token": KEY.seal(b"secret", record=record_of(SYNC))}]
    await store.create(Document(SYNC, {"metadata": {"name": "git"}, "spec": {"kv": kv}}))
    sealed = KEY.seal(b"cGVt", record="private key of p/lc")
    await store.create(Document(CLOUD, {}, tags={"privatekey": {"keyvalue": sealed}}))
    for key, value in ENTRIES.items():
        await bus.put(key, value)
    await bus.put("/rsync/clusters/edge+c/", await registered(store))


async def registered(store: DocumentStore) -> bytes:
    access = await CloudConfigs(store, KEY).get("edge", "c")
    return json.dumps({"uid": "u", "registration": access.registration}).encode()


async def all_of(store: DocumentStore) -> list[Document]:
    async with aclosing(store.snapshot()) as pieces:
        return [document async for piece in pieces for document in piece]


async def entries(bus: ContextBus) -> dict[str, bytes]:
    async with aclosing(bus.snapshot(*KEPT)) as pieces:
        return {entry.key: entry.value async for piece in pieces for entry in piece.entries}


def contents(found: list[Document]) -> list[tuple[Any, ...]]:
    """Without place and revision, which are new after a restore."""
    return [(one.key, one.body, one.tags, one.references, one.alias) for one in found]


async def test_what_is_backed_up_wiped_and_restored_is_there_as_it_was(
    store: DocumentStore, clean_bus: ContextBus, tmp_path: Path
) -> None:
    await filled(store, clean_bus)
    lease = await clean_bus.lease(10)
    await clean_bus.put("/rsync/owner/7/", b"a process", lease=lease.id)
    before = await all_of(store)
    file = tmp_path / "backup"
    made = await backup(store, clean_bus, file, now=clock)
    assert (made.documents, made.blobs, made.entries) == (6, 1, len(ENTRIES) + 1)
    assert made.data_keys == (key_id(OLD),)
    assert file.stat().st_mode & 0o777 == 0o600
    await lease.revoke()
    await store.create(Document({"project": "later"}, {}))
    await clean_bus.put("/context/8/", b"8")
    with opened(file) as archive:
        await restore(store, clean_bus, archive, in_place_of_all=True)
    assert contents(await all_of(store)) == contents(before)
    assert {one.place for one in before}.isdisjoint(one.place for one in await all_of(store))
    assert await entries(clean_bus) == ENTRIES | {"/rsync/clusters/edge+c/": await registered(store)}
    assert (await CloudConfigs(store, KEY).get("edge", "c")).kubeconfig == b"a kubeconfig"
    app = await store.get(APP)
    assert app is not None
    assert await store.get_blob(app.tags["content"]["digest"]) == b"a chart"


async def test_it_is_not_restored_over_something_else_unless_told_to(
    store: DocumentStore, clean_bus: ContextBus, tmp_path: Path
) -> None:
    await filled(store, clean_bus)
    await backup(store, clean_bus, tmp_path / "backup", now=clock)
    with opened(tmp_path / "backup") as archive:
        with pytest.raises(NotEmpty, match="--replace"):
            await restore(store, clean_bus, archive, in_place_of_all=False)
        await store.clear()
        with pytest.raises(NotEmpty, match="the context bus is not empty"):
            await restore(store, clean_bus, archive, in_place_of_all=False)
        for prefix in KEPT:
            await clean_bus.delete(prefix, prefix=True)
        await restore(store, clean_bus, archive, in_place_of_all=False)
    assert len(await all_of(store)) == 6


async def test_it_is_not_restored_under_a_running_service(
    store: DocumentStore, clean_bus: ContextBus, tmp_path: Path
) -> None:
    await backup(store, clean_bus, tmp_path / "backup", now=clock)
    await store.create(Document(EDGE, {}))
    lease = await clean_bus.lease(10)
    await clean_bus.put("/orchestrator/present/me/", b"", lease=lease.id)
    with opened(tmp_path / "backup") as archive, pytest.raises(StillRunning, match="/orchestrator/present/me/"):
        await restore(store, clean_bus, archive, in_place_of_all=True)
    assert await store.get(EDGE) is not None
    await lease.revoke()


class Cut(Archive):
    """An archive at whose end whoever reads it dies."""

    def __init__(self, whole: Archive) -> None:
        self._whole = whole
        self.manifest = whole.manifest

    def documents(self) -> Iterator[Document]:
        return self._whole.documents()

    def blobs(self) -> Iterator[bytes]:
        return self._whole.blobs()

    def entries(self) -> Iterator[tuple[str, bytes]]:
        yield next(self._whole.entries())
        raise KeyboardInterrupt


async def test_a_restore_that_was_cut_off_leaves_a_mark_and_is_done_again(
    store: DocumentStore, clean_bus: ContextBus, tmp_path: Path
) -> None:
    await filled(store, clean_bus)
    await backup(store, clean_bus, tmp_path / "backup", now=clock)
    before = await all_of(store)
    with opened(tmp_path / "backup") as archive:
        with pytest.raises(KeyboardInterrupt):
            await restore(store, clean_bus, Cut(archive), in_place_of_all=True)
        assert await clean_bus.get(UNFINISHED_RESTORE) is not None
        with pytest.raises(Conflict, match="restore is not finished"):
            await backup(store, clean_bus, tmp_path / "other", now=clock)
        await restore(store, clean_bus, archive, in_place_of_all=True)
    assert await clean_bus.get(UNFINISHED_RESTORE) is None
    assert contents(await all_of(store)) == contents(before)
    assert set(await entries(clean_bus)) == {*ENTRIES, "/rsync/clusters/edge+c/"}


class Handing:
    """A bus on which a context is handed over between two looks, ``times`` times."""

    def __init__(self, bus: ContextBus, *, times: int) -> None:
        self._bus = bus
        self._times = times

    async def snapshot(self, *prefixes: str, keys_only: bool = False) -> AsyncGenerator[Range, None]:
        if keys_only and self._times:
            self._times -= 1
            await self._bus.put(f"/context/{100 + self._times}/", b"")
        async with aclosing(self._bus.snapshot(*prefixes, keys_only=keys_only)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        return


async def no_pause(_seconds: float) -> None:
    return


async def test_a_backup_whose_bus_has_moved_on_meanwhile_is_made_again(
    store: DocumentStore, clean_bus: ContextBus, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    made = await backup(store, Handing(clean_bus, times=3), file, now=clock, sleep=no_pause)
    assert made.entries == 3
    with pytest.raises(Busy):
        await backup(store, Handing(clean_bus, times=100), tmp_path / "other", now=clock, sleep=no_pause)
    assert [name for name in os.listdir(tmp_path) if "other" in name] == []
    with pytest.raises(Conflict, match="is there already"):
        await backup(store, clean_bus, file, now=clock)


async def test_after_a_rotation_the_new_key_alone_opens_everything(store: DocumentStore, clean_bus: ContextBus) -> None:
    await filled(store, clean_bus)
    legacy = Document({**SYNC, "clusterSyncObject": "old"}, {"spec": {"kv": [{"a": "00"}]}})
    await store.create(legacy)
    rotated = await rotate(store, clean_bus, Sealer(NEW, retired=(OLD,)))
    assert rotated.written == 3
    assert rotated.broken == ["cluster sync object edge/old was sealed with a data key that is not configured"]
    assert not rotated.left
    alone = Sealer(NEW)
    assert (await CloudConfigs(store, alone).get("edge", "c")).kubeconfig == b"a kubeconfig"
    assert await SyncObjects(store, alone).values("edge", "git") == {"token": "secret"}
    everything = json.dumps([[dict(one.key), one.body, one.tags] for one in await all_of(store)])
    assert everything.count("emco1:") == everything.count(key_id(NEW)) == 3
    entry = await clean_bus.get("/rsync/clusters/edge+c/")
    assert entry is not None
    access = await CloudConfigs(store, alone).get("edge", "c")
    assert json.loads(entry.value) == {"uid": "u", "registration": access.registration}
    await store.delete(legacy.key)
    again = await rotate(store, clean_bus, alone)
    assert (again.written, again.broken) == (0, [])


@pytest.mark.parametrize("harm", ["cut", "changed", "no blob", "no manifest", "newer", "other"])
def test_an_archive_that_is_not_whole_is_refused(tmp_path: Path, harm: str) -> None:
    file = tmp_path / "backup"
    manifest: dict[str, Any] = {
        "format": 2 if harm == "newer" else 1,
        "emco": "9",
        "created": "",
        "documents": 0,
        "entries": 0,
        "blobs": 1 if harm == "no blob" else 0,
        "revision": 1,
        "data_keys": [],
        "sha256": {"documents.jsonl": "00" if harm == "changed" else EMPTY, "bus.jsonl": EMPTY},
    }
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("documents.jsonl", b"")
        made.writestr("bus.jsonl", b"")
        if harm != "no manifest":
            made.writestr("manifest.json", json.dumps(manifest))
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    if harm == "other":
        file.write_text("something else")
    with pytest.raises(BadArchive), opened(file):
        pass
