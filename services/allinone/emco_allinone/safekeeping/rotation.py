"""Everything that is sealed is sealed with the present data key, so that the older ones can be thrown away.

Each document is written by itself and only if nobody else did meanwhile, so services may go on, and a rotation that was
cut off goes on where it was: what is sealed with the present key is left alone.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field

from emco_allinone.safekeeping.sealed import with_sealed
from emco_common import cloudconfig
from emco_common.contextbus.api import Compare, ContextBus, Put
from emco_common.secrets import SealBroken, Sealer, sealed_with
from emco_common.store.api import Document, DocumentMissing, DocumentStore, StaleRevision, kind_of
from emco_rsync.reach.sameness import record_of, reregistered

PASSES = 3
"""Looks at everything; the last one finds nothing unless a service still seals with an older key."""
_ACCESS = kind_of(cloudconfig.KEY_NAMES)


@dataclass(slots=True)
class Rotated:
    """``written`` documents were sealed anew. ``broken`` tells of values that no configured key opens. ``left`` counts,
    by data key, what was sealed with another than the present one between the last two looks, by services that run."""

    written: int = 0
    broken: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


async def rotate(store: DocumentStore, bus: ContextBus, sealer: Sealer) -> Rotated:
    """``Unavailable`` from store and bus; what was done until then is done."""
    rotated = Rotated()
    for _ in range(PASSES):
        rotated.broken.clear()
        rotated.left.clear()
        async with aclosing(store.snapshot()) as pieces:
            async for piece in pieces:
                for document in piece:
                    await _rotate(store, bus, sealer, document, rotated)
        if not rotated.left:
            break
    return rotated


async def _rotate(store: DocumentStore, bus: ContextBus, sealer: Sealer, document: Document, rotated: Rotated) -> None:
    present: Document | None = document
    while present is not None:
        older = Counter(_older(present, sealer))
        if not older:
            return
        try:
            made = await store.replace(_sealed_anew(present, sealer), expected=present.revision)
        except SealBroken as error:
            rotated.broken.append(str(error))
            return
        except StaleRevision:
            present = await store.get(present.key)
        except DocumentMissing:
            return
        else:
            rotated.written += 1
            rotated.left += older
            await _reregister(bus, present, made)
            return


def _older(document: Document, sealer: Sealer) -> list[str]:
    """The data keys of the values in it that are not sealed with the present one."""
    found: list[str] = []

    def look(sealed: str, _record: str) -> str:
        found.append(sealed_with(sealed))
        return sealed

    with_sealed(document, look)
    return [key for key in found if key != sealer.active]


def _sealed_anew(document: Document, sealer: Sealer) -> Document:
    def anew(sealed: str, record: str) -> str:
        return sealer.seal(sealer.open(sealed, record=record), record=record)

    return with_sealed(document, anew)


async def _reregister(bus: ContextBus, before: Document, after: Document) -> None:
    """rsync remembers which registration a cluster was first met with; it is the same one still."""
    if kind_of(before.key) != _ACCESS or before.key["level"] != cloudconfig.ADMIN_LEVEL:
        return
    provider, cluster = (before.key[name] for name in cloudconfig.KEY_NAMES[:2])
    entry = await bus.get(record_of(f"{provider}+{cluster}"))
    if entry is None:
        return
    moved = {cloudconfig.registration_of(before): cloudconfig.registration_of(after)}
    value = reregistered(entry.value, moved)
    if value != entry.value:  # if rsync is quicker, it has written the same
        await bus.transact([Put(entry.key, value)], when=[Compare(entry.key, entry.mod_revision)])
