"""A logical cloud in the store, what stands below it, and its situation: what was asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emco_common.appcontext import AppContextStore, ContextNotFound, ContextState
from emco_common.lifecycle import STATE_TAG, State, StateInfo
from emco_common.operations import Subject, Subjects
from emco_common.presence import Presence
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentStore, Key
from emco_dcm import lifecycle
from emco_dcm.lifecycle import Situation
from emco_dcm.resources import CLUSTER_QUOTA, CLUSTER_REFERENCE, GROUP_KEY_NAMES, LOGICAL_CLOUD, USER_PERMISSION
from emco_dcm.schemas import ADMIN

REQUEST_TAG = "request"
"""The tag of a cluster reference that says by which signing request its certificate came."""
_IDLE = (State.CREATED, State.APPROVED)
_ON_CLUSTERS = frozenset(State) - {State.CREATED, State.TERMINATED, State.TERMINATE_STOPPED}


@dataclass(frozen=True, slots=True)
class ClusterReference:
    """A cluster of a cloud; ``cluster_name`` is ``<provider>+<cluster>``."""

    document: Document

    @property
    def name(self) -> str:
        return self.document.key["clusterReference"]

    @property
    def provider(self) -> str:
        return str(self.document.body["spec"]["clusterProvider"])

    @property
    def cluster(self) -> str:
        return str(self.document.body["spec"]["cluster"])

    @property
    def cluster_name(self) -> str:
        return f"{self.provider}+{self.cluster}"

    @property
    def certificate(self) -> str:
        """Base64 of PEM, empty until one is issued."""
        return str(self.document.body["spec"]["certificate"])

    @property
    def request(self) -> str:
        """The signing request that brought the certificate."""
        return str(self.document.tags.get(REQUEST_TAG, {}).get("name", ""))


def clouds_in(store: DocumentStore, clock: Clock, presence: Presence) -> Subjects:
    """The clouds of a store, as this process sees and changes them."""
    return Subjects(store, LOGICAL_CLOUD.key_names, "Logical Cloud", LOGICAL_CLOUD.not_found, clock, presence)


def is_admin(cloud: Subject) -> bool:
    """Whether the clusters are used with the access that they were registered with (level 0)."""
    return bool(cloud.spec["level"] == ADMIN)


def is_on_clusters(cloud: Subject) -> bool:
    """Whether something of the cloud is, or is about to be, on its clusters by its own history."""
    return cloud.state.state in _ON_CLUSTERS


Id = frozenset[tuple[str, str]]


def id_of(key: Key) -> Id:
    """The same for keys that name the same in another order."""
    return frozenset(key.items())


class Clouds:
    """Reads clouds and what goes with them."""

    def __init__(self, subjects: Subjects, contexts: AppContextStore) -> None:
        self.subjects = subjects
        self._store = subjects.store
        self._contexts = contexts

    async def read(self, key: Key) -> Subject:
        """Raises ``NotFound``."""
        return await self.subjects.read(key)

    async def all(self) -> list[Subject]:
        return await self.subjects.all()

    async def references(self, key: Key) -> list[ClusterReference]:
        """In the order in which they were made."""
        return [ClusterReference(document) for document in await self._store.list(CLUSTER_REFERENCE.key_names, key)]

    async def permissions(self, key: Key) -> Sequence[Document]:
        return await self._store.list(USER_PERMISSION.key_names, key)

    async def quotas(self, key: Key) -> Sequence[Document]:
        return await self._store.list(CLUSTER_QUOTA.key_names, key)

    async def situation(self, cloud: Subject) -> Situation:
        """A context that is gone counts as terminated (defect 1)."""
        info, under_way = cloud.state, cloud.operation.verb if cloud.operation else ""
        try:
            status = await self.status_of(info.instance) if info.instance else None
        except ContextNotFound:
            return lifecycle.situation_of(info, None, exists=False, under_way=under_way)
        return lifecycle.situation_of(info, status, under_way=under_way)

    async def status_of(self, instance: str) -> str | None:
        """The status of a context, ``None`` before rsync has seen it. Raises ``ContextNotFound``."""
        return await self._contexts.get_status(instance)

    async def using_groups(self, key: Key) -> list[Key]:
        """Deployment intent groups that name the cloud."""
        return [group.key for group in await self._groups(key)]

    async def deployed_groups(self, key: Key) -> list[Document]:
        """Those of them that have, or may still have, something on the clusters (defect 25)."""
        return [group for group in await self._groups(key) if await self._is_deployed(group)]

    async def _groups(self, key: Key) -> list[Document]:
        documents = await self._store.list(GROUP_KEY_NAMES, {"project": key["project"]})
        return [one for one in documents if one.body["spec"]["logicalCloud"] == key["logicalCloud"]]

    async def _is_deployed(self, group: Document) -> bool:
        if Subject(group).operation is not None:
            return True
        info = StateInfo.from_json(group.tags[STATE_TAG])
        if info.state in _IDLE:
            return False
        if info.state is not State.TERMINATED:
            return True
        try:
            return await self.status_of(info.instance) != ContextState.TERMINATED
        except ContextNotFound:
            return False
