"""What dcm's resources do beyond their declaration: the rules of spec dcm 2 to 4 and 5.6."""

from __future__ import annotations

from dataclasses import replace

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest, Conflict, NotFound
from emco_common.lifecycle import StateInfo
from emco_common.resources.service import Draft, Hooks
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentStore, IsReferenced, Key
from emco_dcm import lifecycle
from emco_dcm.clouds import Cloud, Clouds
from emco_dcm.lifecycle import Operation
from emco_dcm.resources import CLUSTER_REFERENCE, LOGICAL_CLOUD, PROJECT, cluster_of
from emco_dcm.schemas import ADMIN


class LogicalCloudHooks(Hooks):
    """A cloud is created with a history and deleted with its contexts."""

    def __init__(self, store: DocumentStore, clouds: Clouds, contexts: AppContextStore, clock: Clock) -> None:
        self._store = store
        self._clouds = clouds
        self._contexts = contexts
        self._clock = clock

    async def prepare(self, draft: Draft) -> Draft:
        if draft.present is not None:
            return await self._replaced(draft, Cloud(draft.present))
        if await self._store.get(PROJECT.key(draft.document.key)) is None:
            raise NotFound(PROJECT.not_found)
        return replace(draft, document=Cloud(draft.document).with_info(StateInfo.created(self._clock())).document)

    async def deleting(self, document: Document) -> None:
        lifecycle.check(Operation.DELETE, await self._clouds.situation(Cloud(document)))
        if groups := await self._clouds.using_groups(document.key):
            raise IsReferenced(by=groups[0])

    async def deleted(self, document: Document) -> None:
        for instance in Cloud(document).info.instances:
            await self._contexts.delete(instance)

    async def _replaced(self, draft: Draft, present: Cloud) -> Draft:
        """Where the cloud is on clusters, what it is there must stay (defect 15)."""
        old, new = present.document.body["spec"], draft.document.body["spec"]
        if new["level"] == old["level"] == ADMIN:
            # The clusters' own namespace, written at instantiate; input is ignored.
            new = {**new, "namespace": old["namespace"]}
            draft = replace(draft, document=replace(draft.document, body={**draft.document.body, "spec": new}))
        fixed = [name for name in ("level", "namespace", "user") if new[name] != old[name]]
        if fixed and not lifecycle.is_at_rest(await self._clouds.situation(present)):
            raise Conflict(f"spec.{fixed[0]} of a Logical Cloud can only be changed while it is not instantiated")
        return draft


class ClusterReferenceHooks(Hooks):
    """A reference comes and goes only while the cloud is not changing."""

    def __init__(self, store: DocumentStore, clouds: Clouds) -> None:
        self._store = store
        self._clouds = clouds

    async def prepare(self, draft: Draft) -> Draft:
        cloud = await self._clouds.read(cloud_key(draft.document.key))
        lifecycle.check_reference_added(await self._clouds.situation(cloud))
        (wanted,) = cluster_of(draft.document.body, draft.document.key)
        if await self._store.get(wanted) is None:
            raise Conflict(
                f"The cluster provided as reference does not exist: {wanted['clusterProvider']}+{wanted['cluster']}"
            )
        for other in await self._store.list(CLUSTER_REFERENCE.key_names, cloud.key):
            if wanted in cluster_of(other.body, other.key):
                name = other.key["clusterReference"]
                raise Conflict(f"Cluster reference {name} already names this cluster")
        return draft

    async def deleting(self, document: Document) -> None:
        cloud = await self._clouds.read(cloud_key(document.key))
        lifecycle.check_reference_removed(await self._clouds.situation(cloud))


class ClusterQuotaHooks(Hooks):
    """Only clouds with a namespace of their own have quotas."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    async def prepare(self, draft: Draft) -> Draft:
        cloud = await self._clouds.read(cloud_key(draft.document.key))
        if cloud.level == ADMIN:
            raise BadRequest("Cluster Quotas not allowed for Logical Cloud Level 0")
        return draft


def cloud_key(key: Key) -> Key:
    """The key of the cloud that a child stands below."""
    return {name: key[name] for name in LOGICAL_CLOUD.key_names}
