"""Access records: how a cluster is reached (spec clm 10, rsync 11.1). Written by clm and dcm, read by rsync and dcm.

A record is found by cluster, level and namespace: level ``0``, namespace ``default`` is the access the cluster was
registered with; level ``1`` is the identity of one logical cloud. The kubeconfig is sealed before it reaches the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from emco_common.errors import Conflict
from emco_common.secrets import SealedChange, Sealer
from emco_common.store.api import AlreadyExists, Document, DocumentMissing, DocumentStore, Key

KEY_NAMES = ("cloudConfigClusterProvider", "cloudConfigCluster", "level", "namespace")
ADMIN_LEVEL = "0"
ADMIN_NAMESPACE = "default"
CLOUD_LEVEL = "1"
IMPERSONATED = "impersonatedUser"
"""In ``gitops`` of a record of level 1, on a cluster with an agent: the user whose rights the agent's calls have."""


class AccessMissing(Conflict):
    """No access record for this cluster, level and namespace."""


@dataclass(frozen=True, slots=True)
class Access:
    """One record. ``kubeconfig`` is empty for a GitOps cluster, whose ``gitops`` holds the registered GitOps spec.

    ``owner`` is the key of the logical cloud that a record of level 1 was made for.
    """

    provider: str
    cluster: str
    level: str = ADMIN_LEVEL
    namespace: str = ADMIN_NAMESPACE
    kubeconfig: bytes = field(default=b"", repr=False)
    gitops: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, str] = field(default_factory=dict)
    registration: str = field(default="", compare=False)
    """Of a record that was read: another one after each write of it, whatever it says."""

    @property
    def key(self) -> Key:
        values = (self.provider, self.cluster, self.level, self.namespace)
        return dict(zip(KEY_NAMES, values, strict=True))


class CloudConfigs:
    """The access records in the store."""

    def __init__(self, store: DocumentStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def create(self, access: Access) -> None:
        """``AlreadyExists`` if the record is there."""
        await self._store.create(self._encode(access))

    async def put(self, access: Access) -> None:
        """Write the record whether or not it exists."""
        document = self._encode(access)
        while True:
            try:
                await self._store.create(document)
                return
            except AlreadyExists:
                with suppress(DocumentMissing):  # gone in the meantime: create it after all
                    await self._store.replace(document)
                    return

    async def get(
        self, provider: str, cluster: str, *, level: str = ADMIN_LEVEL, namespace: str = ADMIN_NAMESPACE
    ) -> Access:
        """``AccessMissing`` names the cluster; at level 0 any namespace will do, as only one record exists."""
        key = Access(provider, cluster, level, namespace).key
        found = await self._store.get(key)  # the key is at hand on every store; what is sought below, not on every one
        if found is None and level == ADMIN_LEVEL:
            within = {name: value for name, value in key.items() if name != "namespace"}
            found = next(iter(await self._store.list(KEY_NAMES, within)), None)
        if found is None:
            raise AccessMissing(
                f"cluster {provider}+{cluster} has no access record for level {level}, namespace {namespace}"
            )
        return self._decode(found)

    async def of_clouds(self, namespace: str) -> list[Access]:
        """Every record of level 1 for a namespace, whichever cluster and cloud it is of."""
        found = await self._store.list(KEY_NAMES, {"level": CLOUD_LEVEL, "namespace": namespace})
        return [self._decode(document) for document in found]

    async def owned(self) -> list[Access]:
        """Every record that was made for a logical cloud, without its kubeconfig."""
        found = await self._store.list(KEY_NAMES, {"level": CLOUD_LEVEL})
        return [_named(document) for document in found if document.tags.get("owner")]

    async def delete(self, access: Access) -> None:
        """Absent is fine."""
        try:
            await self._store.delete(access.key)
        except DocumentMissing:
            return

    def _encode(self, access: Access) -> Document:
        sealed = self._sealer.seal(access.kubeconfig, record=_record(access.key)) if access.kubeconfig else ""
        tags = {"config": {"config": sealed}, "meta": {"gitOps": dict(access.gitops)}, "owner": dict(access.owner)}
        return Document(key=access.key, body={}, tags=tags)

    def _decode(self, document: Document) -> Access:
        sealed = document.tags["config"]["config"]
        return replace(
            _named(document),
            kubeconfig=self._sealer.open(sealed, record=_record(document.key)) if sealed else b"",
            gitops=document.tags["meta"]["gitOps"],
        )


def _named(document: Document) -> Access:
    provider, cluster, level, namespace = (document.key[name] for name in KEY_NAMES)
    owner = document.tags.get("owner", {})
    return Access(provider, cluster, level, namespace, owner=owner, registration=registration_of(document))


def registration_of(document: Document) -> str:
    """See ``Access.registration``."""
    return f"{document.place}/{document.revision}"


def with_sealed(document: Document, change: SealedChange) -> Document:
    """A record with what is sealed in it written anew."""
    config = document.tags.get("config", {})
    if not config.get("config"):
        return document
    sealed = change(config["config"], _record(document.key))
    return replace(document, tags={**document.tags, "config": {**config, "config": sealed}})


def _record(key: Key) -> str:
    return "kubeconfig of " + "/".join(key[name] for name in KEY_NAMES)
