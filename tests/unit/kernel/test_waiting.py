"""What is missing at start is looked for again and again; what waiting cannot heal ends it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from emco_common.errors import BadRequest, LoginRefused, Unavailable
from emco_common.waiting import LONGEST_PAUSE, REMINDER, Waiting


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def waiting(time: Time, *, jitter: float = 1.0) -> Waiting:
    return Waiting(jitter=lambda: jitter, clock=lambda: time.now, sleep=time.sleep)


def comes_after(failures: int, error: Exception) -> Callable[[], Awaitable[str]]:
    left = failures

    async def way() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return "opened"

    return way


async def test_pauses_grow_to_a_bound() -> None:
    time = Time()

    assert await waiting(time)("store", comes_after(7, Unavailable("away"))) == "opened"

    assert time.slept == [0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


async def test_chance_makes_a_pause_shorter_by_up_to_a_half() -> None:
    time = Time()

    await waiting(time, jitter=0.0)("store", comes_after(2, Unavailable("away")))

    assert time.slept == [0.25, 0.5]


async def test_what_is_missing_is_known_with_its_reason_until_it_comes() -> None:
    time = Time()
    seen = []

    async def look(seconds: float) -> None:
        seen.append(dict(subject.missing))
        await time.sleep(seconds)

    subject = Waiting(jitter=lambda: 1.0, clock=lambda: time.now, sleep=look)
    await subject("bus", comes_after(1, Unavailable("no answer")))

    assert seen == [{"bus": "no answer"}]
    assert subject.missing == {}


async def test_the_log_is_told_once_then_rarely_and_when_it_is_over() -> None:
    time = Time()

    with capture_logs() as lines:
        await waiting(time)("bus", comes_after(1000, Unavailable("no answer")))

    assert time.now > 8 * REMINDER
    events = [line["event"] for line in lines]
    assert events == ["dependency_missed"] * 9 + ["dependency_found"]
    assert lines[0] == {
        "event": "dependency_missed",
        "log_level": "warning",
        "name": "bus",
        "reason": "no answer",
        "seconds": 0,
    }


async def test_what_is_there_needs_no_word() -> None:
    with capture_logs() as lines:
        await waiting(Time())("bus", comes_after(0, Unavailable("")))

    assert lines == []


@pytest.mark.parametrize("error", [LoginRefused("wrong password"), BadRequest("no such scheme"), OSError("no file")])
async def test_what_waiting_cannot_heal_is_raised(error: Exception) -> None:
    time = Time()

    with pytest.raises(type(error)):
        await waiting(time)("store", comes_after(1, error))

    assert time.slept == []
