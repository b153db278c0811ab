"""Live objects of one app on one cluster as the ``status`` of a ResourceBundleState, the form every reader knows: pure.

No agent runs on the cluster; the resource synchronizer's own watch sees the objects, and writes what the agent would
have reported (monitor 1 and 3, orchestrator-lifecycle 12.4 "Monitor data").
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from emco_common.status.readiness import readiness

Json = dict[str, Any]
Order = tuple[str, str, str, str]
"""Kind, apiVersion, namespace, name: as objects are sorted, so that the same ones are always the same text."""

MAX_BYTES = 900_000
"""Of one app on one cluster. The bus takes values of up to 1.5 MB, and the text is escaped once more in it."""

MAX_ENTRY_BYTES = 200_000
"""Of one object."""
_MAX_NAME = 253

_GENERIC, _RES, _RES_END = b'{"group":', b'"res":"', b'"}'
"""How entries of kinds without a list of their own begin, and how they end."""
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


def entry_of(obj: Mapping[str, Any]) -> bytes:
    """What is reported of one trimmed object: compact JSON, of one of the lists of the status.

    Of an object that no honest cluster has, too large or too deep, there is only the most important.
    """
    for reduce in (_whole, _bare):
        with suppress(RecursionError):
            entry = _dump(_entry(reduce(obj))).encode()
            if len(entry) <= MAX_ENTRY_BYTES:
                return entry
    metadata = {k: str(obj["metadata"].get(k) or "")[:_MAX_NAME] for k in ("name", "namespace")}
    return _dump(_entry({**{k: obj.get(k) for k in ("apiVersion", "kind")}, "metadata": metadata})).encode()


def folded(entry: bytes) -> bytes:
    """A shorter form of an entry to be kept, which packs better: an object in it is no base64."""
    head, found, res = entry.rpartition(_RES)
    if not found or not entry.startswith(_GENERIC):
        return entry
    return b"\0".join((b"", head, base64.b64decode(res.removesuffix(_RES_END))))


def unfolded(text: bytes) -> bytes:
    """The entry that ``folded`` was given."""
    if not text.startswith(b"\0"):
        return text
    head, raw = text[1:].split(b"\0", 1)
    return b"".join((head, _RES, base64.b64encode(raw), _RES_END))


def encode(objects: Iterable[Mapping[str, Any]], *, limit: int = MAX_BYTES) -> str:
    """Compact JSON of the status of trimmed objects, at most ``limit`` bytes; always the same for the same objects."""
    return assemble(((_order(obj), entry_of(obj)) for obj in objects), limit=limit)


def assemble(entries: Iterable[tuple[Order, bytes]], *, limit: int = MAX_BYTES) -> str:
    """As ``encode``, of what was encoded before: kind, apiVersion, namespace and name of each, and its entry.

    Where it would be longer, first specifications are left out, then pods that are ready, then what remains too much.
    """
    ordered = sorted(entries)
    text = _joined(ordered)
    if len(text) <= limit:
        return text
    objects = [_decoded(entry) for _, entry in ordered]
    text = _document(objects, _without_spec)
    if len(text) <= limit:
        return text
    unhealthy = [obj for obj in objects if obj.get("kind") != "Pod" or not readiness(obj).ok]
    while True:
        text = _document(unhealthy, _bare)
        if len(text) <= limit or not unhealthy:
            return text
        unhealthy = unhealthy[: len(unhealthy) * limit // (len(text) + 1)]


def _document(objects: Iterable[Mapping[str, Any]], reduce: Callable[[Mapping[str, Any]], Json]) -> str:
    return _joined((_order(obj), entry_of(reduce(obj))) for obj in objects)


def _joined(ordered: Iterable[tuple[Order, bytes]]) -> str:
    lists: dict[str, list[bytes]] = {}
    for (kind, api_version, _, _), entry in ordered:
        lists.setdefault(_TYPED.get((api_version, kind)) or "resourceStatuses", []).append(entry)
    parts = "".join(f',"{name}":[{b",".join(found).decode()}]' for name, found in lists.items())
    return f'{{"ready":false,"resourceCount":0{parts}}}'


def _decoded(entry: bytes) -> Json:
    obj: Json = json.loads(entry)
    whole: Json = json.loads(base64.b64decode(obj["res"])) if "res" in obj else obj
    return whole


def _field_of(obj: Mapping[str, Any]) -> str | None:
    return _TYPED.get((str(obj.get("apiVersion")), str(obj.get("kind"))))


def _entry(obj: Mapping[str, Any]) -> Json:
    return _typed(obj) if _field_of(obj) else _generic(obj)


def _whole(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return obj


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


def _order(obj: Mapping[str, Any]) -> Order:
    metadata = obj["metadata"]
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name"))
    return str(obj.get("kind")), str(obj.get("apiVersion")), namespace, name


def _dump(value: object) -> str:
    try:
        text = orjson.dumps(value).decode()  # most objects, and thirty times as quick
    except orjson.JSONEncodeError:
        text = ""
    return text if text and text.isascii() else json.dumps(value, separators=(",", ":"), ensure_ascii=True)
