"""What dcm's resources do beyond their declaration: the rules of spec dcm 2 to 4 and 5.6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from emco_common.appcontext import AppContextStore
from emco_common.errors import BadRequest, Conflict, Forbidden, NotFound
from emco_common.lifecycle import STATE_TAG, StateInfo
from emco_common.operations import Subject
from emco_common.resources.service import Draft, Hooks, Write
from emco_common.runtime import Clock
from emco_common.store.api import Document, DocumentStore, IsReferenced, Key
from emco_dcm import lifecycle
from emco_dcm.clouds import REQUEST_TAG, Clouds, is_admin
from emco_dcm.lifecycle import Verb
from emco_dcm.privatekey import KEY_TAG, PrivateKeys
from emco_dcm.resources import CLUSTER_REFERENCE, LOGICAL_CLOUD, PROJECT, cluster_of
from emco_dcm.schemas import ADMIN
from emco_dcm.twins import Twins, taken


class LogicalCloudHooks(Hooks):
    """A cloud is created with a history and deleted with its contexts. ``level_0``: whether one of level 0 can be made;
    those that there are stay as they are."""

    def __init__(
        self,
        store: DocumentStore,
        clouds: Clouds,
        contexts: AppContextStore,
        twins: Twins,
        keys: PrivateKeys,
        changed: Callable[[Key], None],
        clock: Clock,
        *,
        level_0: bool,
    ) -> None:
        self._level_0 = level_0
        self._changed = changed
        self._store = store
        self._keys = keys
        self._clouds = clouds
        self._contexts = contexts
        self._twins = twins
        self._clock = clock

    async def prepare(self, draft: Draft) -> Draft:
        if not self._level_0 and is_admin(Subject(draft.document)):
            self._refuse_level_0(draft)
        if draft.present is not None:
            return await self._replaced(draft, Subject(draft.present))
        if await self._store.get(PROJECT.key(draft.document.key)) is None:
            raise NotFound(PROJECT.not_found)
        tags = {**draft.document.tags, STATE_TAG: StateInfo.created(self._clock()).as_json()}
        return replace(draft, document=replace(draft.document, tags=tags))

    async def written(self, draft: Draft, document: Document) -> None:
        if not is_admin(Subject(document)):
            self._keys.prepare(document.body)

    async def deleting(self, document: Document) -> None:
        lifecycle.check(Verb.DELETE, await self._clouds.situation(Subject(document)))
        if groups := await self._clouds.using_groups(document.key):
            raise IsReferenced(by=groups[0])

    async def deleted(self, document: Document) -> None:
        for instance in Subject(document).state.instances:
            await self._contexts.delete(instance)
        self._changed(document.key)
        await self._clouds.subjects.tell(document.key)

    def _refuse_level_0(self, draft: Draft) -> None:
        if draft.present is None or not is_admin(Subject(draft.present)):
            raise Forbidden(
                "spec.level 0: Logical Clouds of level 0 use clusters with all rights, and cannot be made here; "
                "make one of level 1, with a namespace and a user",
                detail="The setting EMCO_DCM_LEVEL0 is `forbidden`",
            )

    async def _replaced(self, draft: Draft, present: Subject) -> Draft:
        """Where the cloud is on clusters, what it is there must stay (defect 15)."""
        document, tags = draft.document, dict(draft.document.tags)
        old, new = present.spec, document.body["spec"]
        if new["level"] == old["level"] == ADMIN:
            # The clusters' own namespace, written at instantiate; input is ignored.
            new = {**new, "namespace": old["namespace"]}
        changed = [name for name in ("level", "namespace", "user") if new[name] != old[name]]
        if changed and not lifecycle.is_at_rest(await self._clouds.situation(present)):
            raise Conflict(f"spec.{changed[0]} of a Logical Cloud can only be changed while it is not instantiated")
        if new["level"] != ADMIN and {"level", "namespace"} & set(changed):
            await self._refuse_twins(present.key, new["namespace"])
        if new["user"].get("keyType") != old["user"].get("keyType"):
            tags.pop(KEY_TAG, None)
        return replace(draft, document=replace(document, body={**document.body, "spec": new}, tags=tags))

    async def _refuse_twins(self, key: Key, namespace: str) -> None:
        for reference in await self._clouds.references(key):
            twin = await self._twins.of(key, namespace, reference.provider, reference.cluster)
            if twin is not None:
                raise taken(namespace, reference.cluster_name, by=twin)


class ClusterReferenceHooks(Hooks):
    """A reference comes and goes only while the cloud is not changing; on a live cloud it counts from its update on."""

    def __init__(self, store: DocumentStore, clouds: Clouds, twins: Twins) -> None:
        self._store = store
        self._clouds = clouds
        self._twins = twins

    async def admit(self, key: Key, write: Write, query: Mapping[str, str]) -> None:
        if write == "create":
            cloud = await self._clouds.read(cloud_key(key))
            lifecycle.check_reference_added(await self._clouds.situation(cloud))

    async def prepare(self, draft: Draft) -> Draft:
        (wanted,) = cluster_of(draft.document.body, draft.document.key)
        if draft.present is not None and wanted in cluster_of(draft.present.body, draft.present.key):
            return _with_certificate_of(draft, draft.present)
        cloud = await self._clouds.read(cloud_key(draft.document.key))
        if draft.present is not None:
            situation = await self._clouds.situation(cloud)
            lifecycle.check_reference_added(situation)
            lifecycle.check_reference_removed(situation)
        await self._check_cluster(cloud, draft, wanted)
        tags = {name: value for name, value in draft.document.tags.items() if name != REQUEST_TAG}
        return replace(draft, document=replace(draft.document, tags=tags))

    async def deleting(self, document: Document) -> None:
        cloud = await self._clouds.read(cloud_key(document.key))
        lifecycle.check_reference_removed(await self._clouds.situation(cloud))

    async def _check_cluster(self, cloud: Subject, draft: Draft, wanted: Key) -> None:
        provider, cluster = wanted["clusterProvider"], wanted["cluster"]
        if await self._store.get(wanted) is None:
            raise Conflict(f"The cluster provided as reference does not exist: {provider}+{cluster}")
        for other in await self._store.referrers(CLUSTER_REFERENCE.key_names, wanted):
            if cloud.key.items() <= other.key.items() and other.key != draft.document.key:
                name = other.key["clusterReference"]
                raise Conflict(f"Cluster reference {name} already names this cluster")
        if is_admin(cloud):
            return
        twin = await self._twins.of(cloud.key, cloud.spec["namespace"], provider, cluster)
        if twin is not None:
            raise taken(cloud.spec["namespace"], f"{provider}+{cluster}", by=twin)


class ClusterQuotaHooks(Hooks):
    """Only clouds with a namespace of their own have quotas."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    async def admit(self, key: Key, write: Write, query: Mapping[str, str]) -> None:
        if write != "delete" and is_admin(await self._clouds.read(cloud_key(key))):
            raise BadRequest("Cluster Quotas not allowed for Logical Cloud Level 0")


def cloud_key(key: Key) -> Key:
    """The key of the cloud that a child stands below."""
    return {name: key[name] for name in LOGICAL_CLOUD.key_names}


def _with_certificate_of(draft: Draft, present: Document) -> Draft:
    """The certificate is ours to write, whatever a user sends."""
    document = draft.document
    spec = {**document.body["spec"], "certificate": present.body["spec"]["certificate"]}
    return replace(draft, document=replace(document, body={**document.body, "spec": spec}))
