"""A logical cloud in the store, and its situation: what was asked for, and what became of it.

The state is a tag of the document and is changed only by compare-and-swap, so that of several actions at a time exactly
one wins (defect 26).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from emco_common.appcontext import AppContextStore, ContextNotFound, ContextState
from emco_common.errors import Conflict, NotFound
from emco_common.lifecycle import STATE_TAG, State, StateInfo
from emco_common.store.api import Document, DocumentStore, Key, StaleRevision
from emco_dcm import lifecycle
from emco_dcm.lifecycle import Situation
from emco_dcm.resources import CLUSTER_REFERENCE, GROUP_KEY_NAMES, LOGICAL_CLOUD

_ATTEMPTS = 5
_IDLE = (State.CREATED, State.APPROVED)


@dataclass(frozen=True, slots=True)
class Cloud:
    """One logical cloud as read."""

    document: Document

    @property
    def key(self) -> Key:
        return self.document.key

    @property
    def name(self) -> str:
        return self.key["logicalCloud"]

    @property
    def level(self) -> str:
        return str(self.document.body["spec"]["level"])

    @property
    def info(self) -> StateInfo:
        return StateInfo.from_json(self.document.tags[STATE_TAG])

    def with_info(self, info: StateInfo, *, namespace: str | None = None) -> Cloud:
        body = self.document.body
        if namespace is not None:
            body = {**body, "spec": {**body["spec"], "namespace": namespace}}
        tags = {**self.document.tags, STATE_TAG: info.as_json()}
        return Cloud(replace(self.document, body=body, tags=tags))


@dataclass(frozen=True, slots=True)
class ClusterReference:
    """A cluster of a cloud; ``cluster_name`` is ``<provider>+<cluster>``."""

    provider: str
    cluster: str

    @property
    def cluster_name(self) -> str:
        return f"{self.provider}+{self.cluster}"


class Clouds:
    """Reads and changes logical clouds."""

    def __init__(self, store: DocumentStore, contexts: AppContextStore) -> None:
        self._store = store
        self._contexts = contexts

    async def read(self, key: Key) -> Cloud:
        """Raises ``NotFound``."""
        document = await self._store.get(key)
        if document is None:
            raise NotFound(LOGICAL_CLOUD.not_found)
        return Cloud(document)

    async def all(self) -> list[Cloud]:
        return [Cloud(document) for document in await self._store.list(LOGICAL_CLOUD.key_names, {})]

    async def references(self, key: Key) -> Sequence[ClusterReference]:
        """The clusters of the cloud, each once, in the order in which they were named."""
        specs = [document.body["spec"] for document in await self._store.list(CLUSTER_REFERENCE.key_names, key)]
        return list(dict.fromkeys(ClusterReference(spec["clusterProvider"], spec["cluster"]) for spec in specs))

    async def situation(self, cloud: Cloud) -> Situation:
        """A context that is gone counts as terminated (defect 1)."""
        info = cloud.info
        try:
            status = await self.status_of(info.instance) if info.instance else None
        except ContextNotFound:
            return lifecycle.situation_of(info, None, exists=False)
        return lifecycle.situation_of(info, status)

    async def status_of(self, instance: str) -> str | None:
        """The status of a context, ``None`` before rsync has seen it. Raises ``ContextNotFound``."""
        return await self._contexts.get_status(instance)

    async def change(self, key: Key, decide: Callable[[Cloud, Situation], Cloud]) -> Cloud:
        """Read, decide, write; again when somebody else wrote in between. What ``decide`` raises writes nothing."""
        for _ in range(_ATTEMPTS):
            cloud = await self.read(key)
            changed = decide(cloud, await self.situation(cloud))
            try:
                written = await self._store.replace(changed.document, expected=cloud.document.revision)
            except StaleRevision:
                continue
            return Cloud(written)
        raise Conflict(f"Logical Cloud {key['logicalCloud']} is being changed by others; try again")

    async def using_groups(self, key: Key) -> list[Key]:
        """Deployment intent groups that name the cloud."""
        return [group.key for group in await self._groups(key)]

    async def deployed_groups(self, key: Key) -> list[Key]:
        """Those of them that have, or may still have, something on the clusters (defect 25)."""
        return [group.key for group in await self._groups(key) if await self._is_deployed(group)]

    async def _groups(self, key: Key) -> list[Document]:
        documents = await self._store.list(GROUP_KEY_NAMES, {"project": key["project"]})
        return [one for one in documents if one.body["spec"]["logicalCloud"] == key["logicalCloud"]]

    async def _is_deployed(self, group: Document) -> bool:
        info = StateInfo.from_json(group.tags[STATE_TAG])
        if info.state in _IDLE:
            return False
        if info.state is not State.TERMINATED:
            return True
        try:
            return await self.status_of(info.instance) != ContextState.TERMINATED
        except ContextNotFound:
            return False
