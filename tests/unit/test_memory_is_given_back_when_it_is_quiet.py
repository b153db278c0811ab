"""When the memory of a burst is given back: after it, once, and never in the midst of work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from emco_common.tidying import LOOK_SECONDS, WORTH_SECONDS, Quiet, giver_back, keep_large_apart, keep_tidy


def test_after_much_work_the_first_quiet_look_is_the_time() -> None:
    quiet = Quiet(0.0)
    assert not quiet.due(5.0, within=5.0)
    assert quiet.due(5.1, within=5.0)
    assert not quiet.due(5.2, within=5.0)


def test_little_work_leaves_nothing_to_be_had() -> None:
    quiet = Quiet(0.0)
    assert not quiet.due(WORTH_SECONDS / 2, within=5.0)
    assert quiet.due(WORTH_SECONDS, within=5.0)


def test_a_late_look_is_judged_by_the_time_that_has_passed() -> None:
    assert Quiet(0.0).due(2.0, within=10.0)
    assert not Quiet(0.0).due(2.0, within=LOOK_SECONDS)


async def test_what_is_to_be_had_is_asked_for_once_after_a_burst() -> None:
    given: list[bool] = []
    looks: Iterator[float] = iter([0.0, 5.0, 5.1, 5.2, 5.3])
    passed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        if passed > 4 * LOOK_SECONDS:
            raise asyncio.CancelledError

    def give_back() -> bool:
        given.append(True)
        return True

    with pytest.raises(asyncio.CancelledError):
        await keep_tidy(give_back=give_back, used=lambda: next(looks), sleep=sleep, clock=lambda: passed)
    assert given == [True]


def test_this_system_s_own_way_can_be_called_wherever_there_is_one() -> None:
    give_back = giver_back()
    assert give_back is None or give_back() in (True, False)
    assert keep_large_apart() in (True, False)
