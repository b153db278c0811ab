"""Key-value documents: reading one value by its key, and keeping those of sync objects sealed (spec clm 6, 7, 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from emco_common.errors import BadRequest, NotFound
from emco_common.resources.service import Draft, Hooks
from emco_common.secrets import Sealer
from emco_common.store.api import Document, DocumentStore
from emco_common.syncobjects import LINES, with_sealed

Pairs = Mapping[str, str]


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


MASK = "***"
"""Stands for a value in an answer, and in a PUT for the value that is there."""
_PLAIN = frozenset(
    {"gitType", "userName", "repoName", "url", "branch", LINES}
    | {"clientID", "tenantID", "subscriptionID", "arcCluster", "arcResourceGroup"}
    | {"timeOut", "syncInterval", "retryInterval"}
)
"""Keys that rsync knows for no secrets (rsync 11.2); whatever else there is may be one."""


class SyncObjectHooks(KeyValueHooks):
    """Values are credentials: sealed before they reach the store, opened for the answer; with ``masked`` only for who
    asks for one by its key."""

    def __init__(self, store: DocumentStore, sealer: Sealer, *, masked: bool) -> None:
        super().__init__("Cluster Sync Object key value not found")
        self._store = store
        self._sealer = sealer
        self._masked = masked

    async def prepare(self, draft: Draft) -> Draft:
        def sealed(value: str, record: str) -> str:
            return self._sealer.seal(value.encode(), record=record)

        document = with_sealed(draft.document, sealed)
        kv = [
            self._kept(given, pairs, draft)
            for given, pairs in zip(_pairs(draft.document), _pairs(document), strict=True)
        ]
        return replace(draft, document=replace(document, body={**document.body, "spec": {"kv": kv}}))

    def shown(self, document: Document) -> Document:
        opened = self._opened(document)
        if not self._masked:
            return opened
        kv = [{key: value if key in _PLAIN else MASK for key, value in pairs.items()} for pairs in _pairs(opened)]
        return replace(opened, body={**opened.body, "spec": {"kv": kv}})

    async def single(self, document: Document, query: Mapping[str, str]) -> Any:
        if self._masked and query.get("key"):
            stored = await self._store.get(document.key)
            document = document if stored is None else self._opened(stored)
        return await super().single(document, query)

    def _opened(self, document: Document) -> Document:
        return with_sealed(document, lambda value, record: self._sealer.open(value, record=record).decode())

    def _kept(self, given: Pairs, sealed: Pairs, draft: Draft) -> Pairs:
        """What was sealed, and where the mask was given, what is there already: so that what was read can be written
        again (GET, change something, PUT)."""
        there = {key: value for pairs in reversed(_pairs(draft.present)) for key, value in pairs.items()}
        lacking = next((key for key, value in given.items() if value == MASK and key not in there), None)
        if lacking is not None:
            raise BadRequest(
                f"spec.kv: {lacking} is {MASK}, which stands for the value that is there, and there is none"
            )
        return {key: there[key] if given[key] == MASK else value for key, value in sealed.items()}


def _pairs(document: Document | None) -> Sequence[Pairs]:
    return () if document is None else document.body["spec"]["kv"]
