"""Integrity between documents without transactions, which a standalone MongoDB does not have.

Each side of a conflict first writes a mark where the other side looks, then looks for the other's mark:

* who creates a document with a parent or with targets inserts it *pending* (unseen by readers), then reads parent and
  targets, and confirms it. Who adds targets to an existing document puts a *claim* on it first, likewise;
* who deletes marks the document *deleting*, then looks for children and referrers, pending and claims included.

Children, referrers and claims are all found by one field, ``holds``, with one look, and what a document holds stays
while its creation or claim is confirmed. So no reference slips through between two looks, or within one, by becoming
certain meanwhile. A claim that is taken back leaves what it held, which the next write of the document forgets: another
claim may hold the same, and deletions go by what refers, not by what is held. A write that takes away what the claim of
another holds also makes that other's write fail, by the revision.

Both write before they read, so at least one sees the other. The deleter gives way: finding something pending it takes
its mark back and waits; the creator who finds a mark waits until it is gone, or the document with it. So exactly one of
the two succeeds. Every last step is conditional on its own mark, so the marks of a process that died (or sleeps) may be
removed by whoever has seen the same mark for ``lease`` seconds: a late owner finds its mark gone and begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from emco_common.store.api import Key, StoreUnavailable
from emco_common.store.mongo_documents import Stored, holds_of

Collection = AsyncCollection[dict[str, Any]]

FIRST_PAUSE = 0.005  # seconds between looks at another's mark; a healthy owner needs two round trips
LONGEST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Mark:
    """Another's mark: on which document, whose token, and how it is removed if its owner is dead."""

    document_id: Any
    token: ObjectId
    heal: Callable[[], Awaitable[Any]]


class Patience:
    """The waiting of one operation for the marks of others."""

    def __init__(self, *, lease: float, timeout: float) -> None:
        self._lease = lease
        self._timeout = timeout
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._seen: dict[tuple[Any, ObjectId], float] = {}
        self._pause = FIRST_PAUSE

    def check(self) -> None:
        """``StoreUnavailable`` when the operation has taken longer than its ``timeout`` seconds."""
        if self._clock() - self._began > self._timeout:
            raise StoreUnavailable("The resource is being changed by others all the time; try again")

    async def wait(self, marks: Sequence[Mark]) -> None:
        """Pause before the next look, and remove each mark that has been there for longer than a lease."""
        self.check()
        now = self._clock()
        for mark in marks:
            first = self._seen.setdefault((mark.document_id, mark.token), now)
            if now - first > self._lease:
                await mark.heal()
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 1.5, LONGEST_PAUSE)


def pending(collection: Collection, stored: Stored) -> Mark | None:
    """The mark of a creation that is not confirmed."""
    token, number = stored["emco"].get("pending"), stored["_id"]
    if token is None:
        return None
    return Mark(number, token, lambda: collection.delete_one({"_id": number, "emco.pending": token}))


def deleting(collection: Collection, stored: Stored) -> Mark | None:
    """The mark of a deletion that is not finished."""
    token, number = stored["emco"].get("deleting"), stored["_id"]
    return None if token is None else Mark(number, token, lambda: unmark(collection, {"_id": number}, token=token))


def claims(collection: Collection, stored: Stored, *, target: str) -> list[Mark]:
    """The marks of replacements that are about to refer to ``target``."""
    number = stored["_id"]

    def mark(token: ObjectId) -> Mark:
        return Mark(number, token, lambda: unclaim(collection, number, token=token))

    return [mark(claim["token"]) for claim in stored["emco"].get("claims", ()) if target in claim["targets"]]


async def unmark(collection: Collection, identity: Stored, *, token: ObjectId) -> None:
    await collection.update_one({**identity, "emco.deleting": token}, {"$unset": {"emco.deleting": ""}})


async def claim(collection: Collection, number: Any, *, token: ObjectId, targets: Mapping[str, Key | None]) -> None:
    claim = {"token": token, "targets": list(targets)}
    held = {"$each": holds_of((), targets)}
    await collection.update_one({"_id": number}, {"$push": {"emco.claims": claim}, "$addToSet": {"emco.holds": held}})


async def unclaim(collection: Collection, number: Any, *, token: ObjectId) -> None:
    await collection.update_one({"_id": number}, {"$pull": {"emco.claims": {"token": token}}})
