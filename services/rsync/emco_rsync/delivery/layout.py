"""Where what belongs to a cluster is in a repository, in the three layouts (rsync 14): pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emco_common.kube import Kind, Ref
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL, deployment_of

Json = dict[str, Any]

FLUX = "fluxcd"
AZURE = "azureArcV2"
ANTHOS = "anthos"
TYPES = (FLUX, AZURE, ANTHOS)
ADMIN_LEVEL = "0"
BUNDLE = Kind("k8splugin.io/v1alpha1", "ResourceBundleState")
CRD_KIND = "CustomResourceDefinition"

_CLUSTER_SCOPED = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("", "ComponentStatus"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("cert-manager.io", "ClusterIssuer"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IngressClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("policy", "PodSecurityPolicy"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("resource.k8s.io", "DeviceClass"),
    }
)
"""By group and kind. Nobody can be asked, as there is no API server to ask."""


def is_namespaced(kind: Kind) -> bool:
    """Kinds that nobody knows count as namespaced (rsync D15)."""
    return (kind.group, kind.kind) not in _CLUSTER_SCOPED


@dataclass(frozen=True, slots=True)
class Consignment:
    """What one app of a deployment brings: ``context`` is the status context, the same for all its revisions, so that
    each deployment has one directory for its whole life (D9). ``cloud`` is the logical cloud whose own context this is.
    """

    context: str
    app: str
    label: str
    level: str = ADMIN_LEVEL
    namespace: str = "default"
    cloud: str = ""
    cloud_namespace: str = ""
    cloud_level: str = ""

    @property
    def is_cloud(self) -> bool:
        """Is it the objects of a logical cloud themselves?"""
        return self.level == ADMIN_LEVEL and bool(self.cloud_namespace)


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one cluster in one flavour."""

    flavour: str
    cluster: str

    def deployment(self, of: Consignment) -> str:
        """The directory of a deployment, with ``/`` at its end."""
        if self.flavour == ANTHOS and of.level != ADMIN_LEVEL:
            return f"namespaces/{of.namespace}/{self.cluster}/context/{of.context}/"
        return f"clusters/{self.cluster}/context/{of.context}/"

    def app(self, of: Consignment) -> str:
        return f"{self.deployment(of)}app/{of.app}/"

    def file(self, of: Consignment, resource: str) -> str:
        return f"{self.app(of)}{resource}.yaml"

    def bundle(self, of: Consignment) -> str:
        """The file that asks the monitor to report on the app."""
        return f"{self.app(of)}{of.label}.yaml"

    def subject(self, of: Consignment) -> str:
        """The commit message of what concerns one app on one cluster (14.1)."""
        return f"Commit for {self.app(of)}"

    def namespace_of(self, ref: Ref, of: Consignment) -> str:
        """Where it goes; ``""`` for kinds without namespace. What Anthos syncs for one namespace goes to no other."""
        if not is_namespaced(ref.kind):
            return ""
        if self.flavour == ANTHOS and of.level != ADMIN_LEVEL:
            return of.namespace
        return ref.namespace or of.namespace

    def written(self, obj: Mapping[str, Any], ref: Ref, of: Consignment) -> Json:
        """The object as it is in its file. Definitions stay when their deployment goes, others may use them (D6), and
        so does what is not labelled as ours, since it was there before."""
        metadata = {name: value for name, value in obj["metadata"].items() if name != "namespace"}
        namespace = self.namespace_of(ref, of)
        if namespace:
            metadata["namespace"] = namespace
        if ref.kind.kind == CRD_KIND or not deployment_of({"metadata": metadata}):
            annotations = metadata.get("annotations")
            metadata["annotations"] = {**(annotations if isinstance(annotations, dict) else {}), **self._keep()}
        return {**obj, "metadata": metadata}

    def _keep(self) -> dict[str, str]:
        if self.flavour == ANTHOS:
            return {"client.lifecycle.config.k8s.io/deletion": "detach"}
        return {"kustomize.toolkit.fluxcd.io/prune": "disabled"}


def bundle_state(of: Consignment, *, with_status: bool) -> Json:
    """The object by which the monitor knows that it is to report on an app (13.1); Anthos takes none with a status."""
    labels = {DEPLOYMENT_LABEL: of.label}
    found: Json = {
        "apiVersion": BUNDLE.api_version,
        "kind": BUNDLE.kind,
        "metadata": {"name": of.label, "namespace": of.namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}},
    }
    return {**found, "status": {"ready": False, "resourceCount": 0}} if with_status else found


def text_of(obj: Mapping[str, Any]) -> bytes:
    """JSON, which is YAML too; always the same for the same object."""
    return json.dumps(obj, indent=2, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def object_of(content: bytes) -> Json | None:
    """What a file holds; ``None`` if it is not one that we wrote."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("metadata"), dict) else None


def address_of(obj: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Group, kind, namespace, name."""
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    metadata = obj["metadata"]
    return group, str(obj.get("kind") or ""), str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def status_directory(cluster: str) -> str:
    """On the status branch (14.1)."""
    return f"clusters/{cluster}/status"


_REPORT = re.compile(r"(?P<context>[^/]+)/app/(?P<app>[^/]+)/(?P<label>[^/]+)")


def label_of_report(path: str) -> str:
    """The deployment label that a file below the status directory is about; ``""`` if it is none."""
    found = _REPORT.fullmatch(path)
    return found["label"] if found and found["label"] == f"{found['context']}-{found['app']}" else ""


def status_branches(cluster: str, heads: Mapping[str, str], *, per_app: bool) -> dict[str, str]:
    """Where a cluster's reports are: on a branch of its own, or on one for each app (14.6)."""
    if not per_app:
        return {cluster: heads[cluster]} if cluster in heads else {}
    named = re.compile(re.escape(cluster) + r"-[0-9]+-.+")
    return {branch: commit for branch, commit in heads.items() if named.fullmatch(branch)}


def go_duration(seconds: float) -> str:
    """As Go writes it: ``1m0s``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{text}{whole % 60}s"
