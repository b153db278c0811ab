"""The document store on MongoDB, for several processes and machines: collection ``resources``, as the original has it.

Works on a standalone server too; how integrity is kept without transactions is told in ``mongo_marks``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bson.errors import BSONError
from pymongo import ASCENDING, AsyncMongoClient
from pymongo.errors import (
    ConfigurationError,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    WriteError,
)

from emco_common.errors import BadRequest, TooLarge
from emco_common.store.api import BodyText, Document, Key, ListText, StoreLoginRefused, StoreUnavailable, kind_of
from emco_common.store.encoding import path_of
from emco_common.store.mongo_blobs import Blobs
from emco_common.store.mongo_documents import Stored, all_of, behind, decoded, in_order, place_of, text_of, written
from emco_common.store.mongo_foreign import Foreign
from emco_common.store.mongo_layout import prepare
from emco_common.store.mongo_looks import Looks
from emco_common.store.mongo_marks import Patience, pending
from emco_common.store.mongo_still import still
from emco_common.store.mongo_writes import Writes

TIMEOUT = 10.0  # seconds for one operation with its retries; a reachable server takes milliseconds
PING_TIMEOUT = 2.0
LEASE = 3.0  # seconds after which an unchanged mark of another is taken for a dead one's; needs two round trips
PATIENCE = 20.0  # seconds an operation waits for others' marks: longer than it takes to bury one dead owner or two
OBJECT_TOO_LARGE = 10334
LOGIN_REFUSED = (13, 18)  # Unauthorized, AuthenticationFailed
BODY = {"data": 1}  # with the identity, by which it is put in order
PIECE = 500  # documents of a snapshot at a time
BATCH = 100_000  # documents to a reply; the 16 MB of a message end one before


class MongoStore:
    """A ``DocumentStore`` in a MongoDB database. Make it with ``connect``."""

    def __init__(
        self,
        client: AsyncMongoClient[dict[str, Any]],
        *,
        database: str,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._database = client[database]
        self._resources = self._database.resources
        self._clock = clock
        self._last_order = 0

        def patience() -> Patience:
            return Patience(lease=lease, timeout=PATIENCE)

        looks = Looks(self._resources, Foreign(self._resources))
        self._writes = Writes(self._resources, self._database.blobs, looks, patience, self._next_order)
        self._blobs = Blobs(self._database, self._writes, patience, clock)

    @classmethod
    async def connect(
        cls, uri: str, database: str = "emco", *, lease: float = LEASE, clock: Callable[[], float] = time.time
    ) -> MongoStore:
        """Reach the server and make the indexes.

        ``StoreUnavailable``; ``NewerDatabase``; ``BadRequest`` for a URI that is none. Options in the URI win.
        """
        async with _explained():
            client = _client(uri)
            try:
                store = cls(client, database=database, lease=lease, clock=clock)
                await prepare(store._database)
                await store._blobs.prepare()
            except BaseException:
                await client.close()
                raise
        return store

    async def create(self, document: Document, *, parent: Key | None = None) -> Document:
        async with _explained():
            return await self._writes.create(document, parent=None if parent is None else path_of(parent))

    async def get(self, key: Key) -> Document | None:
        async with _explained():
            found = await self._resources.find_one({"emco.path": path_of(key)})
            return None if found is None or pending(self._resources, found) is not None else decoded(found)

    async def get_text(self, key: Key) -> BodyText | None:
        async with _explained():
            found = await self._resources.find_one({"emco.path": path_of(key)})
            return None if found is None or pending(self._resources, found) is not None else text_of(found)

    async def list(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> Sequence[Document]:
        return [decoded(stored) for stored in await self._found(names, within, limit, after)]

    async def referrers(self, names: Iterable[str], target: Key) -> Sequence[Document]:
        condition = {"emco.holds": all_of(target), "emco.kind": kind_of(names)}
        async with _explained():
            found = in_order(await self._resources.find(condition, batch_size=BATCH).to_list())
        return [document for document in map(decoded, found) if target in document.references]

    async def list_texts(
        self, names: Iterable[str], within: Key, *, limit: int | None = None, after: str | None = None
    ) -> ListText:
        more = None if limit is None else limit + 1  # one more shows whether there is more
        found = await self._found(names, within, more, after, BODY)
        shown = found[:limit]
        last = place_of(shown[-1]) if shown and len(shown) < len(found) else None
        return ListText(written([stored["data"] for stored in shown]), len(shown), last)

    async def _found(
        self,
        names: Iterable[str],
        within: Key,
        limit: int | None,
        after: str | None,
        projection: Mapping[str, int] | None = None,
    ) -> Sequence[Stored]:
        condition: dict[str, Any] = {"emco.kind": kind_of(names)}
        if within:
            condition["emco.tokens"] = all_of(within)
        async with _explained():
            if limit is None and after is None:
                return in_order(await self._resources.find(condition, projection, batch_size=BATCH).to_list())
            if limit == 0:  # means no limit to MongoDB
                return []
            condition |= {} if after is None else behind(after)
            piece = self._resources.find(condition, projection, limit=limit or 0, batch_size=BATCH)
            return await piece.sort("_id", ASCENDING).to_list()

    async def replace(self, document: Document, *, expected: int | None = None) -> Document:
        async with _explained():
            return await self._writes.replace(document, expected=expected)

    async def delete(self, key: Key, *, expected: int | None = None) -> None:
        async with _explained():
            await self._writes.delete(key, expected=expected)

    async def put_blob(self, content: bytes) -> str:
        async with _explained():
            return await self._blobs.put(content)

    async def get_blob(self, digest: str) -> bytes:
        async with _explained():
            return await self._blobs.get(digest)

    async def delete_blob(self, digest: str) -> None:
        async with _explained():
            await self._blobs.delete(digest)

    async def snapshot(self) -> AsyncGenerator[Sequence[Document], None]:
        async with _explained():
            found = in_order((await still(self._resources)).values())
        for at in range(0, len(found), PIECE):
            yield [decoded(stored) for stored in found[at : at + PIECE]]

    async def clear(self) -> None:
        async with _explained():
            await self._resources.delete_many({"emco.path": {"$exists": True}})
            await self._blobs.clear()

    async def ping(self) -> None:
        async with _explained():
            try:
                async with asyncio.timeout(PING_TIMEOUT):
                    await self._database.command("ping")
            except TimeoutError:
                raise StoreUnavailable(f"The document store did not answer within {PING_TIMEOUT:g} s") from None

    async def close(self) -> None:
        await self._client.close()

    def _next_order(self) -> int:
        """Microseconds since 1970, and never twice or backwards in one process."""
        self._last_order = max(self._last_order + 1, int(self._clock() * 1e6))
        return self._last_order


def _client(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    options: dict[str, Any] = {"timeoutMS": int(TIMEOUT * 1000), "w": "majority", "journal": True, "appname": "emco"}
    try:
        named = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
        return AsyncMongoClient(uri, **{name: value for name, value in options.items() if name.lower() not in named})
    except (ValueError, ConfigurationError) as error:  # the text names the part that is wrong, never the password
        raise BadRequest(f"The URI of the document store is wrong: {error}") from error


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Turn what the driver raises into errors of ours; a document MongoDB cannot hold is the caller's mistake."""
    try:
        yield
    except DocumentTooLarge as error:
        raise TooLarge("The resource is larger than the 16 MB a document may have") from error
    except (BSONError, OverflowError, UnicodeEncodeError) as error:
        raise BadRequest(f"The document store cannot hold this: {error}") from error
    except WriteError as error:
        if error.code == OBJECT_TOO_LARGE:
            raise TooLarge("The resource is larger than the 16 MB a document may have") from error
        raise StoreUnavailable(f"The document store refused a write: {error.code}") from error
    except PyMongoError as error:
        refused = isinstance(error, OperationFailure) and error.code in LOGIN_REFUSED
        kind = StoreLoginRefused if refused else StoreUnavailable
        raise kind(f"The document store cannot be used: {_first_cause(error)}") from error


def _first_cause(error: PyMongoError) -> str:
    """Without the driver's settings and its description of the topology, which follow the cause."""
    return str(error).partition(" (configured timeouts")[0].partition(", Timeout: ")[0][:200]
