"""The AppContext of a logical cloud, made of what stands below it (spec dcm 5.2, 5.4, 6, 7).

``Drafts`` reads and checks; what follows from that is decided by pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from emco_common.appcontext import AppContext, AppContextStore, Resource
from emco_common.cloudconfig import Access, AccessMissing, CloudConfigs
from emco_common.errors import BadRequest, Conflict
from emco_common.operations import Operation, Subject
from emco_dcm.blueprint import (
    APP,
    Requests,
    approval_at,
    facts_of,
    level_0_context,
    level_1_context,
    next_request,
    numbered,
    object_name,
    request_of,
    shared_namespace,
    with_request,
)
from emco_dcm.clouds import Clouds, ClusterReference, is_admin
from emco_dcm.issued import REFUSED, observed
from emco_dcm.manifests import CloudFacts, SigningRequest
from emco_dcm.privatekey import PrivateKeys, signing_request
from emco_dcm.twins import Twins

INDICES_TAG = "indices"
"""The tag of a cloud that says which number each of its permissions has in the names of roles."""


@dataclass(frozen=True, slots=True)
class Draft:
    """``namespace`` and ``indices`` are to be kept with the cloud."""

    context: AppContext
    namespace: str
    indices: Mapping[str, int]


class Drafts:
    """Raises ``BadRequest`` or ``Conflict`` for what is missing or does not fit together."""

    def __init__(
        self, clouds: Clouds, contexts: AppContextStore, access: CloudConfigs, keys: PrivateKeys, twins: Twins
    ) -> None:
        self._clouds = clouds
        self._twins = twins
        self._contexts = contexts
        self._access = access
        self._keys = keys

    async def whole(self, cloud: Subject, operation: Operation, *, now: datetime) -> Draft:
        """What the cloud's intents say now. ``operation.source`` is the context that the new one takes the place of."""
        references = await self._clouds.references(cloud.key)
        if not references:
            raise BadRequest("No Cluster References associated")
        access = [await self._admin_access(reference) for reference in references]
        status_context = cloud.state.status_context if operation.source else ""
        if is_admin(cloud):
            namespace = shared_namespace(access)
            context = level_0_context(operation.instance, cloud.key, namespace, references, status_context)
            return Draft(context, namespace, {})
        return await self._level_1(cloud, operation, access, status_context=status_context, now=now)

    async def with_new_requests(
        self, cloud: Subject, operation: Operation, clusters: Collection[str], *, now: datetime
    ) -> Draft:
        """The present context with new signing requests on these clusters (or on all), and otherwise as it is."""
        old = await self._contexts.read(operation.source)
        request = await self._request(cloud, now)
        facts = facts_of(cloud, (), (), {})
        renewed = tuple(
            with_request(cluster, next_request(facts, cluster, request))
            if request_of(cluster) and (not clusters or cluster.name in clusters)
            else cluster
            for cluster in old.apps[0].clusters
        )
        status_context = cloud.state.status_context
        context = replace(
            old, id=operation.instance, apps=(replace(old.apps[0], clusters=renewed),), status_context=status_context
        )
        return Draft(context, facts.namespace, cloud.document.tags.get(INDICES_TAG, {}))

    async def _level_1(
        self, cloud: Subject, operation: Operation, access: Sequence[Access], *, status_context: str, now: datetime
    ) -> Draft:
        await self._twins.refuse(cloud, [(one.provider, one.cluster) for one in access])
        permissions, quotas = await self._clouds.permissions(cloud.key), await self._clouds.quotas(cloud.key)
        kept = cloud.document.tags.get(INDICES_TAG, {}) if operation.source else {}
        indices = numbered(permissions, kept)
        facts = facts_of(cloud, permissions, quotas, indices)
        if facts.namespace not in {permission.namespace for permission in facts.permissions}:
            raise Conflict(
                "Level-1 Logical Clouds require a User Permission assigned to its primary namespace",
                detail=f"No user permission of the cloud has spec.namespace {facts.namespace}",
            )
        requests = await self._requests(cloud, facts, operation, now=now)
        context = level_1_context(operation.instance, cloud.key, facts, access, requests, status_context)
        return Draft(context, facts.namespace, indices)

    async def _requests(self, cloud: Subject, facts: CloudFacts, operation: Operation, *, now: datetime) -> Requests:
        """For clusters that stay, the request they have, so that nothing changes there and the certificate is kept."""
        present: dict[str, Resource] = {}
        fresh = await self._request(cloud, now)
        if operation.source:
            old = await self._contexts.read(operation.source)
            status = await self._contexts.read_status(cloud.state.status_context)
            for cluster in old.apps[0].clusters:
                resource = request_of(cluster)
                if resource is None:
                    continue
                seen = observed(status.cluster(APP, cluster.name).status, object_name(resource))
                refused = seen.stage in REFUSED
                present[cluster.name] = next_request(facts, cluster, fresh) if refused else resource
        return Requests(facts, present, fresh)

    async def _request(self, cloud: Subject, now: datetime) -> SigningRequest:
        key, user = await self._keys.ensure(cloud), cloud.spec["user"]
        pem = signing_request(key, user=user["userName"])
        return SigningRequest(pem, approval_at(now), user.get("expirationSeconds", 0))

    async def _admin_access(self, reference: ClusterReference) -> Access:
        try:
            return await self._access.get(reference.provider, reference.cluster)
        except AccessMissing as error:
            text = "The cluster provided as reference does not exist"
            raise Conflict(f"{text}: {reference.cluster_name}") from error
