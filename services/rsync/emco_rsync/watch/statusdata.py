"""Live objects of one app on one cluster as the ``status`` of a ResourceBundleState, the form every reader knows: pure.

No agent runs on the cluster; the resource synchronizer's own watch sees the objects, and writes what the agent would
have reported (monitor 1 and 3, orchestrator-lifecycle 12.4 "Monitor data").
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emco_common.status.readiness import readiness

Json = dict[str, Any]

MAX_BYTES = 900_000
"""Of one app on one cluster. The bus takes values of up to 1.5 MB, and the text is escaped once more in it."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_METADATA = ("name", "namespace", "labels", "annotations", "finalizers")
_TYPED: Mapping[tuple[str, str], str] = {
    ("v1", "Pod"): "podStatuses",
    ("v1", "Service"): "serviceStatuses",
    ("v1", "ConfigMap"): "configMapStatuses",
    ("apps/v1", "Deployment"): "deploymentStatuses",
    ("apps/v1", "DaemonSet"): "daemonSetStatuses",
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): "csrStatuses",
    ("batch/v1", "Job"): "jobStatuses",
    ("apps/v1", "StatefulSet"): "statefulSetStatuses",
}


def trim(obj: Mapping[str, Any]) -> Json:
    """What is kept of a live object: no bookkeeping of the server, no content of ConfigMaps, nothing of Secrets."""
    metadata = obj.get("metadata")
    kept = {k: v for k, v in (metadata if isinstance(metadata, dict) else {}).items() if k != "managedFields"}
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and _LAST_APPLIED in annotations:
        kept["annotations"] = {**annotations, _LAST_APPLIED: ""}
    hidden = ("data", "binaryData", "stringData") if obj.get("kind") in ("ConfigMap", "Secret") else ()
    return {**{k: v for k, v in obj.items() if k not in hidden}, "metadata": kept}


def encode(objects: Iterable[Mapping[str, Any]], *, limit: int = MAX_BYTES) -> str:
    """Compact JSON of the status of trimmed objects, at most ``limit`` bytes; always the same for the same objects.

    Where it would be longer, first specifications are left out, then pods that are ready, then what remains too much.
    """
    ordered = sorted(objects, key=_order)
    for reduce in (_whole, _without_spec):
        text = _dump(_document(ordered, reduce))
        if len(text) <= limit:
            return text
    unhealthy = [obj for obj in ordered if obj.get("kind") != "Pod" or not readiness(obj).ok]
    while True:
        text = _dump(_document(unhealthy, _bare))
        if len(text) <= limit or not unhealthy:
            return text
        unhealthy = unhealthy[: len(unhealthy) * limit // (len(text) + 1)]


def _document(objects: Iterable[Mapping[str, Any]], reduce: Callable[[Mapping[str, Any]], Json]) -> Json:
    document: Json = {"ready": False, "resourceCount": 0}
    for obj in objects:
        field = _TYPED.get((str(obj.get("apiVersion")), str(obj.get("kind"))))
        entry = _typed(reduce(obj)) if field else _generic(reduce(obj))
        document.setdefault(field or "resourceStatuses", []).append(entry)
    return document


def _typed(obj: Mapping[str, Any]) -> Json:
    metadata = {k: obj["metadata"][k] for k in _METADATA if k in obj["metadata"]}
    return {**{k: obj[k] for k in ("apiVersion", "kind", "spec", "status") if k in obj}, "metadata": metadata}


def _generic(obj: Mapping[str, Any]) -> Json:
    group, _, version = str(obj.get("apiVersion")).rpartition("/")
    metadata = obj["metadata"]
    entry = {"group": group, "version": version, "kind": str(obj.get("kind")), "name": str(metadata.get("name"))}
    if metadata.get("namespace"):
        entry["namespace"] = str(metadata["namespace"])
    return {**entry, "res": base64.b64encode(_dump(obj).encode()).decode()}


def _whole(obj: Mapping[str, Any]) -> Json:
    return dict(obj)


def _without_spec(obj: Mapping[str, Any]) -> Json:
    """Health of a workload is judged from a few fields of its specification, which stay."""
    spec = obj.get("spec")
    whole = spec if isinstance(spec, dict) else {}
    small = _scalars(whole) | {k: whole[k] for k in ("strategy", "updateStrategy") if k in whole}
    kept = {k: obj[k] for k in ("apiVersion", "kind", "metadata", "status") if k in obj}
    return {**kept, "spec": small}


def _bare(obj: Mapping[str, Any]) -> Json:
    metadata = obj["metadata"]
    kept = {k: metadata[k] for k in ("name", "namespace", "labels") if k in metadata}
    status = obj.get("status")
    small = _scalars(status if isinstance(status, dict) else {})
    return {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": kept, "status": small}


def _scalars(fields: Mapping[str, Any]) -> Json:
    return {k: v for k, v in fields.items() if isinstance(v, (int, str)) and len(str(v)) < 200}


def _order(obj: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = obj["metadata"]
    parts = (obj.get("kind"), obj.get("apiVersion"), metadata.get("namespace") or "", metadata.get("name"))
    return tuple(str(part) for part in parts)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
