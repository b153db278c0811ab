"""Key-value documents: reading one value by its key, and keeping those of sync objects sealed (spec clm 6, 7, 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emco_common.errors import NotFound
from emco_common.resources.service import Draft, Hooks
from emco_common.secrets import Sealer
from emco_common.store.api import Document
from emco_common.syncobjects import with_sealed


class KeyValueHooks(Hooks):
    """``?key=`` answers the first value of that key; ``missing`` is the text if there is none."""

    def __init__(self, missing: str) -> None:
        self._missing = missing

    async def single(self, document: Document, query: Mapping[str, str]) -> Any:
        key = query.get("key")
        if not key:
            return document.body
        for pairs in document.body["spec"]["kv"]:
            if key in pairs:
                return {"value": pairs[key]}
        raise NotFound(self._missing)


class SyncObjectHooks(KeyValueHooks):
    """Values are credentials: sealed before they reach the store, opened for the answer."""

    def __init__(self, sealer: Sealer) -> None:
        super().__init__("Cluster Sync Object key value not found")
        self._sealer = sealer

    async def prepare(self, draft: Draft) -> Draft:
        def sealed(value: str, record: str) -> str:
            return self._sealer.seal(value.encode(), record=record)

        return replace(draft, document=with_sealed(draft.document, sealed))

    def shown(self, document: Document) -> Document:
        return with_sealed(document, lambda value, record: self._sealer.open(value, record=record).decode())
