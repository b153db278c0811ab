"""A backup brought back, into an empty store and bus or in the place of what is there; no service may be running.

A mark lies on the bus from before the first write until after the last, and services do not start as long as it does:
a restore that was cut off is done again, from the beginning. Documents get new places in the old order, so that no ETag
of what was written after the backup fits anything; what names a place on the bus is changed with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from emco_allinone.safekeeping.archive import Archive
from emco_allinone.safekeeping.extent import KEPT, OF_PROCESSES
from emco_common import cloudconfig
from emco_common.contextbus.api import ContextBus, Delete, Put
from emco_common.contextbus.limits import batches
from emco_common.errors import Conflict
from emco_common.runtime import UNFINISHED_RESTORE
from emco_common.store.api import Document, DocumentStore, described, kind_of
from emco_rsync.reach.sameness import RECORDS, reregistered

T = TypeVar("T")
AT_ONCE = 100
"""Documents written at the same time: they share a commit, and keep their order."""
BATCH_WEIGHT = 500_000
"""Bytes of a transaction on the bus."""
_ACCESS = kind_of(cloudconfig.KEY_NAMES)


class NotEmpty(Conflict):
    """There is something in the target already."""


class StillRunning(Conflict):
    """A service is at work on the target."""


async def restore(store: DocumentStore, bus: ContextBus, archive: Archive, *, in_place_of_all: bool) -> None:
    """``StillRunning``; ``NotEmpty`` unless ``in_place_of_all``; ``Unavailable`` from store and bus."""
    await _require_nobody(bus)
    if not in_place_of_all:
        await _require_nothing(store, bus)
    await bus.put(UNFINISHED_RESTORE, b"")
    await store.clear()
    for prefix in KEPT:
        await bus.transact([Delete(prefix, prefix=True)])
    for content in archive.blobs():
        await store.put_blob(content)
    registrations = await _documents(store, archive.documents())
    await _entries(bus, archive.entries(), registrations)
    await bus.delete(UNFINISHED_RESTORE)


async def _require_nobody(bus: ContextBus) -> None:
    async with aclosing(bus.snapshot(*OF_PROCESSES, keys_only=True)) as pieces:
        async for piece in pieces:
            for entry in piece.entries:
                if entry.lease:
                    raise StillRunning(
                        f"a service is still running ({entry.key}): stop all of them first; one that was killed counts "
                        "as running for some ten seconds more"
                    )


async def _require_nothing(store: DocumentStore, bus: ContextBus) -> None:
    async with aclosing(store.snapshot()) as documents:
        async for piece in documents:
            raise NotEmpty(
                f"the store is not empty, it has {described(piece[0].key)}: choose an empty one, or say --replace to "
                "have all that is in store and bus replaced"
            )
    for prefix in KEPT:
        if (await bus.range(prefix, keys_only=True, limit=1)).entries:
            raise NotEmpty("the context bus is not empty: choose an empty one, or say --replace")


async def _documents(store: DocumentStore, documents: Iterable[Document]) -> dict[str, str]:
    """Write them all, and what they refer to once all are there. Answers by their former registrations the new ones
    of access records."""
    referring: list[Document] = []
    registrations: dict[str, str] = {}

    async def create(document: Document) -> None:
        made = await store.create(replace(document, references=()))
        if kind_of(document.key) == _ACCESS:
            registrations[cloudconfig.registration_of(document)] = cloudconfig.registration_of(made)
        elif document.references:
            referring.append(document)

    async def refer(document: Document) -> None:
        await store.replace(document)

    await _at_once(documents, create)
    await _at_once(referring, refer)
    return registrations


async def _at_once(documents: Iterable[Document], work: Callable[[Document], Awaitable[None]]) -> None:
    for some in _pieces(iter(documents), AT_ONCE):
        await asyncio.gather(*(work(document) for document in some))


async def _entries(bus: ContextBus, entries: Iterable[tuple[str, bytes]], registrations: dict[str, str]) -> None:
    puts = (
        Put(key, reregistered(value, registrations) if key.startswith(RECORDS) else value) for key, value in entries
    )
    for batch in batches(puts, weight=BATCH_WEIGHT):
        await bus.transact(batch)


def _pieces(things: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(things, size)):
        yield piece
