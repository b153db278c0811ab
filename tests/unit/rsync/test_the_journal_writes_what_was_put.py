from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from emco_common.appcontext import keys, values
from emco_common.contextbus.api import BusUnavailable, Compare, ContextBus, Delete, Put
from emco_common.contextbus.embedded.bus import EmbeddedBus
from emco_rsync.reach.backoff import Backoff
from emco_rsync.record.journal import Journal
from tests.support.agents import until

QUICK = Backoff(lambda: 0.0, first=0.001, longest=0.001)


class Counted:
    """A bus that counts its transactions and is away for the first ``failures`` of them."""

    def __init__(self, bus: ContextBus, *, failures: int = 0) -> None:
        self._bus = bus
        self.sizes: list[int] = []
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        if self.failures:
            self.failures -= 1
            raise BusUnavailable("away")
        self.sizes.append(len(operations))
        return await self._bus.transact(operations, when=when)


@pytest_asyncio.fixture
async def bus() -> AsyncIterator[ContextBus]:
    made = await EmbeddedBus.open(":memory:")
    await made.put(keys.root("7"), values.encode("7"))
    yield made
    await made.close()


@asynccontextmanager
async def writing(bus: Any, **options: Any) -> AsyncIterator[Journal]:
    journal = Journal(bus, backoff=QUICK, **options)
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def entry(number: int, value: str = "x") -> Put:
    return Put(f"{keys.root('7')}k{number}/", values.encode(value))


async def test_many_keys_go_in_few_transactions_and_the_newest_value_wins(bus: ContextBus) -> None:
    counted = Counted(bus)
    async with writing(counted) as journal:
        for value in "abc":
            journal.put("7", [entry(number, value) for number in range(250)])
        await journal.flush()
    assert counted.sizes == [100, 100, 50]
    found = await bus.range(keys.root("7") + "k")
    assert {value.value for value in found.entries} == {b'"c"'}


async def test_what_comes_soon_after_a_write_is_gathered(bus: ContextBus) -> None:
    counted = Counted(bus)
    async with writing(counted, rest=600) as journal:
        journal.put("7", [entry(0)])
        await journal.flush()
        for number in range(1, 5):
            journal.put("7", [entry(number)])
            for _ in range(20):
                await asyncio.sleep(0)
        assert counted.sizes == [1]
        await journal.flush()
    assert counted.sizes == [1, 4]


async def test_what_is_gathered_is_written_before_long_although_nobody_waits(bus: ContextBus) -> None:
    counted = Counted(bus)
    async with writing(counted, rest=0.01) as journal:
        journal.put("7", [entry(1)], more=True)
        await until(lambda: counted.sizes == [1])
        journal.put("7", [entry(2)])
        await until(lambda: counted.sizes == [1, 1])


async def test_what_is_to_be_followed_by_more_is_written_with_it(bus: ContextBus) -> None:
    counted = Counted(bus)
    async with writing(counted, rest=600) as journal:
        journal.put("7", [entry(1)], more=True)
        for _ in range(20):
            await asyncio.sleep(0)
        journal.put("7", [entry(2)])
        await journal.flush()
    assert counted.sizes == [2]


async def test_heavy_values_are_spread_over_transactions(bus: ContextBus) -> None:
    counted = Counted(bus)
    async with writing(counted) as journal:
        journal.put("7", [entry(number, "x" * 300_000) for number in range(4)])
        await journal.flush()
    assert counted.sizes == [1, 1, 1, 1]


async def test_nothing_is_lost_while_the_bus_is_away(bus: ContextBus) -> None:
    async with writing(Counted(bus, failures=3)) as journal:
        journal.put("7", [entry(1)])
        await journal.flush()
    assert await bus.get(entry(1).key) is not None


async def test_a_context_that_is_gone_stays_gone(bus: ContextBus) -> None:
    gone: list[str] = []
    async with writing(bus, gone=gone.append) as journal:
        journal.put("7", [entry(1)])
        await journal.flush()
        await bus.delete(keys.root("7"), prefix=True)
        journal.put("7", [entry(2)])
        journal.put("8", [Put(keys.root("8") + "k/", b"1")])
        await journal.flush()
    assert (await bus.range(keys.CONTEXTS)).entries == ()
    assert sorted(gone) == ["7", "8"]


async def test_a_context_that_was_made_anew_is_written_to(bus: ContextBus) -> None:
    async with writing(bus) as journal:
        journal.put("7", [entry(1)])
        await journal.flush()
        await bus.put(keys.root("7"), values.encode("7"))
        journal.put("7", [entry(2)])
        await journal.flush()
    assert await bus.get(entry(2).key) is not None


@pytest.mark.parametrize("puts", [0, 1])
async def test_flush_returns_when_there_is_nothing_to_wait_for(bus: ContextBus, puts: int) -> None:
    async with writing(bus) as journal:
        journal.put("7", [entry(1)] * puts)
        await journal.flush()
        await journal.flush()


async def test_what_was_being_written_when_it_broke_off_is_written_when_it_runs_again(bus: ContextBus) -> None:
    class BreaksOnce(Counted):
        async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
            if self.failures:
                self.failures = 0
                journal.put("7", [entry(1, "newer")])
                raise RuntimeError("a defect")
            return await super().transact(operations, when=when)

    breaks: Any = BreaksOnce(bus, failures=1)
    journal = Journal(breaks, backoff=QUICK)
    journal.put("7", [entry(1, "older"), entry(2)])
    with pytest.raises(RuntimeError):
        await journal.run()
    run = asyncio.create_task(journal.run())
    await asyncio.wait_for(journal.flush(), 5)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert [put.value for put in (await bus.range(keys.root("7") + "k")).entries] == [b'"newer"', b'"x"']
