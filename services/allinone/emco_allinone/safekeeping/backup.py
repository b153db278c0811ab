"""A backup of the store and the bus together, of a suite that is at work or stopped.

First the bus at one revision, then the store as of one moment, then a look whether contexts came, went or were handed
over meanwhile: if not, the two belong together, else all is read again. What is under way in a service at that time is
recorded in the store and taken up after a restore, as after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from emco_allinone.safekeeping.archive import (
    DOCUMENTS,
    ENTRIES,
    FORMAT,
    Manifest,
    Writer,
    document_line,
    entry_line,
    writing,
)
from emco_allinone.safekeeping.extent import KEPT, lasts, tells_of_handing_over
from emco_allinone.safekeeping.sealed import data_keys_of
from emco_common import __version__
from emco_common.contextbus.api import Compacted, Range, Reading
from emco_common.errors import Conflict, Unavailable
from emco_common.runtime import UNFINISHED_RESTORE
from emco_common.store.api import DocumentMissing, DocumentStore
from emco_common.store.encoding import named_digest

ATTEMPTS = 10
PAUSE = 1.0
"""Seconds between them."""


class Busy(Unavailable):
    """There was no moment at which store and bus belonged together."""


async def backup(
    store: DocumentStore,
    bus: Reading,
    target: Path,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Manifest:
    """Write the file ``target``. ``Busy``; ``Conflict`` if the file is there, or a restore is not finished;
    ``Unavailable`` from store and bus."""
    for attempt in range(ATTEMPTS):
        if attempt:
            await sleep(PAUSE)
        try:
            with writing(target) as archive:
                made = await _written(store, bus, archive, now=now)
        except (Compacted, DocumentMissing):  # a blob went with its document, or the moment was forgotten: once more
            continue
        if made is not None:
            return made
    raise Busy(
        "deployments are being begun or ended all the time, so that store and bus do not belong together; try again "
        "when it is quieter, or stop the services first"
    )


async def _written(
    store: DocumentStore, bus: Reading, archive: Writer, *, now: Callable[[], datetime]
) -> Manifest | None:
    entries, revision, handed_over = await _bus(bus, archive)
    documents, digests, data_keys = await _documents(store, archive)
    for digest in digests:
        archive.add_blob(digest, await store.get_blob(digest))
    if await _handed_over(bus) != handed_over:
        return None
    made = Manifest(
        format=FORMAT,
        emco=__version__,
        created=now().isoformat(timespec="seconds"),
        documents=documents,
        entries=entries,
        blobs=len(digests),
        revision=revision,
        data_keys=tuple(sorted(data_keys)),
        sha256=archive.sha256,
    )
    archive.finish(made)
    return made


async def _bus(bus: Reading, archive: Writer) -> tuple[int, int, dict[str, int]]:
    """How many entries, of which revision, and those that tell of handing over with their own revisions."""
    count, revision = 0, 0
    handed_over: dict[str, int] = {}
    with archive.lines(ENTRIES) as add:
        async with aclosing(bus.snapshot(UNFINISHED_RESTORE, *KEPT)) as pieces:
            async for piece in pieces:
                if any(entry.key == UNFINISHED_RESTORE for entry in piece.entries):
                    raise Conflict("a restore is not finished, so what is there is not worth a backup")
                revision = piece.revision
                for entry in filter(lasts, piece.entries):
                    add(entry_line(entry.key, entry.value))
                    count += 1
                handed_over |= _told_of(piece)
    return count, revision, handed_over


async def _handed_over(bus: Reading) -> dict[str, int]:
    found: dict[str, int] = {}
    async with aclosing(bus.snapshot(*KEPT, keys_only=True)) as pieces:
        async for piece in pieces:
            found |= _told_of(piece)
    return found


def _told_of(piece: Range) -> dict[str, int]:
    return {entry.key: entry.mod_revision for entry in piece.entries if tells_of_handing_over(entry.key)}


async def _documents(store: DocumentStore, archive: Writer) -> tuple[int, list[str], set[str]]:
    """How many, which blobs they name, and the ids of the data keys that something in them is sealed with."""
    count = 0
    digests: dict[str, None] = {}
    data_keys: set[str] = set()
    with archive.lines(DOCUMENTS) as add:
        async with aclosing(store.snapshot()) as pieces:
            async for piece in pieces:
                for document in piece:
                    add(document_line(document))
                    count += 1
                    data_keys |= data_keys_of(document)
                    digest = named_digest(document.tags)
                    if digest is not None:
                        digests[digest] = None
    return count, list(digests), data_keys - {""}
