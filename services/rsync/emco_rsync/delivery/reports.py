"""What a monitor reports of an app, as the objects that are on its cluster (monitor 1, 5): no I/O, and nothing in it is
believed to be of good will.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from emco_common.kube import Kind, WatchEvent
from emco_common.kubeyaml import BadYaml, load_mapping
from emco_rsync.delivery.layout import address_of, label_of_report
from emco_rsync.plan.manifests import deployment_of

Json = dict[str, Any]
Objects = list[Json]
ByKind = Mapping[Kind, Objects]
_log = structlog.get_logger()

MAX_OBJECTS = 5_000
"""Of one app."""
_TYPED = {
    "podStatuses": ("v1", "Pod"),
    "serviceStatuses": ("v1", "Service"),
    "configMapStatuses": ("v1", "ConfigMap"),
    "deploymentStatuses": ("apps/v1", "Deployment"),
    "daemonSetStatuses": ("apps/v1", "DaemonSet"),
    "statefulSetStatuses": ("apps/v1", "StatefulSet"),
    "jobStatuses": ("batch/v1", "Job"),
    "csrStatuses": ("certificates.k8s.io/v1", "CertificateSigningRequest"),
}


class BadReport(ValueError):
    """The file is no report; the message says why, without quoting it."""


def bundle_of(content: bytes) -> Mapping[str, Any]:
    """The ResourceBundleState in a file, JSON or YAML."""
    try:
        found = json.loads(content)
    except RecursionError:
        raise BadReport("it is nested too deeply") from None
    except ValueError:
        try:
            found = load_mapping(content)
        except BadYaml as error:
            raise BadReport(f"it {error}") from None
    if not isinstance(found, Mapping) or not isinstance(found.get("status"), Mapping):
        raise BadReport("it is no ResourceBundleState with a status")
    return found


def objects_of(bundle: Mapping[str, Any], *, label: str) -> list[Json]:
    """The objects of one deployment label; what claims to be another's is left out."""
    status = bundle["status"]
    found: list[Json] = []
    for obj in (*_typed(status), *_generic(status)):
        if len(found) >= MAX_OBJECTS:
            break
        if _is_object(obj) and deployment_of(obj) == label:
            found.append(obj)
    return found


def _typed(status: Mapping[str, Any]) -> Iterator[Json]:
    for field, (api_version, kind) in _TYPED.items():
        for entry in _entries(status, field):
            yield {**entry, "apiVersion": api_version, "kind": kind}


def _generic(status: Mapping[str, Any]) -> Iterator[Json]:
    for entry in _entries(status, "resourceStatuses"):
        try:
            obj = json.loads(base64.b64decode(str(entry.get("res")), validate=True))
        except (ValueError, binascii.Error, RecursionError):
            continue
        if isinstance(obj, dict):
            yield obj


def _entries(status: Mapping[str, Any], field: str) -> Iterator[Json]:
    listed = status.get(field)
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield entry


def _is_object(obj: Json) -> bool:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("labels"), dict):
        return False
    named = (obj.get("apiVersion"), obj.get("kind"), metadata.get("name"), metadata.get("namespace") or "")
    return all(isinstance(text, str) for text in named)


def of_kind(objects: ByKind, kind: Kind) -> Objects:
    """In whatever version it is reported."""
    return [
        obj for known, found in objects.items() if (known.group, known.kind) == (kind.group, kind.kind) for obj in found
    ]


def changes(before: Objects, now: Objects) -> Iterator[WatchEvent]:
    """From one report to the next."""
    known = {address_of(obj): obj for obj in before}
    for obj in now:
        former = known.pop(address_of(obj), None)
        if former is None:
            yield WatchEvent("ADDED", obj)
        elif former != obj:
            yield WatchEvent("MODIFIED", obj)
    for obj in known.values():
        yield WatchEvent("DELETED", obj)


def parsed(cluster: str, files: Mapping[str, bytes]) -> ByKind:
    """What the files below a cluster's directory of reports tell, as far as they can be understood."""
    found: dict[Kind, Objects] = {}
    for path, content in sorted(files.items()):
        label = label_of_report(path)
        if not label:
            continue
        try:
            objects = objects_of(bundle_of(content), label=label)
        except BadReport as error:
            _log.warning("report_not_understood", cluster=cluster, deployment=label, why=str(error))
            continue
        for obj in objects:
            found.setdefault(Kind(obj["apiVersion"], obj["kind"]), []).append(obj)
    return found
