"""The breaker, the turns and the lanes of one cluster, by a clock of their own (robustness 44, 46, 66)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import KubeError, errors
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.breaker import STRIKES, SUBJECTS, Breaker, BreakerState
from emco_rsync.reach.gate import Gate
from emco_rsync.reach.lanes import MAX_PAUSE_SECONDS, Shared, Turn
from emco_rsync.reach.slots import FairSlots

BACKOFF = Backoff(lambda: 1.0 - 1e-9, first=1.0, longest=30.0)
AT = datetime(2026, 11, 22, 21, 40, 7, tzinfo=UTC)


class Time:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += seconds


def breaker(time: Time) -> Breaker:
    return Breaker(clock=time.clock, now=lambda: AT, backoff=BACKOFF)


def gate(time: Time, *, calls: int = 100, writes: int = 3, reads: int = 2) -> Gate:
    shared = Shared(
        calls=FairSlots(calls),
        writes=writes,
        reads=reads,
        backoff=BACKOFF,
        sleep=time.sleep,
        clock=time.clock,
        now=lambda: AT,
    )
    return Gate("p+edge", shared)


async def call(through: Gate, turn: Turn, error: KubeError | None = None) -> None:
    async with through.passing(turn):
        if error is not None:
            raise error


async def fail(through: Gate, subject: str, error: KubeError) -> None:
    with pytest.raises(type(error)):
        await call(through, Turn("1", subject), error)


@pytest.mark.robustness(44)
def test_an_open_breaker_lets_one_attempt_go_when_it_is_time_and_waits_longer_after_each() -> None:
    time = Time()
    one = breaker(time)
    one.doubted()
    assert (one.state, one.wait) == (BreakerState.HALF_OPEN, 0.0)
    waits = []
    for _ in range(8):
        one.failed(word="Timeout", reason=f"no answer at {time.now}")
        assert one.state is BreakerState.OPEN
        waits.append(round(one.wait))
        time.now += one.wait
        assert one.wait == 0.0
        one.tries()
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert one.reason == "no answer at 0.0"  # the first of its class: what is told does not flicker
    one.succeeded()
    assert (one.closed, one.failures, one.reason) == (True, 0, "")


@pytest.mark.robustness(41, 44)
@given(st.lists(st.sampled_from(["a", "b"]), max_size=60))
def test_objects_that_fail_again_and_again_alone_keep_nobody_away(subjects: list[str]) -> None:
    one = breaker(Time())
    for subject in subjects:
        one.struck(subject, word="InternalError", reason="webhook")
    assert one.closed


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=60))
def test_it_opens_only_after_so_many_faults_in_a_row(events: list[int | None]) -> None:
    one = breaker(Time())
    row: list[int] = []
    for subject in events:
        if subject is None:
            one.succeeded()
            row.clear()
        else:
            row.append(subject)
            one.struck(str(subject), word="x", reason="x")
        if len(row) >= STRIKES and len(set(row)) >= SUBJECTS:
            assert one.state is BreakerState.OPEN
            return
        assert one.closed


async def test_who_asks_for_much_does_not_keep_others_waiting() -> None:
    slots = FairSlots(1)
    await slots.acquire("busy")
    order: list[str] = []

    async def work(name: str) -> None:
        await slots.acquire(name)
        order.append(name)
        slots.release()

    async with asyncio.TaskGroup() as group:
        for name in ["large"] * 5 + ["small"] * 2:
            group.create_task(work(name))
        await asyncio.sleep(0)
        slots.release()
    assert order == ["large", "small", "large", "small", "large", "large", "large"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=12))
def test_no_slot_is_lost_to_those_who_give_up_waiting(waiters: list[tuple[str, bool]]) -> None:
    async def use(slots: FairSlots, key: str) -> None:
        await slots.acquire(key)
        slots.release()

    async def run() -> None:
        slots = FairSlots(1)
        await slots.acquire("first")
        tasks = [(asyncio.create_task(use(slots, key)), stays) for key, stays in waiters]
        await asyncio.sleep(0)
        for task, stays in tasks:
            if not stays:
                task.cancel()
        slots.release()
        async with asyncio.timeout(5):
            await asyncio.gather(*(task for task, stays in tasks if stays))
            await slots.acquire("last")

    asyncio.run(run())


async def test_who_gives_up_at_the_moment_of_his_turn_hands_it_on() -> None:
    slots = FairSlots(1)
    await slots.acquire("a")
    late, next_one = asyncio.create_task(slots.acquire("b")), asyncio.create_task(slots.acquire("c"))
    await asyncio.sleep(0)
    slots.release()
    late.cancel()
    async with asyncio.timeout(5):
        await next_one


@pytest.mark.robustness(66)
async def test_a_cluster_that_can_not_write_is_tried_with_one_call_at_a_time() -> None:
    time = Time()
    edge = gate(time)
    full = errors.ServerError("etcdserver: mvcc: database space exceeded", http_status=500)
    for n in range(STRIKES):
        await fail(edge, f"71-web/c{n}+ConfigMap", full)
    told = edge.trouble()
    assert "writes are held back since 2026-11-22T21:40:07Z" in told
    assert "database space exceeded" in told
    under_way = most = 0

    async def write(n: int) -> None:
        nonlocal under_way, most
        async with edge.passing(Turn("1", f"71-web/c{n}+ConfigMap")):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            raise full

    assert await asyncio.gather(*(write(n) for n in range(6)), return_exceptions=True) == [full] * 6
    assert most == 1
    assert time.now > 30  # six attempts, each with the pause before it
    assert edge.trouble() == told
    await call(edge, Turn("1", "71-web/look+ConfigMap", reading=True))  # reading is another matter
    assert edge.trouble() == told
    await call(edge, Turn("1", "71-web/c1+ConfigMap"))
    assert edge.trouble() == ""


async def test_a_value_of_a_secret_is_not_told_as_the_state_of_a_cluster() -> None:
    edge = gate(Time())
    for n in range(STRIKES):
        with pytest.raises(errors.BadAnswer):
            await call(edge, Turn("1", f"71-web/s{n}+Secret", "Secret"), errors.BadAnswer("<html>canary-77"))
    assert "writes are held back" in edge.trouble()
    assert "canary" not in edge.trouble()


@pytest.mark.robustness(46)
@pytest.mark.parametrize(("asked", "paused"), [(7.0, 7.0), (31_536_000.0, MAX_PAUSE_SECONDS)])
async def test_a_cluster_that_asks_for_patience_gets_it_but_not_for_a_year(asked: float, paused: float) -> None:
    time = Time()
    edge = gate(time)
    throttled = errors.TooManyRequests("slow down", http_status=429)
    throttled.retry_after = asked
    await fail(edge, "a", throttled)
    await call(edge, Turn("1", "b"))
    assert time.now == 0.0  # one object alone is its own affair
    await fail(edge, "a", throttled)
    await fail(edge, "b", throttled)
    await call(edge, Turn("1", "c", reading=True))
    assert time.now == 0.0
    await call(edge, Turn("1", "c"))
    assert time.now == pytest.approx(paused)


@pytest.mark.robustness(46)
@pytest.mark.parametrize("refusal", [errors.Forbidden, errors.Invalid, errors.FieldConflict, errors.NotFound])
async def test_a_refusal_is_a_good_answer(refusal: Callable[[str], KubeError]) -> None:
    edge = gate(Time())
    for n in range(STRIKES - 1):
        await fail(edge, f"c{n}", errors.ServerError("x"))
    await fail(edge, "d", refusal("no"))
    await fail(edge, "e", errors.ServerError("x"))
    assert edge.trouble() == ""


async def test_who_only_looks_does_not_take_the_place_of_who_does() -> None:
    edge = gate(Time(), writes=1, reads=1)
    looking = edge.passing(Turn("1", "a", reading=True))
    await looking.__aenter__()
    async with asyncio.timeout(5):
        await call(edge, Turn("1", "b"))
    await looking.__aexit__(None, None, None)


@pytest.mark.robustness(44)
async def test_calls_that_last_do_not_count_for_the_process() -> None:
    time = Time()
    calls = FairSlots(2)

    def at(cluster: str) -> Gate:
        return Gate(cluster, Shared(calls, 8, 4, BACKOFF, time.sleep, time.clock))

    dead, well = at("p+dead"), at("p+well")
    hanging = [dead.passing(Turn("1", f"c{n}")) for n in range(2)]
    for one in hanging:
        await one.__aenter__()
    async with asyncio.timeout(5):
        for n in range(10):
            await call(well, Turn("2", f"c{n}"))
    for one in hanging:
        await one.__aexit__(None, None, None)
    async with asyncio.timeout(5):
        await calls.acquire("x")
        await calls.acquire("x")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await calls.acquire("x")
