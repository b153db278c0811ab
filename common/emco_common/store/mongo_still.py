"""Every document of a MongoDB as of one moment, without the snapshots that only a replica set has.

All are read, then twice more who is there and at which revision. Where both looks agree with what was read, all was so
between them: what stayed until the second look hindered until then that what it refers to went, so the first look has
met that as well. Where a look differs, what differs is read again, and it is looked twice again.
"""

from __future__ import annotations

from typing import Any

from emco_common.store.api import StoreUnavailable
from emco_common.store.mongo_documents import OWN, Stored
from emco_common.store.mongo_marks import Collection

LOOKS = 30
"""Before it is given up: with anything less than a change at every look it is done by then."""
BATCH = 100_000  # documents to a reply; the 16 MB of a message end one before
NAMED = 10_000  # identities to a request


async def still(resources: Collection) -> dict[Any, Stored]:
    """By identity. ``StoreUnavailable`` if documents change all the time."""
    seen = await _read(resources, {})
    agreed = 0
    for _ in range(LOOKS):
        present = await _revisions(resources)
        if present == {number: stored[OWN]["revision"] for number, stored in seen.items()}:
            agreed += 1
            if agreed == 2:
                return seen
            continue
        agreed = 0
        kept = {number: stored for number, stored in seen.items() if present.get(number) == stored[OWN]["revision"]}
        seen = kept | await _named(resources, [number for number in present if number not in kept])
    raise StoreUnavailable("The documents of the store change all the time; try again when it is quieter")


async def _named(resources: Collection, numbers: list[Any]) -> dict[Any, Stored]:
    found: dict[Any, Stored] = {}
    for at in range(0, len(numbers), NAMED):
        found |= await _read(resources, {"_id": {"$in": numbers[at : at + NAMED]}})
    return found


async def _revisions(resources: Collection) -> dict[Any, int]:
    found = await _read(resources, {}, {"emco.kind": 1, "emco.revision": 1})
    return {number: stored[OWN]["revision"] for number, stored in found.items()}


async def _read(resources: Collection, condition: Stored, projection: Stored | None = None) -> dict[Any, Stored]:
    found = await resources.find(condition, projection, batch_size=BATCH).to_list()
    return {stored["_id"]: stored for stored in found if _confirmed(stored)}


def _confirmed(stored: Stored) -> bool:
    """One of ours, whose creation is certain."""
    return "kind" in stored.get(OWN, {})
