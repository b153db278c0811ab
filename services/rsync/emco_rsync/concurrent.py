"""Several things at once, and all of them over when it returns; or one after the other, where it must be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def concurrently(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. After an error or a cancellation nothing is still running when it is raised.

    ``asyncio.gather`` returns at the first of either, while the others go on behind the caller's back.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def gradually(work: Iterable[Callable[[Callable[[], None]], Coroutine[Any, Any, T]]], *, at_once: int) -> list[T]:
    """As ``concurrently``, but only so many are begun and neither over nor held up: each of them is told whom to tell
    that it is. What waits to be begun weighs nothing."""
    waiting = enumerate(work)
    results: dict[int, T] = {}

    async def one_by_one(number: int, make: Callable[[Callable[[], None]], Coroutine[Any, Any, T]]) -> None:
        stand_in = [begin]
        while True:
            results[number] = await make(lambda: stand_in.pop()() if stand_in else None)
            if not stand_in or (following := next(waiting, None)) is None:
                return
            number, make = following

    def begin() -> None:
        if (following := next(waiting, None)) is not None:
            group.create_task(one_by_one(*following))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                begin()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[number] for number in sorted(results)]


class Turns:
    """One holder at a time of each name."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def taken(self, names: Iterable[str]) -> bool:
        """Would somebody who wants all of them have to wait?"""
        return not self._locks.keys().isdisjoint(names)

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Hold all of them; taken in one order by everybody, so that nobody waits in a circle."""
        async with AsyncExitStack() as held:
            for name in sorted(set(names)):
                await held.enter_async_context(self._one(name))
            yield

    @asynccontextmanager
    async def _one(self, name: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]
