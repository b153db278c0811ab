"""From the facts of a cloud to its AppContext: objects, requests, numbers of permissions (spec dcm 6, 7). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from emco_common.appcontext import App, AppContext, AppDependencyForm, Approval, Cluster, Meta, Resource
from emco_common.cloudconfig import ADMIN_NAMESPACE, Access
from emco_common.errors import Conflict
from emco_common.operations import Subject
from emco_common.store.api import Document, Key
from emco_dcm.clouds import ClusterReference
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
from emco_dcm.schemas import ADMIN, CUSTOM

APP = "logical-cloud"


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


def level_1_context(
    context: str, cloud: Key, facts: CloudFacts, access: Sequence[Access], requests: Requests, status_context: str
) -> AppContext:
    """Every object on every cluster; they are brought with the access of registration."""
    meta = Meta(
        project=cloud["project"],
        logical_cloud=facts.name,
        namespace=ADMIN_NAMESPACE,
        level=ADMIN,
        logical_cloud_namespace=facts.namespace,
        logical_cloud_level=CUSTOM,
    )
    app = App(APP, tuple(_cluster(facts, one, requests) for one in access))
    return AppContext(context, (app,), meta, status_context, AppDependencyForm.WRAPPED)


@dataclass(frozen=True, slots=True)
class Requests:
    """The signing request of each cluster: the ``present`` one, else a first one."""

    facts: CloudFacts
    present: Mapping[str, Resource]
    fresh: SigningRequest

    def of(self, cluster: str) -> Resource:
        known = self.present.get(cluster)
        if known is not None:
            return known
        return signing_request_resource(request_name(self.facts.name, self.facts.namespace), self.fresh)


def _cluster(facts: CloudFacts, access: Access, requests: Requests) -> Cluster:
    name, gitops = f"{access.provider}+{access.cluster}", gitops_type(access)
    request = None if gitops else requests.of(name)
    return Cluster(name, resources=cluster_resources(facts, gitops=gitops, request=request))


def gitops_type(access: Access) -> str:
    """Empty for a cluster that is reached directly."""
    found = access.gitops.get("gitOpsType", "")
    if found and found not in GITOPS_TYPES:
        raise Conflict(f"GitOps Type not supported: {found}")
    return found


def next_request(facts: CloudFacts, cluster: Cluster, request: SigningRequest) -> Resource:
    """Another request than the one that the cluster has; the name of an old one cannot be used again."""
    present = request_of(cluster)
    first = request_name(facts.name, facts.namespace)
    rest = object_name(present).removeprefix(first).lstrip("-") if present else "0"
    number = int(rest) + 1 if rest.isdecimal() else 2
    return signing_request_resource(request_name(facts.name, facts.namespace, number=number), request)


def with_request(cluster: Cluster, request: Resource) -> Cluster:
    present = request_of(cluster)
    return replace(cluster, resources=tuple(request if one is present else one for one in cluster.resources))


def facts_of(
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


def shared_namespace(access: Sequence[Access]) -> str:
    namespaces = {one.namespace for one in access}
    if len(namespaces) > 1:
        raise Conflict("The clusters associated to this L0 logical cloud don't all share the same namespace name")
    return namespaces.pop()
