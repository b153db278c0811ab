"""How many things are begun at a time, when the next one is, and that nothing is left behind at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from emco_rsync.concurrent import gradually

HeldUp = Callable[[], None]


async def test_no_more_are_begun_than_may_be_and_results_keep_their_order() -> None:
    running = most = 0

    async def one(number: int, held_up: HeldUp) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    found = await gradually((lambda held_up, n=n: one(n, held_up) for n in range(50)), at_once=4)  # type: ignore[misc]
    assert found == list(range(50))
    assert most == 4


async def test_who_is_held_up_makes_room_once_and_holds_nobody_up() -> None:
    begun: list[int] = []
    last = asyncio.Event()

    async def one(number: int, held_up: HeldUp) -> None:
        begun.append(number)
        if number == 9:
            last.set()
        held_up()
        held_up()
        await last.wait()

    async with asyncio.timeout(5):
        await gradually((lambda held_up, n=n: one(n, held_up) for n in range(10)), at_once=1)  # type: ignore[misc]
    assert begun == list(range(10))


async def test_an_error_ends_all_and_begins_nothing_more() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def one(number: int, held_up: HeldUp) -> None:
        begun.append(number)
        try:
            if number == 1:
                raise ValueError("no")
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="no"):
        await gradually((lambda held_up, n=n: one(n, held_up) for n in range(10)), at_once=2)  # type: ignore[misc]
    assert sorted(begun) == sorted(ended) == [0, 1]
