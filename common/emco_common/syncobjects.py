"""Sync objects: credentials and timing that clusters refer to (spec clm 7, rsync 11.2). Written by clm, read by rsync.

Their values are sealed in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from emco_common.errors import Conflict
from emco_common.secrets import SealedChange, Sealer
from emco_common.store.api import Document, DocumentStore, Key

KEY_NAMES = ("clusterProvider", "clusterSyncObject")
LINES = "caCert"
"""A certificate is longer than a value may be, so each of its lines is one."""
AGENT_OF = "agentOf"
"""Tag: the one cluster whose agent proves itself with the token in the sync object."""


class SyncObjectMissing(Conflict):
    """The provider has no sync object of this name."""


def record_of(key: Key) -> str:
    """What the values of a sync object are sealed for."""
    return f"cluster sync object {key['clusterProvider']}/{key['clusterSyncObject']}"


def with_sealed(document: Document, change: SealedChange) -> Document:
    """A sync object with each of its values written anew."""
    record, pairs = record_of(document.key), document.body["spec"]["kv"]
    kv = [{key: change(value, record) for key, value in some.items()} for some in pairs]
    return replace(document, body={**document.body, "spec": {"kv": kv}})


@dataclass(frozen=True, slots=True)
class Opened:
    """``agent_of`` is the cluster whose agent's token is in it, or ``""``."""

    values: Mapping[str, str] = field(repr=False)
    agent_of: str = ""


class SyncObjects:
    """The sync objects in the store, for those who use them."""

    def __init__(self, store: DocumentStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def values(self, provider: str, name: str) -> Mapping[str, str]:
        """``SyncObjectMissing``, ``SealBroken``."""
        return (await self.opened(provider, name)).values

    async def opened(self, provider: str, name: str) -> Opened:
        """The pairs of a sync object, opened; of a key that comes twice the first, but of
        ``caCert`` all, as lines of one text. ``SyncObjectMissing``, ``SealBroken``."""
        key: Key = dict(zip(KEY_NAMES, (provider, name), strict=True))
        document = await self._store.get(key)
        if document is None:
            raise SyncObjectMissing(f"cluster provider {provider} has no cluster sync object {name}")
        record = record_of(key)
        found: dict[str, str] = {}
        for pairs in document.body["spec"]["kv"]:
            for word, sealed in pairs.items():
                value = self._sealer.open(sealed, record=record).decode()
                if word == LINES:
                    found[word] = f"{found.get(word, '')}{value}\n"
                else:
                    found.setdefault(word, value)
        return Opened(found, document.tags.get(AGENT_OF, ""))
