"""The AppContext of a logical cloud, made of what stands below it (spec dcm 5.2, 5.4, 6, 7).

``Drafts`` reads and checks; what follows from that is decided by pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from emco_common.appcontext import (
    App,
    AppContext,
    AppContextStore,
    AppDependencyForm,
    Approval,
    Cluster,
    Meta,
    Resource,
)
from emco_common.cloudconfig import ADMIN_NAMESPACE, Access, AccessMissing, CloudConfigs
from emco_common.errors import BadRequest, Conflict
from emco_common.operations import Operation, Subject
from emco_common.store.api import Document, Key
from emco_dcm.clouds import Clouds, ClusterReference, is_admin
from emco_dcm.issued import REFUSED, observed
from emco_dcm.manifests import (
    CSR_KIND,
    GITOPS_TYPES,
    CloudFacts,
    Permission,
    Quota,
    SigningRequest,
    cluster_resources,
    request_name,
    signing_request_resource,
)
from emco_dcm.privatekey import PrivateKeys, signing_request
from emco_dcm.schemas import ADMIN, CUSTOM
from emco_dcm.twins import Twins

APP = "logical-cloud"
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
            namespace = _shared_namespace(access)
            context = level_0_context(operation.instance, cloud.key, namespace, references, status_context)
            return Draft(context, namespace, {})
        return await self._level_1(cloud, operation, access, status_context=status_context, now=now)

    async def with_new_requests(
        self, cloud: Subject, operation: Operation, clusters: Collection[str], *, now: datetime
    ) -> Draft:
        """The present context with new signing requests on these clusters (or on all), and otherwise as it is."""
        old = await self._contexts.read(operation.source)
        request = await self._request(cloud, now)
        facts = _facts(cloud, (), (), {})
        renewed = tuple(
            _with_request(cluster, _next_request(facts, cluster, request))
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
        facts = _facts(cloud, permissions, quotas, indices)
        if facts.namespace not in {permission.namespace for permission in facts.permissions}:
            raise Conflict(
                "Level-1 Logical Clouds require a User Permission assigned to its primary namespace",
                detail=f"No user permission of the cloud has spec.namespace {facts.namespace}",
            )
        requests = await self._requests(cloud, facts, operation, now=now)
        clusters = tuple(_cluster(facts, one, requests) for one in access)
        meta = Meta(
            project=cloud.key["project"],
            logical_cloud=facts.name,
            namespace=ADMIN_NAMESPACE,
            level=ADMIN,
            logical_cloud_namespace=facts.namespace,
            logical_cloud_level=CUSTOM,
        )
        app = App(APP, clusters)
        context = AppContext(operation.instance, (app,), meta, status_context, AppDependencyForm.WRAPPED)
        return Draft(context, facts.namespace, indices)

    async def _requests(self, cloud: Subject, facts: CloudFacts, operation: Operation, *, now: datetime) -> _Requests:
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
                present[cluster.name] = _next_request(facts, cluster, fresh) if refused else resource
        return _Requests(facts, present, fresh)

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


def approval_at(now: datetime) -> Approval:
    return Approval(
        last_update_time=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        message="Approved for Logical Cloud authentication",
        reason="LogicalCloud",
        type="Approved",
        status="True",
    )


def numbered(permissions: Sequence[Document], kept: Mapping[str, int]) -> dict[str, int]:
    """A number for each permission: the one it has, else the next that none ever had (defect 20).

    A permission that has moved to another namespace is another one, as its role cannot move.
    """
    indices = dict(kept)
    for permission in permissions:
        indices.setdefault(_identity(permission), max(indices.values(), default=-1) + 1)
    return indices


def _identity(permission: Document) -> str:
    return f"{permission.body['spec']['namespace']}/{permission.key['userPermission']}"


def request_of(cluster: Cluster) -> Resource | None:
    """The signing request among a cluster's resources; a GitOps cluster has none."""
    return next((one for one in cluster.resources if one.name.endswith(f"+{CSR_KIND}")), None)


def object_name(resource: Resource) -> str:
    return resource.name.rpartition("+")[0]


def level_0_context(
    context: str, cloud: Key, namespace: str, references: Sequence[ClusterReference], status_context: str
) -> AppContext:
    """Nothing but the clusters (spec dcm 7)."""
    clusters = tuple(Cluster(name) for name in dict.fromkeys(reference.cluster_name for reference in references))
    meta = Meta(project=cloud["project"], logical_cloud=cloud["logicalCloud"], namespace=namespace, level=ADMIN)
    return AppContext(context, (App(APP, clusters),), meta, status_context, AppDependencyForm.ABSENT)


@dataclass(frozen=True, slots=True)
class _Requests:
    facts: CloudFacts
    present: Mapping[str, Resource]
    fresh: SigningRequest

    def of(self, cluster: str) -> Resource:
        known = self.present.get(cluster)
        if known is not None:
            return known
        return signing_request_resource(request_name(self.facts.name, self.facts.namespace), self.fresh)


def _cluster(facts: CloudFacts, access: Access, requests: _Requests) -> Cluster:
    name, gitops = f"{access.provider}+{access.cluster}", gitops_type(access)
    request = None if gitops else requests.of(name)
    return Cluster(name, resources=cluster_resources(facts, gitops=gitops, request=request))


def gitops_type(access: Access) -> str:
    """Empty for a cluster that is reached directly."""
    found = access.gitops.get("gitOpsType", "")
    if found and found not in GITOPS_TYPES:
        raise Conflict(f"GitOps Type not supported: {found}")
    return found


def _next_request(facts: CloudFacts, cluster: Cluster, request: SigningRequest) -> Resource:
    """Another request than the one that the cluster has; the name of an old one cannot be used again."""
    present = request_of(cluster)
    first = request_name(facts.name, facts.namespace)
    rest = object_name(present).removeprefix(first).lstrip("-") if present else "0"
    number = int(rest) + 1 if rest.isdecimal() else 2
    return signing_request_resource(request_name(facts.name, facts.namespace, number=number), request)


def _with_request(cluster: Cluster, request: Resource) -> Cluster:
    present = request_of(cluster)
    return replace(cluster, resources=tuple(request if one is present else one for one in cluster.resources))


def _facts(
    cloud: Subject, permissions: Sequence[Document], quotas: Sequence[Document], indices: Mapping[str, int]
) -> CloudFacts:
    return CloudFacts(
        name=cloud.name,
        namespace=cloud.spec["namespace"],
        user=cloud.spec["user"]["userName"],
        labels=cloud.spec["labels"] or {},
        permissions=tuple(_permission(one, indices[_identity(one)]) for one in permissions),
        quotas=tuple(Quota(quota.key["clusterQuota"], quota.body["spec"]) for quota in quotas),
    )


def _permission(document: Document, index: int) -> Permission:
    spec = document.body["spec"]
    return Permission(spec["namespace"], spec["apiGroups"], spec["resources"], spec["verbs"], index)


def _shared_namespace(access: Sequence[Access]) -> str:
    namespaces = {one.namespace for one in access}
    if len(namespaces) > 1:
        raise Conflict("The clusters associated to this L0 logical cloud don't all share the same namespace name")
    return namespaces.pop()
