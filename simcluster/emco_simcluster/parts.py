"""Which parts of an object a write may touch, and which the server keeps for itself. Pure."""

from __future__ import annotations

from typing import Any

from emco_simcluster.kinds import Kind

Json = dict[str, Any]

_GENERATION = frozenset(
    [
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Pod",
        "CustomResourceDefinition",
        "ReplicationController",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]
)
IN_USE = "kubernetes.io/pvc-protection"
"""The finalizer that keeps a volume claim while a pod uses it."""

SERVER_METADATA = (
    *("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace"),
    "selfLink",
)


def has_generation(kind: Kind) -> bool:
    return kind.custom or kind.kind in _GENERATION


def not_written(kind: Kind, subresource: str) -> tuple[str, ...]:
    """Members of the object that the main resource does not write."""
    return ("status",) if "status" in kind.subresources and not subresource else ()


def keep_server_metadata(new: Json, live: Json) -> Json:
    metadata = {k: v for k, v in new["metadata"].items() if k not in SERVER_METADATA}
    metadata |= {k: live["metadata"][k] for k in SERVER_METADATA if k in live["metadata"]}
    return {**new, "metadata": metadata}


def writable_part(kind: Kind, live: Json, new: Json, subresource: str) -> Json:
    """What this door may write: all but the status, or nothing but the status."""
    if subresource == "approval":
        conditions = [dict(c) for c in (new.get("status") or {}).get("conditions") or ()]
        status = {**(live.get("status") or {}), "conditions": conditions}
        return {**live, "status": status}
    if subresource in ("status", "finalize"):
        part = "status" if subresource == "status" else "spec"
        kept = {k: v for k, v in live.items() if k != part}
        return {**kept, part: new[part]} if part in new else kept
    if "status" in kind.subresources:
        kept = {k: v for k, v in new.items() if k != "status"}
        return {**kept, "status": live["status"]} if "status" in live else kept
    return new


def desired(kind: Kind, obj: Json) -> Json:
    """What counts for the generation."""
    hidden = {"metadata", "apiVersion", "kind"}
    if not kind.custom or "status" in kind.subresources:
        hidden.add("status")
    return {k: v for k, v in obj.items() if k not in hidden}


def label_job(job: Json) -> None:
    """A server labels a Job's pods with its uid and selects them by it."""
    uid, name = job["metadata"].get("uid"), job["metadata"].get("name")
    spec = job["spec"]
    if spec.get("manualSelector") or "selector" in spec:
        return
    spec.setdefault("manualSelector", False)
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    labels |= {"controller-uid": uid, "job-name": name}
    template = spec["template"]["metadata"]
    template["labels"] = {**(template.get("labels") or {}), **labels}
    job["metadata"]["labels"] = {**template["labels"], **(job["metadata"].get("labels") or {})}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
