"""Background work that fails is begun again, and work that does not want to end holds nothing up."""

from __future__ import annotations

import asyncio

import pytest

from emco_common import runtime
from emco_common.errors import Unavailable
from emco_common.runtime import Background, Service
from emco_common.web.app import create_app


def service(*background: Background) -> Service:
    app = create_app("x", [], version="0", max_body=1, max_upload=1)
    return Service("x", app, "127.0.0.1", 0, background=background, pause=0.0)


@pytest.mark.parametrize("failure", [Unavailable("the store is away"), ZeroDivisionError()])
async def test_work_that_fails_is_begun_again(failure: Exception) -> None:
    attempts = 0
    done = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise failure
        done.set()

    one = service(work)
    await one.start()
    async with asyncio.timeout(10):
        await done.wait()
    await one.stop()
    assert attempts == 3


async def test_work_that_swallows_its_cancellation_does_not_hold_up_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "STOP_DEADLINE", 0.05)
    released = asyncio.Event()
    ended = asyncio.Event()

    async def deaf() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    one = service(deaf)
    await one.start()
    async with asyncio.timeout(10):
        await one.stop()
        assert not ended.is_set()
        released.set()
        await ended.wait()


@pytest.mark.robustness(64)
@pytest.mark.parametrize("failure", [Unavailable("the bus is away"), ZeroDivisionError()])
async def test_work_that_fails_while_it_ends_is_not_begun_again(failure: Exception) -> None:
    attempts = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise failure

    one = service(work)
    await one.start()
    async with asyncio.timeout(5):
        await begun.wait()
        await one.stop()
    assert attempts == 1
