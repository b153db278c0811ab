"""Bytes kept by content in MongoDB: pieces in ``chunks``, and a header in ``blobs`` once all of them are there.

Pieces belong to an upload, not to a digest: two uploads of the same bytes, or an upload and a deletion, never touch the
same pieces. ``uploads`` names those whose pieces have no header (not yet, or no longer); old ones are swept away.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from emco_common.errors import TooLarge
from emco_common.store import api
from emco_common.store.encoding import blob_target
from emco_common.store.mongo_documents import Stored
from emco_common.store.mongo_marks import Patience, deleting
from emco_common.store.mongo_writes import Writes

PIECE = 1 << 20  # bytes a document; far below the 16 MB a document may have
PIECES_PER_WRITE = 8
ABANDONED_AFTER = 3600.0  # seconds; no upload of at most 1 GiB takes an hour
MAX_BLOB = 1 << 30


@dataclass(frozen=True, slots=True)
class Blobs:
    database: AsyncDatabase[dict[str, Any]]
    writes: Writes
    patience: Callable[[], Patience]
    clock: Callable[[], float]

    async def prepare(self) -> None:
        """Make the indexes and sweep away what was given up."""
        await self.database.blobs.create_index([("emco.path", ASCENDING)], unique=True)
        await self.database.chunks.create_index([("upload", ASCENDING), ("number", ASCENDING)], unique=True)
        late = {"started": {"$lt": self.clock() - ABANDONED_AFTER}}
        async for upload in self.database.uploads.find(late):
            await self._sweep(upload)

    async def _sweep(self, upload: Stored) -> None:
        """Perhaps its process died between the last two steps; perhaps it lives, and a clock has jumped."""
        if await self.database.blobs.find_one({"upload": upload["_id"]}) is not None:
            await self.database.uploads.delete_one({"_id": upload["_id"]})
            return
        unchanged = {"_id": upload["_id"], "started": upload["started"]}
        given_up = await self.database.uploads.update_one(unchanged, {"$set": {"given_up": True}})
        if given_up.matched_count == 1:
            await self._drop(upload["_id"])

    async def put(self, content: bytes) -> str:
        size = len(content)
        if size > MAX_BLOB:
            raise TooLarge(f"The content has {size} bytes; the limit is {MAX_BLOB}")
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        if await self._stays(digest):
            return digest
        upload = ObjectId()
        await self.database.uploads.insert_one({"_id": upload, "started": self.clock()})
        for at in range(0, size, PIECE * PIECES_PER_WRITE):
            await self._add(content[at : at + PIECE * PIECES_PER_WRITE], upload=upload, first=at // PIECE)
        await self._name(digest, size, upload)
        return digest

    async def get(self, digest: str) -> bytes:
        header = await self.database.blobs.find_one({"_id": digest})
        if header is None:
            raise api.DocumentMissing(f"No content {digest}")
        pieces = self.database.chunks.find({"upload": header["upload"]}, {"content": 1}, batch_size=PIECES_PER_WRITE)
        content = b"".join([piece["content"] async for piece in pieces.sort("number", ASCENDING)])
        if len(content) == header["size"]:
            return content
        if await self.database.blobs.find_one({"_id": digest, "upload": header["upload"]}) is None:
            raise api.DocumentMissing(f"No content {digest}")
        raise api.StoreUnavailable(f"The content {digest} is damaged; restore the document store from a backup")

    async def delete(self, digest: str) -> None:
        removed = await self.writes.delete_blob(digest, before=self._disown)
        if removed is not None:
            await self._drop(removed["upload"])

    async def clear(self) -> None:
        for collection in (self.database.blobs, self.database.uploads, self.database.chunks):
            await collection.delete_many({})

    async def _stays(self, digest: str) -> bool:
        """Whether the bytes are there; waits for a deletion under way to succeed or to be given up."""
        patience = self.patience()
        while (header := await self.database.blobs.find_one({"_id": digest})) is not None:
            mark = deleting(self.database.blobs, header)
            if mark is None:
                return True
            await patience.wait([mark])
        return False

    async def _add(self, content: bytes, *, upload: ObjectId, first: int) -> None:
        pieces = [
            {"upload": upload, "number": first + n, "content": content[at : at + PIECE]}
            for n, at in enumerate(range(0, len(content), PIECE))
        ]
        await self.database.chunks.insert_many(pieces)

    async def _name(self, digest: str, size: int, upload: ObjectId) -> None:
        header = {"_id": digest, "upload": upload, "size": size, "emco": {"path": blob_target(digest)}}
        kept = {"_id": upload, "given_up": None}
        if (await self.database.uploads.update_one(kept, {"$set": {"started": self.clock()}})).matched_count == 0:
            raise api.StoreUnavailable("The upload took so long that it was given up; send it again")
        while True:
            try:
                await self.database.blobs.insert_one(header)
            except DuplicateKeyError:
                if await self._stays(digest):
                    await self._drop(upload)
                    return
            else:
                await self.database.uploads.delete_one({"_id": upload})
                return

    async def _disown(self, header: Stored) -> None:
        """Let the sweep find the pieces should this process die before it has removed them."""
        upload = {"_id": header["upload"]}
        await self.database.uploads.update_one(upload, {"$set": {"started": self.clock()}}, upsert=True)

    async def _drop(self, upload: ObjectId) -> None:
        await self.database.chunks.delete_many({"upload": upload})
        await self.database.uploads.delete_one({"_id": upload})
