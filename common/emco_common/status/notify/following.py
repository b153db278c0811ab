"""Which AppContexts are watched for one object, and whether something happened to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing

import structlog

from emco_common.appcontext import keys
from emco_common.contextbus.api import BusUnavailable, ContextBus, Event
from emco_common.errors import EmcoError

_log = structlog.get_logger()
_PAUSE = 1.0
"""Seconds before a watch that failed is begun again."""
_IN_FORCE = 10.0
"""Seconds within which a watch comes into force."""
_INTERNAL = ("rsync/", keys.STOP_FLAG)
"""Keys below a context that no status shows."""


class Following:
    """Calls ``changed`` after something happened to a context, or may have; ``aclose`` it."""

    def __init__(self, bus: ContextBus, changed: Callable[[], None]) -> None:
        self._bus = bus
        self._changed = changed
        self._watches: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def only(self, contexts: Iterable[str]) -> None:
        """From the return on, exactly these are followed. Raises ``BusUnavailable``."""
        wanted = frozenset(contexts)
        await self._cancel(self._watches.keys() - wanted)
        for context in wanted - self._watches.keys():
            in_force = asyncio.Event()
            task = asyncio.create_task(self._follow(context, in_force), name=f"status of context {context}")
            self._watches[context] = (task, in_force)
        try:
            async with asyncio.timeout(_IN_FORCE):
                for _, in_force in self._watches.values():
                    await in_force.wait()
        except TimeoutError as error:
            raise BusUnavailable("the context bus does not tell of changes; trying again") from error

    def follows(self, contexts: Iterable[str]) -> bool:
        return self._watches.keys() >= frozenset(contexts)

    async def aclose(self) -> None:
        await self._cancel(tuple(self._watches))

    async def _cancel(self, contexts: Iterable[str]) -> None:
        tasks = [self._watches.pop(context)[0] for context in tuple(contexts)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, context: str, in_force: asyncio.Event) -> None:
        while True:
            try:
                async with aclosing(self._bus.watch(keys.root(context))) as batches:
                    async for batch in batches:
                        self._seen(context, batch, in_force)
            except EmcoError as error:
                _log.warning("context_not_followed", context=context, error=str(error))
            except Exception:
                _log.exception("context_not_followed", context=context)
            in_force.clear()
            await asyncio.sleep(_PAUSE)
            # What happened while nobody listened is found by looking.
            self._changed()

    def _seen(self, context: str, batch: Sequence[Event], in_force: asyncio.Event) -> None:
        root = keys.root(context)
        in_force.set()
        if any(not event.entry.key.removeprefix(root).startswith(_INTERNAL) for event in batch):
            self._changed()
