"""However many clusters there are: so many are begun at a time, and it is not their fault if it is we who are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from emco_common.kube import KubeError, errors
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.gate import OVERSLEPT, Server
from emco_rsync.reach.lanes import Shared
from emco_rsync.reach.lateness import Lateness
from emco_rsync.reach.slots import LOOKS, Busy, FairSlots

LATE = errors.Unreachable("no answer", reason="Timeout")


class Late(Lateness):
    @property
    def ours(self) -> bool:
        return True


class InTime(Lateness):
    @property
    def ours(self) -> bool:
        return False


def shared(lateness: Callable[[], Lateness], *, opening: int = 32) -> Shared:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    return Shared(
        calls=FairSlots(100),
        writes=3,
        reads=2,
        backoff=Backoff(lambda: 0.5),
        sleep=sleep,
        clock=lambda: 0.0,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        lateness=lateness,
        opening=Busy(opening, patience=3600),
    )


class Silent:
    """Answers after so many calls without one."""

    def __init__(self, silences: int, error: KubeError = LATE) -> None:
        self.asked = 0
        self._silences = silences
        self._error = error

    async def __call__(self) -> None:
        self.asked += 1
        if self.asked <= self._silences:
            raise self._error


async def test_a_deadline_that_passed_because_we_were_late_opens_no_breaker() -> None:
    told: list[None] = []
    server = Server(shared(Late), changed=lambda: told.append(None))
    ask = Silent(OVERSLEPT)
    await server.probe(ask)
    assert (ask.asked, server.breaker.closed, told) == (OVERSLEPT + 1, True, [])


@pytest.mark.parametrize(
    ("lateness", "silences", "error", "asked"),
    [
        (InTime, 1, LATE, 1),
        (Late, 1, errors.Unreachable("connection refused"), 1),
        (Late, 100, LATE, OVERSLEPT + 1),
    ],
    ids=["we were in time", "no deadline passed", "it is silent all the same"],
)
async def test_otherwise_silence_is_silence(
    lateness: Callable[[], Lateness], silences: int, error: KubeError, asked: int
) -> None:
    server, ask = Server(shared(lateness), changed=lambda: None), Silent(silences, error)
    with pytest.raises(errors.Unreachable):
        await server.probe(ask)
    assert (ask.asked, server.breaker.closed) == (asked, False)


async def test_a_loop_that_stands_still_is_late_and_one_that_waits_is_not() -> None:
    time = asyncio.get_running_loop().time
    with Lateness() as lateness:
        until = time() + 0.3
        while time() < until:
            pass  # nothing else gets its turn
        assert lateness.ours
    with Lateness() as lateness:
        assert not lateness.ours


async def test_at_most_so_many_clusters_are_called_upon_for_the_first_time_at_once() -> None:
    common = shared(InTime, opening=4)
    full, go, at_once, most = asyncio.Event(), asyncio.Event(), 0, 0

    async def ask() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once >= 4:
            full.set()
        await go.wait()
        await asyncio.sleep(0)
        at_once -= 1

    servers = [Server(common, changed=lambda: None) for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.probe(ask))
        await full.wait()
        go.set()
    assert most == 4


@pytest.mark.parametrize(("late", "looks"), [(0.0, 1), (1.0, LOOKS - 1)], ids=["others may go on", "only in the end"])
async def test_who_lasts_while_we_have_time_keeps_no_other_waiting(late: float, looks: int) -> None:
    looked: list[float] = []

    def look(due: float) -> float:
        looked.append(due)
        return late

    busy = Busy(1, patience=0.0, late=look)
    async with asyncio.timeout(5), busy.one("slow"), busy.one("quick"):
        assert len(looked) == looks


async def test_a_slot_is_given_back_once() -> None:
    busy = Busy(1, patience=3600)
    async with asyncio.timeout(5):
        for _ in range(3):
            async with busy.one("a"):
                pass
        async with busy.one("a"):
            waiting = asyncio.create_task(_pass(busy))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def test_who_says_that_he_only_waits_lets_another_go_on_and_none_twice() -> None:
    busy = Busy(1, patience=3600)
    async with asyncio.timeout(5), busy.one("away") as only_waits:
        only_waits()
        only_waits()
        async with busy.one("b"):
            waiting = asyncio.create_task(_pass(busy))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def _pass(busy: Busy) -> None:
    async with busy.one("b"):
        pass
