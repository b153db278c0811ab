"""The store's history, and watches that read it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from emco_simcluster.kinds import KindTable, built_in_kinds
from emco_simcluster.reads import Watch, list_body
from emco_simcluster.storage import Store

KINDS = KindTable(built_in_kinds())
MAPS = KINDS.find("", "v1", "configmaps")
assert MAPS is not None


def put(store: Store, name: str = "a", **labels: str) -> int:
    metadata = {"name": name, "namespace": "s", "uid": name, "labels": labels}
    return store.put(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).revision


async def events(
    store: Store, seconds: float = 0.0, bookmark_every: float = 60.0, **query: str
) -> list[dict[str, Any]]:
    """What a watch sends before it would have to wait, or within some seconds."""
    watch = Watch.read(store, MAPS, "s", query)
    watch.seconds = seconds
    frames = [f async for f in watch.frames(store, bookmark_every=bookmark_every)]
    return [json.loads(line) for frame in frames for line in frame.splitlines()]


async def test_a_watch_sees_every_change_after_its_revision_in_order() -> None:
    store = Store(history=10)
    start = put(store)
    put(store, x="1")
    store.remove((MAPS.key, "s", "a"))
    found = await events(store, resourceVersion=str(start))
    assert [e["type"] for e in found] == ["MODIFIED", "DELETED"]
    assert [int(e["object"]["metadata"]["resourceVersion"]) for e in found] == [start + 1, start + 2]


async def test_a_watch_older_than_the_history_is_told_410() -> None:
    store = Store(history=5)
    start = put(store)
    for _ in range(6):
        put(store)
    [gone] = await events(store, resourceVersion=str(start))
    assert gone["type"] == "ERROR"
    assert (gone["object"]["code"], gone["object"]["reason"]) == (410, "Expired")
    assert gone["object"]["message"] == f"too old resource version: {start} ({start + 1})"


async def test_the_history_keeps_what_it_promises() -> None:
    store = Store(history=5)
    start = put(store)
    for _ in range(5):
        put(store)
    assert len(await events(store, resourceVersion=str(start))) == 5
    for _ in range(100):
        put(store)
    assert len(await events(store, resourceVersion=str(store.revision - 5))) == 5


async def test_an_up_to_date_watch_survives_the_loss_of_history_and_a_stale_one_does_not() -> None:
    store = Store(history=5)
    start = put(store)
    end = put(store)
    store.forget_history()
    assert await events(store, resourceVersion=str(end)) == []
    assert (await events(store, resourceVersion=str(start)))[0]["type"] == "ERROR"


async def test_changes_of_other_resources_and_namespaces_are_not_seen_but_move_the_bookmark() -> None:
    store = Store(history=5)
    start = put(store)
    secrets = KINDS.find("", "v1", "secrets")
    assert secrets is not None
    other = store.put(secrets, {"kind": "Secret", "metadata": {"name": "a", "namespace": "s", "uid": "u"}})
    [bookmark] = await events(store, resourceVersion=str(start), allowWatchBookmarks="true")
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["resourceVersion"] == str(other.revision)


async def test_a_waiting_watch_is_woken_by_a_change() -> None:
    store = Store(history=5)
    watch = Watch.read(store, MAPS, None, {"resourceVersion": str(put(store))})
    frames = watch.frames(store, bookmark_every=60.0)
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    put(store, name="b")
    frame = await asyncio.wait_for(waiting, 5)
    assert json.loads(frame)["object"]["metadata"]["name"] == "b"
    await frames.aclose()


async def test_a_change_that_comes_while_a_bookmark_is_sent_is_not_slept_over() -> None:
    store = Store(history=5)
    watch = Watch.read(store, MAPS, None, {"resourceVersion": str(put(store)), "allowWatchBookmarks": "true"})
    times = iter([0.0, 0.0, 61.0, 61.0])
    frames = watch.frames(store, bookmark_every=60.0, clock=lambda: next(times))
    assert json.loads(await anext(frames))["type"] == "BOOKMARK"
    put(store, name="b")
    frame = await asyncio.wait_for(anext(frames), 5)
    assert json.loads(frame)["object"]["metadata"]["name"] == "b"
    await frames.aclose()


async def test_watchers_share_the_bytes_of_an_event() -> None:
    store = Store(history=5)
    start = put(store)
    put(store)
    watches = [Watch.read(store, MAPS, "s", {"resourceVersion": str(start)}) for _ in range(2)]
    frames = [[f async for f in self_ending(w, store)] for w in watches]
    assert frames[0] == frames[1]
    change = store.log(MAPS.key).after(start)
    assert change is not None
    assert change[0].frame() is change[0].frame()


def self_ending(watch: Watch, store: Store) -> Any:
    watch.seconds = 0
    return watch.frames(store, bookmark_every=60.0)


async def test_a_page_whose_history_is_lost_must_begin_anew() -> None:
    import pytest

    from emco_simcluster.errors import ApiError

    store = Store(history=2)
    for name in "abc":
        put(store, name=name)
    page = json.loads(list_body(store, MAPS, "s", {"limit": "2"}))
    token = page["metadata"]["continue"]
    assert page["metadata"]["remainingItemCount"] == 1
    for _ in range(5):
        put(store)
    with pytest.raises(ApiError) as caught:
        list_body(store, MAPS, "s", {"limit": "2", "continue": token})
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def test_dependents_are_found_by_the_uid_of_their_owner() -> None:
    store = Store(history=5)
    put(store, name="owner")
    child = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "s", "uid": "c"}}
    child["metadata"]["ownerReferences"] = [{"uid": "owner"}]  # type: ignore[index]
    store.put(MAPS, child)
    assert store.dependents("owner") == [(MAPS.key, "s", "c")]
    store.remove((MAPS.key, "s", "c"))
    assert store.dependents("owner") == []
    assert store.by_uid("owner") == (MAPS.key, "s", "owner")
