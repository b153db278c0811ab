"""The database of the MongoDB adapter made ready: version, indexes, and what an older EMCO left brought up to date.

Version 1 numbered creations in ``emco.order``; its documents keep their ``_id``, which tells the second, and within it
the order in which one process created. Nothing of version 1 may run on while version 2 starts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, OperationFailure

from emco_common.errors import EmcoError
from emco_common.store.mongo_documents import OWN, Stored, holds_of, targets_in

VERSION = 2
PIECE = 500  # documents a write
FORMER_INDEXES = (
    "emco.tokens_1_keyId_1_emco.order_1",
    "emco.tokens_1_keyId_1_emco.order_1__id_1",
    "keyId_1_emco.order_1",
    "keyId_1_emco.order_1__id_1",
    "emco.targets_1",
    "emco.claims.targets_1",
)


class NewerDatabase(EmcoError):
    """The database was written by a newer EMCO."""


async def prepare(database: AsyncDatabase[dict[str, Any]]) -> None:
    """Raises ``NewerDatabase``. Several processes may do it at once, and again."""
    version = await _version(database)
    if version > VERSION:
        raise NewerDatabase(
            f"The database {database.name} was written by a newer EMCO (store version {version}, "
            f"this one knows {VERSION}): start the newer EMCO or choose another database"
        )
    resources = database.resources
    # sparse, not partial: documents of other writers have no path, and not every server uses a partial index
    await resources.create_index([("emco.path", ASCENDING)], unique=True, sparse=True)
    if version < VERSION:
        await _upgrade(database)
    in_order = [("emco.kind", ASCENDING), ("_id", ASCENDING)]
    await resources.create_index([("emco.tokens", ASCENDING), *in_order])
    await resources.create_index(in_order)
    await resources.create_index([("emco.holds", ASCENDING)])


async def _version(database: AsyncDatabase[dict[str, Any]]) -> int:
    meta = await database.meta.find_one({"_id": "store"})
    if meta is not None:
        return int(meta["version"])
    with suppress(DuplicateKeyError):  # another process starts at the same moment
        await database.meta.insert_one({"_id": "store", "version": VERSION})
    return VERSION


async def _upgrade(database: AsyncDatabase[dict[str, Any]]) -> None:
    """The version is written last, so that one that was cut off is begun again."""
    updates: list[UpdateOne] = []
    async for stored in database.resources.find({"emco.holds": None}, {"data": 0}):
        updates += [_from_1_to_2(stored)] if OWN in stored else []
        if len(updates) == PIECE:
            await database.resources.bulk_write(updates, ordered=False)
            updates = []
    if updates:
        await database.resources.bulk_write(updates, ordered=False)
    for former in FORMER_INDEXES:
        with suppress(OperationFailure):  # is not there
            await database.resources.drop_index(former)
    await database.meta.update_one({"_id": "store", "version": {"$lt": VERSION}}, {"$set": {"version": VERSION}})


def _from_1_to_2(stored: Stored) -> UpdateOne:
    """Marks are those of the dead: they go, as does a creation that was never confirmed, by itself."""
    own = stored[OWN]
    change: dict[str, Any] = {"emco.holds": holds_of(own["tokens"], targets_in(stored))}
    if "pending" not in own:
        change["emco.kind"] = stored["keyId"]
    gone = dict.fromkeys(("emco.targets", "emco.order", "emco.claims"), "")
    unchanged = {"_id": stored["_id"], "emco.holds": None}  # or another brought it up to date and uses it
    return UpdateOne(unchanged, {"$set": change, "$unset": gone})
