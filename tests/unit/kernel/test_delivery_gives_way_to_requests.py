"""Work that was begun ``giving_way`` has turns; everything else goes before it, and it goes on all the same."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest

from emco_common.courtesy import PATIENCE_SECONDS, CourteousLoop, PatientSelector, giving_way, going_first, waited_for

T = TypeVar("T")


class SteppingLoop(CourteousLoop):
    """Each look at the clock takes a millisecond, so that a turn is one step."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__()

    def time(self) -> float:
        self.now += 0.001
        return self.now


def run(work: Callable[[], Awaitable[T]], loop: Callable[[], asyncio.AbstractEventLoop] = SteppingLoop) -> T:
    async def main() -> T:
        async with asyncio.timeout(100):
            return await work()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


class Delivery:
    """A hundred tasks with many steps each; ``steps`` counts them."""

    def __init__(self, tasks: int = 100, steps: int = 10_000) -> None:
        self.steps = 0
        self._tasks = [asyncio.create_task(self._go_on(steps), context=giving_way()) for _ in range(tasks)]

    async def _go_on(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
            self.steps += 1

    async def over(self) -> None:
        await asyncio.gather(*self._tasks)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def test_a_step_that_somebody_waits_for_comes_after_one_step_of_delivery_and_not_after_all() -> None:
    async def work() -> int:
        delivery = Delivery()
        for _ in range(200):  # all have begun
            await asyncio.sleep(0)
        before = delivery.steps
        for _ in range(10):
            await asyncio.sleep(0)
        passed = delivery.steps - before
        await delivery.end()
        return passed

    assert 0 < run(work) <= 10


def test_an_answer_over_the_network_comes_between_steps_of_delivery() -> None:
    async def work() -> int:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        delivery = Delivery()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        before = delivery.steps
        writer.write(b"who is there?\n")
        assert await reader.readline() == b"who is there?\n"
        passed = delivery.steps - before
        writer.close()
        server.close()
        await delivery.end()
        return passed

    assert run(work) < 100  # on another event loop each of some ten rounds takes a hundred steps


def test_delivery_goes_on_while_somebody_always_waits() -> None:
    async def work() -> int:
        delivery = Delivery(tasks=10, steps=20)

        async def ask() -> None:
            while True:
                with waited_for():
                    await asyncio.sleep(0)

        asking = asyncio.create_task(ask())
        await delivery.over()
        asking.cancel()
        return delivery.steps

    assert run(work) == 200


def test_delivery_rests_while_somebody_waits_but_not_for_a_stream_that_is_open_for_hours() -> None:
    def spent(since: float) -> float:
        async def work() -> float:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SteppingLoop)
            with waited_for():
                loop.now += since
                began = loop.now
                await Delivery(tasks=5, steps=10).over()
                return loop.now - began

        return run(work)

    assert spent(0) > 1.5 * spent(PATIENCE_SECONDS + 1)


def test_what_is_begun_by_what_gives_way_gives_way_too_and_keeps_its_variables() -> None:
    name: ContextVar[str] = ContextVar("name")

    async def work() -> tuple[str, int]:
        name.set("a request")
        told: list[str] = []

        async def child() -> None:
            for _ in range(50):
                await asyncio.sleep(0)
            told.append(name.get())

        async def parent() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(child())

        delivering = asyncio.create_task(parent(), context=giving_way())
        rounds = 0
        while not told:
            await asyncio.sleep(0)
            rounds += 1
        await delivering
        return told[0], rounds

    (said, rounds) = run(work)
    assert said == "a request"
    assert rounds > 500  # were the children taken together, it would be some fifty


def test_a_failure_in_a_turn_is_told_and_the_others_go_on() -> None:
    async def work() -> tuple[list[str], int]:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))

        def fail() -> None:
            raise ValueError("a poisonous callback")

        loop.call_soon(fail, context=giving_way())
        delivery = Delivery(tasks=3, steps=3)
        await delivery.over()
        return told, delivery.steps

    assert run(work) == (["a poisonous callback"], 9)


def test_a_turn_that_was_cancelled_is_not_taken() -> None:
    async def work() -> list[str]:
        taken: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_soon(taken.append, "cancelled", context=giving_way()).cancel()
        loop.call_soon(taken.append, "wanted", context=giving_way())
        await Delivery(tasks=1, steps=1).over()
        return taken

    assert run(work) == ["wanted"]


def test_an_interruption_in_a_turn_ends_the_loop_and_loses_no_other_turn() -> None:
    loop = SteppingLoop()
    taken: list[str] = []

    def interrupt() -> None:
        raise SystemExit(3)

    try:
        loop.call_soon(interrupt, context=giving_way())
        loop.call_soon(taken.append, "the next", context=giving_way())
        with pytest.raises(SystemExit):
            loop.run_forever()
        loop.run_until_complete(asyncio.sleep(0.01))
        assert taken == ["the next"]
    finally:
        loop.close()


def test_the_real_clock_bears_delivery_and_requests_as_well() -> None:
    async def work() -> int:
        delivery = Delivery(tasks=10, steps=100)
        for _ in range(20):
            with waited_for():
                await asyncio.to_thread(lambda: None)
        await delivery.over()
        return delivery.steps

    assert run(work, CourteousLoop) == 1_000


@contextmanager
def readable(selector: PatientSelector, number: int, *, patient: bool) -> Iterator[list[socket.socket]]:
    pairs = [socket.socketpair() for _ in range(number)]
    try:
        for ours, theirs in pairs:
            theirs.send(b"x")
            register: Callable[..., Any] = selector.register
            if patient:
                giving_way().run(register, ours, selectors.EVENT_READ)
            else:
                register(ours, selectors.EVENT_READ)
        yield [ours for ours, _ in pairs]
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


@pytest.fixture
def selector() -> Iterator[PatientSelector]:
    selector = PatientSelector()
    yield selector
    selector.close()


def told(selector: PatientSelector) -> list[object]:
    return [key.fileobj for key, _ in selector.select(1)]


def test_connections_of_delivery_are_told_one_at_a_time_and_all_others_at_once(selector: PatientSelector) -> None:
    with readable(selector, 3, patient=True) as patient, readable(selector, 2, patient=False) as others:
        rounds = [told(selector) for _ in range(6)]
    assert all(set(each) >= set(others) and len(each) == 3 for each in rounds)
    turns = [next(one for one in each if one not in others) for each in rounds]
    assert set(turns[:3]) == set(turns[3:]) == set(patient)


def test_a_resting_selector_tells_nothing_of_delivery_and_waits_as_long_as_it_was_told(
    selector: PatientSelector,
) -> None:
    with readable(selector, 3, patient=True):
        assert len(told(selector)) == 1
        selector.rest()
        assert [selector.select(0) for _ in range(3)] == [[], [], []]
        with readable(selector, 1, patient=False) as others:
            assert told(selector) == others
            selector.unregister(others[0])
        selector.go_on()
        assert len(told(selector)) == 1


def test_a_connection_that_was_closed_or_changed_meanwhile_is_not_told_as_it_was(selector: PatientSelector) -> None:
    with readable(selector, 3, patient=True) as patient:
        (first,) = told(selector)
        second, third = (one for one in patient if one is not first)
        selector.unregister(second)
        selector.modify(third, selectors.EVENT_READ | selectors.EVENT_WRITE, "changed")
        seen = [selector.select(1)[0][0] for _ in range(2)]
        assert {key.fileobj for key in seen} == {first, third}
        assert {key.data for key in seen if key.fileobj is third} == {"changed"}


def test_keys_are_found_of_whatever_kind(selector: PatientSelector) -> None:
    with readable(selector, 1, patient=True) as patient, readable(selector, 1, patient=False) as others:
        for one in (*patient, *others):
            assert selector.get_key(one).fileobj is one
            assert selector.get_map()[one.fileno()].fileobj is one
            selector.unregister(one)
            with pytest.raises(KeyError):
                selector.get_key(one)


def test_a_deadline_passes_although_delivery_never_ends() -> None:
    async def work() -> bool:
        delivery = Delivery()
        try:
            async with asyncio.timeout(0.1):
                await asyncio.Event().wait()
        except TimeoutError:
            return True
        finally:
            await delivery.end()
        return False

    assert run(work)


def test_what_is_due_goes_first_though_delivery_has_begun_it() -> None:
    async def work() -> int:
        taken = 0

        async def delivery() -> None:
            nonlocal taken
            for _ in range(1_000):
                taken += 1
                await asyncio.sleep(0)

        async def renewal() -> int:
            for _ in range(20):
                await asyncio.sleep(0)
            return taken

        async def beginning() -> int:
            others = [asyncio.create_task(delivery()) for _ in range(100)]
            seen = await asyncio.create_task(renewal(), context=going_first())
            for other in others:
                other.cancel()
            return seen

        return await asyncio.create_task(beginning(), context=giving_way())

    assert run(work) < 200
