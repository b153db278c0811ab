"""What a level-1 cloud is on a cluster: namespace, signing request, quotas, roles and bindings (spec dcm 6). Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emco_common import kubeyaml
from emco_common.appcontext import Approval, Resource

Json = dict[str, Any]
CSR_KIND = "CertificateSigningRequest"
SIGNER = "kubernetes.io/kube-apiserver-client"
ANTHOS = "anthos"
AGENT = "agent"
GITOPS_TYPES = ("fluxcd", "azureArcV2", ANTHOS, AGENT)


@dataclass(frozen=True, slots=True)
class Permission:
    """``namespace`` is empty for the whole cluster; ``index`` goes into the names of its role and binding."""

    namespace: str
    api_groups: Sequence[str]
    resources: Sequence[str]
    verbs: Sequence[str]
    index: int


@dataclass(frozen=True, slots=True)
class Quota:
    name: str
    hard: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """A level-1 cloud as its intents describe it."""

    name: str
    namespace: str
    user: str
    labels: Mapping[str, str] = field(default_factory=dict)
    permissions: Sequence[Permission] = ()
    quotas: Sequence[Quota] = ()


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """How the certificate is asked for. ``pem`` is PKCS#10; ``seconds`` of validity, 0 for the signer's own."""

    pem: bytes
    approval: Approval
    seconds: int = 0


def request_name(cloud: str, namespace: str, *, number: int = 1) -> str:
    """The object name of the ``number``-th request of a cloud on a cluster; renewals cannot reuse a name."""
    name = f"{cloud}-{namespace}-user-csr"
    return name if number == 1 else f"{name}-{number}"


def signing_request_resource(name: str, request: SigningRequest) -> Resource:
    """The request object, and the approval that rides with it (6.1)."""
    spec: Json = {
        "request": base64.b64encode(request.pem).decode(),
        "usages": ["digital signature", "key encipherment", "client auth"],
        "signerName": SIGNER,
    }
    if request.seconds:
        spec["expirationSeconds"] = request.seconds
    manifest = _manifest("certificates.k8s.io/v1", CSR_KIND, {"name": name}, spec=spec)
    return Resource(f"{name}+{CSR_KIND}", manifest, approval=request.approval)


def cluster_resources(cloud: CloudFacts, *, gitops: str, request: Resource | None) -> tuple[Resource, ...]:
    """Everything on one cluster, in order. ``gitops`` is the type of a GitOps cluster, which has no ``request``."""
    return (
        _named("v1", "Namespace", cloud.namespace, labels=dict(cloud.labels)),
        *([request] if request else []),
        *_service_account(cloud, gitops),
        *(_quota(cloud, quota) for quota in cloud.quotas),
        *(_role(cloud, permission) for permission in cloud.permissions),
        *(_binding(cloud, permission, gitops) for permission in cloud.permissions),
    )


def _service_account(cloud: CloudFacts, gitops: str) -> Iterator[Resource]:
    if gitops in ("", ANTHOS, AGENT):
        return
    metadata = {"name": f"{cloud.namespace}-sa", "namespace": cloud.namespace, "labels": dict(cloud.labels)}
    # The name in the context is without the ending, as every reader expects it.
    yield Resource(f"{cloud.namespace}+ServiceAccount", _manifest("v1", "ServiceAccount", _without_empty(metadata)))


def _quota(cloud: CloudFacts, quota: Quota) -> Resource:
    spec = {"hard": dict(quota.hard)}
    return _named("v1", "ResourceQuota", quota.name, namespace=cloud.namespace, spec=spec)


def _role(cloud: CloudFacts, permission: Permission) -> Resource:
    kind, name = _role_of(cloud, permission)
    rule = {
        "apiGroups": list(permission.api_groups),
        "resources": list(permission.resources),
        "verbs": list(permission.verbs),
    }
    return _named(f"{_RBAC}/v1", kind, name, namespace=permission.namespace, rules=[rule])


def _binding(cloud: CloudFacts, permission: Permission, gitops: str) -> Resource:
    role_kind, role = _role_of(cloud, permission)
    kind = f"{role_kind}Binding"
    name = f"{cloud.name}-{kind[0].lower()}{kind[1:]}{permission.index}"
    return _named(
        f"{_RBAC}/v1",
        kind,
        name,
        namespace=permission.namespace,
        subjects=[{"kind": "User", "name": cloud.user, "apiGroup": _RBAC}, *_accounts(cloud, gitops)],
        roleRef={"kind": role_kind, "name": role, "apiGroup": _RBAC},
    )


_RBAC = "rbac.authorization.k8s.io"


def _role_of(cloud: CloudFacts, permission: Permission) -> tuple[str, str]:
    if permission.namespace:
        return "Role", f"{cloud.name}-role{permission.index}"
    return "ClusterRole", f"{cloud.name}-clusterRole{permission.index}"


def _accounts(cloud: CloudFacts, gitops: str) -> Iterator[Json]:
    """Who acts for the cloud on a GitOps cluster (defect 10). An agent acts as the cloud's user itself."""
    if gitops == ANTHOS:
        sync = f"repo-sync-{cloud.name}"
        name, namespace = f"ns-reconciler-{cloud.namespace}-{sync}-{len(sync)}", "config-management-system"
        yield {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    elif gitops not in ("", AGENT):
        yield {"kind": "ServiceAccount", "name": f"{cloud.namespace}-sa", "namespace": cloud.namespace}


def _named(api_version: str, kind: str, name: str, *, namespace: str = "", labels: Json = {}, **rest: Any) -> Resource:  # noqa: B006  # read only
    metadata = _without_empty({"name": name, "namespace": namespace, "labels": labels})
    return Resource(f"{name}+{kind}", _manifest(api_version, kind, metadata, **rest))


def _without_empty(metadata: Json) -> Json:
    return {name: value for name, value in metadata.items() if value}


def _manifest(api_version: str, kind: str, metadata: Json, **rest: Any) -> str:
    document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
    return kubeyaml.dump(document)
