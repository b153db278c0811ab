"""The right to write for a deployment: one holder, surely known to be over when it is, and no write without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.appcontext import keys, values
from emco_common.appcontext.states import QueueEvent
from emco_common.contextbus.api import ContextBus, Put
from emco_rsync.apply.fenced import fenced
from emco_rsync.events.division import ranking
from emco_rsync.events.mirror import Mirror
from emco_rsync.events.ownership import OWNERS, REPLICAS, Ownership, Token, owner_key
from emco_rsync.events.queue import Queue
from emco_rsync.fence import NotOwner
from emco_rsync.reach.backoff import Backoff
from emco_rsync.record.journal import Journal
from tests.support.buses import Connect

QUICK = Backoff(lambda: 0.0, first=0.001, longest=0.001)
names = st.text("abc123", min_size=1, max_size=4)


class Process:
    """One replica as far as ownership goes."""

    def __init__(self, bus: ContextBus, replica: str) -> None:
        self.lost: list[str] = []
        self.present = asyncio.Event()
        self.ownership = Ownership(bus, replica=replica, address=lambda: f"{replica}:1", ttl=30, backoff=QUICK)

    async def run(self) -> None:
        await self.ownership.run(present=self.present.set, lost=self._note)

    async def take(self, name: str) -> Token:
        token = await self.ownership.acquire(name)
        assert token is not None
        return token

    def _note(self, tokens: Sequence[Token]) -> None:
        self.lost += [token.name for token in tokens]


@asynccontextmanager
async def processes(connect: Connect, *replicas: str) -> AsyncIterator[list[Process]]:
    made = [Process(await connect(), replica) for replica in replicas]
    tasks = [asyncio.create_task(one.run()) for one in made]
    try:
        async with asyncio.timeout(10):
            for one in made:
                await one.present.wait()
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Clocked:
    """A lease whose time a test decides on; nobody tells that it is over."""

    id = 1

    def __init__(self) -> None:
        self.lost = False

    async def wait_lost(self) -> None:
        await asyncio.Event().wait()

    async def revoke(self) -> None:
        return None


class Cluster:
    """What speaks to a cluster; an apply ends when ``answered`` is set."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answered = asyncio.Event()

    async def apply(self, name: str) -> str:
        self.calls.append(f"apply {name}")
        await self.answered.wait()
        return name

    async def get(self, name: str) -> str:
        self.calls.append(f"get {name}")
        return name


def token_of(lease: Any, bus: Any = None) -> Token:
    return Token("7", 1, lease, bus=bus, lose=lambda token: token.end())


async def test_work_that_is_queued_takes_the_deployment_with_it_unless_another_has_it(connect: Connect) -> None:
    async with processes(connect, "a", "b") as (first, second):
        bus = await connect()
        for name in ("7", "8"):
            await bus.put(keys.root(name), values.encode(name))
        added = await Queue(bus).add("7", QueueEvent.INSTANTIATE, claim=first.ownership.claim("7"))
        assert added.claimed
        claim = first.ownership.claim("7")
        assert claim is not None
        token = first.ownership.granted(claim, added.revision)
        assert token is not None
        assert await bus.transact([Put("/x/", b"")], when=token.guard()) is not None
        assert await first.ownership.acquire("7") is token
        await first.take("8")
        other = await Queue(bus).add("8", QueueEvent.INSTANTIATE, claim=second.ownership.claim("8"))
        assert not other.claimed
        assert [element.event for element in other.desk.elements] == [QueueEvent.INSTANTIATE]
        assert (await Queue(bus).read("8")) == other.desk
        assert await second.ownership.acquire("8") is None


async def test_a_claim_under_a_lease_that_has_gone_queues_the_work_all_the_same(connect: Connect) -> None:
    async with processes(connect, "a") as (first,):
        bus = await connect()
        await bus.put(keys.root("7"), values.encode("7"))
        claim = first.ownership.claim("7")
        assert claim is not None
        await claim.lease.revoke()
        added = await Queue(bus).add("7", QueueEvent.INSTANTIATE, claim=claim)
        assert not added.claimed
        assert len(added.desk.elements) == 1
        assert first.ownership.granted(claim, added.revision) is None


async def test_one_of_several_gets_it_and_another_when_that_one_lets_go(connect: Connect) -> None:
    async with processes(connect, "a", "b") as (first, second):
        token = await first.take("7")
        assert await second.ownership.acquire("7") is None
        assert await first.ownership.acquire("7") is token
        await first.ownership.release(token)
        with pytest.raises(NotOwner):
            token()
        await second.take("7")


async def test_what_a_process_owned_is_nobody_s_when_it_ends_and_neither_is_its_address(connect: Connect) -> None:
    bus = await connect()
    async with processes(connect, "a") as (only,):
        await only.take("7")
        await only.take("8")
        assert [entry.value for entry in (await bus.range(REPLICAS)).entries] == [b'{"address": "a:1"}']
    assert only.lost == ["7", "8"]
    assert (await bus.range(OWNERS)).entries == ()
    assert (await bus.range(REPLICAS)).entries == ()


async def test_an_answer_that_was_lost_does_not_lose_the_deployment(connect: Connect) -> None:
    async with processes(connect, "a") as (only,):
        token = await only.take("7")
        only.ownership._tokens.clear()  # as if the transaction had been carried out and its answer lost
        again = await only.take("7")
        assert again.guard() == token.guard()


@pytest.mark.robustness(59)
async def test_the_bus_refuses_what_a_former_owner_still_writes(connect: Connect) -> None:
    bus = await connect()
    async with processes(connect, "a", "b") as (first, second):
        token = await first.take("7")
        await bus.delete(owner_key("7"))
        await second.take("7")
        assert await bus.transact([Put("/x/", b"")], when=token.guard()) is None
        with pytest.raises(NotOwner):
            await token.confirm()
        assert first.lost == ["7"]
        assert token.lost


@pytest.mark.robustness(59, 61)
async def test_nothing_is_sent_once_the_time_of_the_lease_has_passed_though_nobody_has_noticed() -> None:
    lease, cluster = Clocked(), Cluster()
    cluster.answered.set()
    client: Any = fenced(cluster, token_of(lease))  # type: ignore[arg-type]
    assert await client.apply("a") == "a"
    lease.lost = True
    with pytest.raises(NotOwner):
        await client.apply("b")
    assert await client.get("c") == "c", "looking harms nobody"
    assert cluster.calls == ["apply a", "get c"]


async def test_a_write_that_is_under_way_when_the_right_ends_is_cut() -> None:
    token, cluster = token_of(Clocked()), Cluster()
    client: Any = fenced(cluster, token)  # type: ignore[arg-type]
    writing = asyncio.create_task(client.apply("a"))
    await asyncio.sleep(0)
    token.end()
    with pytest.raises(NotOwner):
        await writing


async def test_a_write_that_is_cancelled_for_another_reason_says_so() -> None:
    cluster = Cluster()
    client: Any = fenced(cluster, token_of(Clocked()))  # type: ignore[arg-type]
    writing = asyncio.create_task(client.apply("a"))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


@pytest.mark.robustness(59)
@pytest.mark.parametrize("noticed", [True, False])
async def test_what_a_former_owner_has_seen_is_not_written(connect: Connect, noticed: bool) -> None:
    bus, context = await connect(), f"lost-{noticed}"
    await bus.put(keys.root(context), values.encode(context))
    key = f"{keys.root(context)}k/"
    async with processes(connect, "a") as (only,):
        token = await only.take(context)
        journal = Journal(bus, backoff=QUICK)
        writing = asyncio.create_task(journal.run())
        pen = journal.under(token)
        pen.put(context, [Put(key, b'"mine"')])
        await asyncio.wait_for(pen.flush(), 10)
        if noticed:
            token.end()
        else:
            await bus.put(owner_key(context), b"somebody else")
        pen.put(context, [Put(key, b'"late"')])
        await asyncio.wait_for(pen.flush(), 10)
        entry = await bus.get(key)
        assert entry is not None
        assert entry.value == b'"mine"'
        assert token.lost
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    await bus.delete(keys.root(context), prefix=True)
    await bus.delete(owner_key(context))


@given(names, st.sets(names, min_size=1, max_size=6))
def test_all_replicas_agree_and_only_what_was_first_with_one_moves_when_it_goes(name: str, replicas: set[str]) -> None:
    order = ranking(name, replicas)
    assert set(order) == replicas
    assert order == ranking(name, sorted(replicas, reverse=True))
    for gone in replicas:
        assert ranking(name, replicas - {gone}) == [one for one in order if one != gone]


async def test_a_mirror_tells_everything_once_and_what_was_noted_not_again(bus: ContextBus, base: str) -> None:
    told: list[tuple[str, bytes | None]] = []
    await bus.put(f"{base}a/", b"1")
    mirror = Mirror(bus, base, changed=lambda name, value: told.append((name, value)), backoff=QUICK)
    running = asyncio.create_task(mirror.run())
    await asyncio.wait_for(mirror.ready.wait(), 10)
    noted = await bus.put(f"{base}b/", b"2")
    mirror.note("b", b"2", revision=noted)
    await bus.delete(f"{base}a/")
    last = await bus.put(f"{base}c/", b"3")
    await until(lambda: "c" in mirror.values)
    assert not mirror.note("c", b"older", revision=last)
    assert mirror.values == {"b": b"2", "c": b"3"}
    assert [one for one in told if one != ("b", b"2")] == [("a", b"1"), ("a", None), ("c", b"3")]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the test looks from outside
            await asyncio.sleep(0.01)
