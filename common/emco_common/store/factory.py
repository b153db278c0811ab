"""Which document store a URL means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from emco_common.errors import BadRequest
from emco_common.store.api import DocumentStore


async def open_store(url: str) -> DocumentStore:
    """``sqlite:///folder/file.db`` (absolute: the path begins at the third slash) or ``mongodb://host/database``.

    Without a name the MongoDB database is ``emco``. The adapter, and with it its driver, is imported only when it is
    asked for. ``BadRequest`` for any other URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadRequest(f"The URL of the document store is wrong: {error}") from error
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        from emco_common.store.sqlite import SqliteStore

        return await SqliteStore.open(Path(unquote(parts.path)))
    if parts.scheme in ("mongodb", "mongodb+srv") and parts.netloc:
        from emco_common.store.mongo import MongoStore

        return await MongoStore.connect(url, database=parts.path.strip("/") or "emco")
    raise BadRequest("The store is named by sqlite:///path/to/file or mongodb://host:port/database")
