"""One service in a process of its own: its port answers at once, its work begins when store and bus are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from emco_allinone.catalogue import Entry
from emco_common import __version__
from emco_common.runtime import open_deps
from emco_common.settings import Settings
from emco_common.waiting import Waiting
from emco_common.web.anteroom import anteroom
from emco_common.web.serving import HttpServer

T = TypeVar("T")


async def serve_one(entry: Entry, settings: Settings, *, stopped: asyncio.Event, said: Callable[[str], None]) -> None:
    """Returns when it was ``stopped``, also while it still waits. Raises what waiting cannot heal: ``BadSettings``,
    ``EmcoError``, ``OSError`` naming a port that is taken."""
    waiting = Waiting()
    before = anteroom(
        entry.name,
        ("store", "bus"),
        lambda: waiting.missing,
        version=__version__,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
    )
    front = HttpServer(before, settings.host, settings.http_port, name=entry.name)
    await front.start()
    try:
        async with AsyncExitStack() as stack:
            deps = await _unless(stopped, stack.enter_async_context(open_deps(settings, opening=waiting)))
            if deps is None:
                return
            service = entry.create(settings, deps)
            await service.start(on=front)
            try:
                rest = f"REST {settings.host}:{service.http_port}"
                said(f"{entry.name} is up: {rest}, gRPC {service.grpc_port or 'none'}")
                await stopped.wait()
            finally:
                await service.stop()
    finally:
        await front.stop()


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` answers; ``None`` when it was stopped first."""
    working = asyncio.create_task(work, name="opening")
    asked = asyncio.create_task(stopped.wait(), name="stopped")
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, asked):
            task.cancel()
        await asyncio.gather(working, asked, return_exceptions=True)
