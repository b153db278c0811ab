"""The scale subresource: the replicas of an object, seen as ``autoscaling/v1 Scale``. Pure."""

from __future__ import annotations

from typing import Any

from emco_simcluster import errors
from emco_simcluster.kinds import Kind

Json = dict[str, Any]


def _steps(path: str) -> list[str]:
    return [p for p in path.split(".") if p]


def _at(obj: Json, path: str) -> Any:
    value: Any = obj
    for step in _steps(path):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def scale_of(kind: Kind, obj: Json) -> Json:
    """How many replicas the object wants and has."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = _at(obj, kind.scale.get("labelSelectorPath", "")) if kind.custom else None
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    text = selector if isinstance(selector, str) else ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    status = {"replicas": _at(obj, kind.scale["statusReplicasPath"]) or 0}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: metadata[k] for k in kept if k in metadata},
        "spec": {"replicas": _at(obj, kind.scale["specReplicasPath"]) or 0},
        "status": {**status, "selector": text} if text else status,
    }


def with_scale(kind: Kind, obj: Json, scale: Any) -> Json:
    """The object with the replicas a Scale asks for. Raises 422 for a number that is none."""
    replicas = (scale.get("spec") or {}).get("replicas", 0) if isinstance(scale, dict) else None
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        cause = errors.Cause.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid(kind, obj["metadata"]["name"], [cause])
    revision = (scale.get("metadata") or {}).get("resourceVersion")
    result = {**obj, "apiVersion": kind.api_version, "metadata": {**obj["metadata"]}}
    if revision:
        result["metadata"]["resourceVersion"] = revision
    holder = result
    *path, last = _steps(kind.scale["specReplicasPath"])
    for step in path:
        holder[step] = dict(holder.get(step) or {})
        holder = holder[step]
    holder[last] = replicas
    return result
