"""What every context bus does, whatever lies below it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from emco_common.contextbus.api import (
    MAX_TRANSACTION_BYTES,
    MAX_TRANSACTION_OPERATIONS,
    Compare,
    ContextBus,
    Delete,
    Entry,
    Event,
    EventType,
    LeaseLost,
    Put,
    Range,
)
from emco_common.errors import BadRequest, TooLarge
from tests.support.buses import Connect

PATIENCE = 20
"""Seconds after which a test gives up waiting for what must come."""


async def collect(bus: ContextBus, prefix: str, *, count: int, start_revision: int = 0) -> list[Event]:
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(prefix, start_revision=start_revision)) as watch:
        return await take(watch, count)


async def take(watch: AsyncIterator[Sequence[Event]], count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events.extend(await anext(watch))
    return events


def told(events: Sequence[Event]) -> list[tuple[EventType, str, bytes]]:
    return [(event.type, event.entry.key, event.entry.value) for event in events]


async def put_many(bus: ContextBus, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), MAX_TRANSACTION_OPERATIONS):
        chunk = keys[start : start + MAX_TRANSACTION_OPERATIONS]
        await bus.transact([Put(key, key.encode()) for key in chunk])


# Reading and writing


async def test_a_key_that_was_never_written_is_none(bus: ContextBus, base: str) -> None:
    assert await bus.get(f"{base}a/") is None


async def test_a_value_is_read_back_as_it_was_written(bus: ContextBus, base: str) -> None:
    value = bytes(range(256))
    revision = await bus.put(f"{base}ä+b!@#/", value)
    assert await bus.get(f"{base}ä+b!@#/") == Entry(f"{base}ä+b!@#/", value, revision, revision)


async def test_an_empty_value_is_a_value(bus: ContextBus, base: str) -> None:
    await bus.put(base, b"")
    entry = await bus.get(base)
    assert entry is not None
    assert entry.value == b""


async def test_a_second_write_keeps_the_create_revision(bus: ContextBus, base: str) -> None:
    first = await bus.put(base, b"1")
    second = await bus.put(base, b"2")
    assert second > first
    assert await bus.get(base) == Entry(base, b"2", first, second)


async def test_a_key_deleted_and_written_again_is_created_anew(bus: ContextBus, base: str) -> None:
    first = await bus.put(base, b"1")
    assert await bus.delete(base) == 1
    assert await bus.delete(base) == 0
    assert await bus.get(base) is None
    again = await bus.put(base, b"2")
    assert again > first + 1
    assert await bus.get(base) == Entry(base, b"2", again, again)


async def test_an_empty_key_is_refused(bus: ContextBus) -> None:
    with pytest.raises(BadRequest):
        await bus.put("", b"")
    with pytest.raises(BadRequest):
        await bus.get("")


async def test_a_key_that_is_not_unicode_is_refused(bus: ContextBus) -> None:
    with pytest.raises(BadRequest):
        await bus.put("\ud800", b"")


async def test_a_range_is_in_byte_order_and_stays_below_its_prefix(bus: ContextBus, base: str) -> None:
    inside = [f"{base}a/", f"{base}a/b/", f"{base}a/é/", f"{base}a/\U0001f600/"]
    await put_many(bus, [*inside, base, f"{base}a", f"{base}a0", f"{base}b/"])
    seen = await bus.range(f"{base}a/")
    assert [entry.key for entry in seen.entries] == sorted(inside, key=str.encode)
    assert [entry.value for entry in seen.entries] == [key.encode() for key in sorted(inside, key=str.encode)]


async def test_a_range_tells_the_revision_at_which_it_was_true(bus: ContextBus, base: str) -> None:
    revision = await bus.put(base, b"")
    assert (await bus.range(base)).revision >= revision
    assert (await bus.range(f"{base}nothing")).entries == ()


async def test_a_range_can_leave_out_values_and_stop_early(bus: ContextBus, base: str) -> None:
    await put_many(bus, [f"{base}{number}" for number in range(5)])
    bare = await bus.range(base, keys_only=True)
    assert [(entry.key, entry.value) for entry in bare.entries] == [(f"{base}{n}", b"") for n in range(5)]
    assert all(entry.mod_revision for entry in bare.entries)
    assert [entry.key for entry in (await bus.range(base, limit=2)).entries] == [f"{base}0", f"{base}1"]


async def test_keys_and_prefixes_are_read_together_in_the_order_in_which_they_were_asked_for(
    bus: ContextBus, base: str
) -> None:
    revision = await bus.transact([Put(f"{base}{name}", name.encode()) for name in ("a/", "b/1", "b/2", "c/", "d/")])
    found = await bus.read(keys=[f"{base}d/", f"{base}none/", f"{base}a/"], prefixes=[f"{base}b/", f"{base}none/"])
    assert [entry.key.removeprefix(base) for entry in found.entries] == ["d/", "a/", "b/1", "b/2"]
    assert [entry.value for entry in found.entries] == [b"d/", b"a/", b"b/1", b"b/2"]
    assert {entry.mod_revision for entry in found.entries} == {revision}
    assert revision is not None
    assert found.revision >= revision


async def test_what_is_read_together_is_of_one_moment(bus: ContextBus, base: str) -> None:
    async def write() -> None:
        for number in range(50):
            await bus.transact([Put(f"{base}first/", b"%d" % number), Put(f"{base}second/", b"%d" % number)])

    writing = asyncio.create_task(write())
    while not writing.done():
        found = await bus.read(keys=[f"{base}second/"], prefixes=[f"{base}first/"])
        assert len({entry.value for entry in found.entries}) <= 1
    await writing


async def test_a_range_of_ten_thousand_keys_comes_whole(bus: ContextBus, base: str) -> None:
    value = b"x" * 1_000
    keys = [f"{base}{number:05}" for number in range(10_000)]
    chunks = [keys[start : start + 100] for start in range(0, len(keys), 100)]
    await asyncio.gather(*(bus.transact([Put(key, value) for key in chunk]) for chunk in chunks))
    assert [entry.key for entry in (await bus.range(base)).entries] == keys
    assert await bus.delete(base, prefix=True) == 10_000
    assert (await bus.range(base)).entries == ()


async def test_deleting_a_prefix_spares_its_neighbours(bus: ContextBus, base: str) -> None:
    await put_many(bus, [f"{base}1/", f"{base}1/a/", f"{base}10/", f"{base}1"])
    assert await bus.delete(f"{base}1/", prefix=True) == 2
    assert [entry.key for entry in (await bus.range(base)).entries] == [f"{base}1", f"{base}10/"]


# Transactions


async def test_a_transaction_is_one_revision(bus: ContextBus, base: str) -> None:
    await bus.put(f"{base}gone/1", b"")
    await bus.put(f"{base}gone/2", b"")
    revision = await bus.transact([Put(f"{base}a", b"1"), Put(f"{base}b", b"2"), Delete(f"{base}gone/", prefix=True)])
    entries = (await bus.range(base)).entries
    assert [(entry.key, entry.mod_revision) for entry in entries] == [(f"{base}a", revision), (f"{base}b", revision)]


async def test_a_comparison_that_fails_leaves_everything_untouched(bus: ContextBus, base: str) -> None:
    revision = await bus.put(f"{base}a", b"old")
    assert await bus.transact([Put(f"{base}a", b"new"), Put(f"{base}b", b"")], when=[Compare(f"{base}a", 0)]) is None
    assert await bus.transact([Put(f"{base}a", b"new")], when=[Compare(f"{base}a", revision - 1)]) is None
    entry = await bus.get(f"{base}a")
    assert entry is not None
    assert (entry.value, entry.mod_revision) == (b"old", revision)
    assert await bus.get(f"{base}b") is None


async def test_a_comparison_that_holds_lets_the_transaction_happen(bus: ContextBus, base: str) -> None:
    created = await bus.transact([Put(f"{base}a", b"1")], when=[Compare(f"{base}a", 0)])
    assert created
    changed = await bus.transact(
        [Put(f"{base}a", b"2")], when=[Compare(f"{base}a", created), Compare(f"{base}absent", 0)]
    )
    assert changed
    assert changed > created


async def test_of_many_that_create_one_key_exactly_one_succeeds(bus: ContextBus, base: str) -> None:
    tries = [bus.transact([Put(base, b"%d" % n)], when=[Compare(base, 0)]) for n in range(20)]
    results = await asyncio.gather(*tries)
    winners = [number for number, revision in enumerate(results) if revision is not None]
    assert len(winners) == 1
    entry = await bus.get(base)
    assert entry is not None
    assert entry.value == b"%d" % winners[0]


async def test_counting_with_compare_and_swap_loses_no_step(bus: ContextBus, base: str) -> None:
    await bus.put(base, b"0")

    async def step() -> None:
        while True:
            entry = await bus.get(base)
            assert entry is not None
            counted = b"%d" % (int(entry.value) + 1)
            if await bus.transact([Put(base, counted)], when=[Compare(base, entry.mod_revision)]):
                return

    await asyncio.gather(*(step() for _ in range(8)))
    entry = await bus.get(base)
    assert entry is not None
    assert entry.value == b"8"


async def test_a_transaction_may_only_compare_or_do_nothing(bus: ContextBus, base: str) -> None:
    revision = await bus.put(base, b"")
    assert await bus.transact([], when=[Compare(base, revision)])
    assert await bus.transact([], when=[Compare(base, 0)]) is None
    assert await bus.transact([Delete(f"{base}absent")])


async def test_too_many_operations_are_refused(bus: ContextBus, base: str) -> None:
    with pytest.raises(TooLarge, match="101"):
        await bus.transact([Put(f"{base}{n}", b"") for n in range(MAX_TRANSACTION_OPERATIONS + 1)])


async def test_too_heavy_a_value_is_refused(bus: ContextBus, base: str) -> None:
    await bus.put(base, b"x" * (MAX_TRANSACTION_BYTES - 10_000))
    with pytest.raises(TooLarge):
        await bus.put(base, b"x" * (MAX_TRANSACTION_BYTES + 1))


@pytest.mark.parametrize(
    "operations",
    [
        [Put("a", b"1"), Put("a", b"2")],
        [Put("a/b", b"1"), Delete("a/b")],
        [Delete("a/", prefix=True), Put("a/b", b"1")],
    ],
    ids=["written twice", "written and deleted", "written below a deleted prefix"],
)
async def test_one_key_is_changed_once_in_a_transaction(
    bus: ContextBus, base: str, operations: list[Put | Delete]
) -> None:
    below = [
        Put(base + o.key, o.value) if isinstance(o, Put) else Delete(base + o.key, prefix=o.prefix) for o in operations
    ]
    with pytest.raises(BadRequest):
        await bus.transact(below)
    assert (await bus.range(base)).entries == ()


# Watches


async def test_a_watch_first_says_that_it_is_in_force(bus: ContextBus, base: str) -> None:
    await bus.put(f"{base}before", b"")
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base)) as watch:
        assert not await anext(watch)
        await bus.put(f"{base}after", b"1")
        assert told(await take(watch, 1)) == [(EventType.PUT, f"{base}after", b"1")]


async def test_a_watch_tells_puts_and_deletions_in_order(bus: ContextBus, base: str) -> None:
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base)) as watch:
        await anext(watch)
        put = await bus.put(f"{base}a", b"1")
        await bus.put("/elsewhere" + base, b"")
        await bus.delete("/elsewhere" + base)
        await bus.transact([Put(f"{base}b", b"2"), Delete(f"{base}a")])
        events = await take(watch, 3)
    assert events[0] == Event(EventType.PUT, Entry(f"{base}a", b"1", put, put))
    assert sorted(told(events[1:]), key=lambda event: event[1]) == [
        (EventType.DELETE, f"{base}a", b""),
        (EventType.PUT, f"{base}b", b"2"),
    ]
    assert {event.entry.mod_revision for event in events[1:]} == {put + 3}


async def test_a_watch_from_a_revision_tells_the_history_and_goes_on(bus: ContextBus, base: str) -> None:
    start = await bus.put(f"{base}0", b"")
    await bus.put(f"{base}1", b"")
    await bus.delete(f"{base}0")
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base, start_revision=start)) as watch:
        assert not await anext(watch)
        history = await take(watch, 3)
        await bus.put(f"{base}2", b"")
        later = await take(watch, 1)
    assert [(event.type.value, event.entry.key[-1]) for event in history + later] == [
        ("put", "0"),
        ("put", "1"),
        ("delete", "0"),
        ("put", "2"),
    ]


async def test_range_then_watch_misses_nothing_and_repeats_nothing(bus: ContextBus, base: str) -> None:
    total = 300

    async def write() -> None:
        for number in range(total):
            await bus.put(f"{base}{number:03}", b"")

    started = asyncio.create_task(collect(bus, base, count=20, start_revision=(await bus.range(base)).revision + 1))
    writing = asyncio.create_task(write())
    await started
    seen = await bus.range(base)
    known = [entry.key for entry in seen.entries]
    events = await collect(bus, base, count=total - len(known), start_revision=seen.revision + 1)
    await writing
    assert known + [event.entry.key for event in events] == [f"{base}{number:03}" for number in range(total)]


async def test_a_slow_watcher_still_gets_every_event(bus: ContextBus, base: str) -> None:
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base)) as watch:
        await anext(watch)
        keys = [f"{base}{number:05}" for number in range(12_000)]
        await put_many(bus, keys)
        events = await take(watch, len(keys))
    assert [event.entry.key for event in events] == keys


async def test_an_item_of_a_watch_never_splits_a_revision(bus: ContextBus, base: str) -> None:
    start = await bus.put(f"{base}first", b"")
    for number in range(30):
        await bus.transact([Put(f"{base}{number}-{part}", b"x" * 100) for part in range(100)])
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base, start_revision=start)) as watch:
        counted, previous = 0, 0
        while counted < 3_001:
            events = await anext(watch)
            counted += len(events)
            if events:
                assert events[0].entry.mod_revision > previous
                previous = events[-1].entry.mod_revision


async def test_many_watches_of_one_prefix_see_the_same(bus: ContextBus, base: str) -> None:
    start = (await bus.range(base)).revision + 1
    watchers = [asyncio.create_task(collect(bus, base, count=50, start_revision=start)) for _ in range(10)]
    await put_many(bus, [f"{base}{number:02}" for number in range(50)])
    seen = await asyncio.gather(*watchers)
    assert all(events == seen[0] for events in seen)


async def test_another_client_sees_what_was_written(connect: Connect, bus: ContextBus, base: str) -> None:
    other = await connect()
    async with asyncio.timeout(PATIENCE), aclosing(other.watch(base)) as watch:
        await anext(watch)
        await bus.put(base, b"1")
        assert told(await take(watch, 1)) == [(EventType.PUT, base, b"1")]


# Leases


async def test_keys_of_a_lease_stay_while_it_is_kept(bus: ContextBus, base: str) -> None:
    lease = await bus.lease(1)
    await bus.put(base, b"", lease=lease.id)
    await asyncio.sleep(1.5)
    assert not lease.lost
    entry = await bus.get(base)
    assert entry is not None
    assert entry.lease == lease.id
    await lease.revoke()


async def test_revoking_a_lease_deletes_its_keys_and_tells_the_watch(bus: ContextBus, base: str) -> None:
    lease = await bus.lease(30)
    await bus.transact([Put(f"{base}a", b"", lease=lease.id), Put(f"{base}b", b"")])
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(base)) as watch:
        await anext(watch)
        await lease.revoke()
        assert told(await take(watch, 1)) == [(EventType.DELETE, f"{base}a", b"")]
    assert [entry.key for entry in (await bus.range(base)).entries] == [f"{base}b"]


async def test_a_revoked_lease_is_lost_and_can_be_revoked_again(bus: ContextBus, base: str) -> None:
    lease = await bus.lease(30)
    await lease.revoke()
    async with asyncio.timeout(PATIENCE):
        await lease.wait_lost()
    assert lease.lost
    await lease.revoke()
    with pytest.raises(LeaseLost):
        await bus.put(base, b"", lease=lease.id)
    assert await bus.get(base) is None


@pytest.mark.robustness(59)
async def test_a_lease_that_was_once_seen_lost_stays_so(bus: ContextBus, base: str) -> None:
    lease = await bus.lease(1)
    await bus.put(base, b"", lease=lease.id)
    time.sleep(1.2)  # noqa: ASYNC251 - the process is late, and renewals that are on their way come after this look
    assert lease.lost
    async with asyncio.timeout(PATIENCE):
        await lease.wait_lost()
    await asyncio.sleep(0.5)
    assert lease.lost


async def test_leases_do_not_share_keys(bus: ContextBus, base: str) -> None:
    first, second = await bus.lease(30), await bus.lease(30)
    await bus.put(base, b"1", lease=first.id)
    await bus.put(base, b"2", lease=second.id)
    await first.revoke()
    entry = await bus.get(base)
    assert entry is not None
    assert entry.value == b"2"
    await second.revoke()
    assert await bus.get(base) is None


async def test_too_short_a_lease_is_refused(bus: ContextBus) -> None:
    with pytest.raises(BadRequest):
        await bus.lease(0.5)


async def test_a_ping_answers(bus: ContextBus) -> None:
    await bus.ping()


# All of it


async def pieces_of(bus: ContextBus, *prefixes: str, keys_only: bool = False) -> list[Range]:
    async with aclosing(bus.snapshot(*prefixes, keys_only=keys_only)) as pieces:
        return [piece async for piece in pieces]


async def test_a_snapshot_has_what_a_range_has_in_pieces_of_one_revision(bus: ContextBus, base: str) -> None:
    await put_many(bus, [f"{base}{number:04}/" for number in range(2_300)])
    whole = await bus.range(base)
    pieces = await pieces_of(bus, base)
    assert len(pieces) > 1
    assert tuple(entry for piece in pieces for entry in piece.entries) == whole.entries
    assert {piece.revision for piece in pieces} == {whole.revision}


async def test_a_snapshot_of_keys_has_no_values(bus: ContextBus, base: str) -> None:
    revision = await bus.put(f"{base}a/", b"value")
    found = [entry for piece in await pieces_of(bus, base, keys_only=True) for entry in piece.entries]
    assert found == [Entry(f"{base}a/", b"", revision, revision)]


async def test_a_snapshot_of_several_prefixes_is_of_one_moment(bus: ContextBus, base: str) -> None:
    for name in "abc":
        await bus.put(f"{base}{name}/1/", b"before")
    async with aclosing(bus.snapshot(f"{base}a/", f"{base}c/")) as pieces:
        seen = [await anext(pieces)]
        await bus.put(f"{base}c/1/", b"after")
        seen += [piece async for piece in pieces]
    assert [entry.key for piece in seen for entry in piece.entries] == [f"{base}a/1/", f"{base}c/1/"]
    assert {entry.value for piece in seen for entry in piece.entries} == {b"before"}
    assert len({piece.revision for piece in seen}) == 1


async def test_a_snapshot_of_nothing_tells_the_revision(bus: ContextBus, base: str) -> None:
    revision = await bus.put("/elsewhere/", b"")
    assert await pieces_of(bus, base) == [Range((), revision)]
    await bus.delete("/elsewhere/")


async def test_a_snapshot_sees_nothing_of_what_is_written_while_it_is_read(bus: ContextBus, base: str) -> None:
    await put_many(bus, [f"{base}{number:04}/" for number in range(2_300)])
    async with aclosing(bus.snapshot(base)) as pieces:
        seen = list((await anext(pieces)).entries)
        await bus.put(f"{base}2299/", b"changed")
        await bus.put(f"{base}9999/", b"new")
        await bus.delete(f"{base}2200/")
        seen += [entry async for piece in pieces for entry in piece.entries]
    assert [entry.key for entry in seen] == [f"{base}{number:04}/" for number in range(2_300)]
    assert seen[-1].value != b"changed"


async def test_a_snapshot_shows_leases(bus: ContextBus, base: str) -> None:
    lease = await bus.lease(10)
    await bus.put(f"{base}a/", b"", lease=lease.id)
    found = [entry for piece in await pieces_of(bus, base, keys_only=True) for entry in piece.entries]
    assert [entry.lease for entry in found] == [lease.id]
    await lease.revoke()
