"""What a cluster reports of one app: live objects out of the text kept in the context (spec lifecycle 12.4, monitor 1).

Pure and tolerant: whatever is not as it should be is passed over, since it comes from a cluster.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from emco_common.status.manifests import without_secrets
from emco_common.status.model import GroupVersionKind
from emco_common.status.readiness import Ready, job_of, readiness

_TYPED: Mapping[str, GroupVersionKind] = {
    "podStatuses": GroupVersionKind("", "v1", "Pod"),
    "serviceStatuses": GroupVersionKind("", "v1", "Service"),
    "deploymentStatuses": GroupVersionKind("apps", "v1", "Deployment"),
    "configMapStatuses": GroupVersionKind("", "v1", "ConfigMap"),
    "daemonSetStatuses": GroupVersionKind("apps", "v1", "DaemonSet"),
    "jobStatuses": GroupVersionKind("batch", "v1", "Job"),
    "statefulSetStatuses": GroupVersionKind("apps", "v1", "StatefulSet"),
    "csrStatuses": GroupVersionKind("certificates.k8s.io", "v1", "CertificateSigningRequest"),
}
"""The lists that hold whole objects, in the order in which they are reported."""

TRACKED = frozenset((gvk.group, gvk.kind) for gvk in _TYPED.values())
"""Kinds of which a cluster is expected to report every object; one that it does not report is not present."""


@dataclass(frozen=True, slots=True)
class Live:
    gvk: GroupVersionKind
    name: str
    ready: Ready
    content: Mapping[str, Any]


def live_objects(text: str | None) -> list[Live]:
    """Every reported object with its verdict, in order."""
    found = list(_objects(_parsed(text)))
    verdicts = [readiness(content) for _, content in found]
    done = {
        _name(content)
        for (gvk, content), verdict in zip(found, verdicts, strict=True)
        if gvk.kind == "Job" and verdict.ok
    }
    return [
        # A job that is done has outlived the failures of its pods.
        Live(gvk, _name(content), Ready(True) if job_of(content) in done else verdict, without_secrets(content))
        for (gvk, content), verdict in zip(found, verdicts, strict=True)
    ]


def _parsed(text: str | None) -> Mapping[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _objects(document: Mapping[str, Any]) -> Iterator[tuple[GroupVersionKind, Mapping[str, Any]]]:
    for field, gvk in _TYPED.items():
        api_version = f"{gvk.group}/{gvk.version}" if gvk.group else gvk.version
        for content in _mappings(document, field):
            yield gvk, {"apiVersion": api_version, "kind": gvk.kind, **content}
    for entry in _mappings(document, "resourceStatuses"):
        texts = [entry.get(field) for field in ("group", "version", "kind", "name")]
        group, version, kind, name = (text if isinstance(text, str) else "" for text in texts)
        content = {"metadata": {"name": name, "namespace": entry.get("namespace", "")}, **_content(entry.get("res"))}
        yield GroupVersionKind(group, version, kind), content


def _content(encoded: object) -> Mapping[str, Any]:
    try:
        content = json.loads(base64.b64decode(encoded)) if isinstance(encoded, str) else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _mappings(document: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
    items = document.get(field)
    return (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))


def _name(content: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""
