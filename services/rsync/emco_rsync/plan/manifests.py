"""From the text of a resource in a context to the objects a cluster is sent: pure.

Objects get the deployment label, and what only a server may write is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from emco_common.kube import Kind
from emco_common.kubeyaml import BadYaml, load_all

Json = dict[str, Any]

DEPLOYMENT_LABEL = "emco/deployment-id"
"""Its value is ``<status context>-<app>`` (rsync 12)."""

_POD_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("", "ReplicationController"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


def deployment_of(obj: Json) -> str:
    """The label of a live object; ``""`` for one that was brought by others."""
    return str(((obj.get("metadata") or {}).get("labels") or {}).get(DEPLOYMENT_LABEL) or "")


class BadManifest(ValueError):
    """The stored text is no Kubernetes object; the message says what is wrong with it, without quoting it."""


def parse(text: str) -> tuple[Json, ...]:
    """The objects of a manifest: one, or the items of a ``List``. ``BadManifest`` if it is not at least one."""
    try:
        documents = load_all(text)
    except BadYaml as error:
        raise BadManifest(f"the manifest {error}") from error
    objects = [obj for document in documents for obj in _expand(document)]
    if not objects:
        raise BadManifest("the manifest holds no object")
    return tuple(objects)


def prepare(obj: Mapping[str, Any], *, label: str) -> Json:
    """The object to send: labelled with the deployment (known kinds: their pods too), without server-owned fields."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVER_FIELDS}
    prepared: Json = {**obj, "metadata": _labelled(metadata, label)}  # what is not changed is shared
    kind = kind_of(obj)
    path = _POD_TEMPLATES.get((kind.group, kind.kind))
    template = _own(prepared, path) if path is not None else None
    if template is not None:
        own = template.get("metadata")
        template["metadata"] = _labelled(own if isinstance(own, dict) else {}, label)
    if kind == Kind("v1", "Secret"):
        _merge_string_data(prepared)
    return prepared


def kind_of(obj: Mapping[str, Any]) -> Kind:
    return Kind(obj["apiVersion"], obj["kind"])


def _expand(document: object) -> list[Json]:
    if not isinstance(document, dict):
        raise BadManifest("the manifest is not a mapping")
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        return [obj for item in items for obj in _expand(item)]
    metadata = document.get("metadata")
    for field, value in (("apiVersion", document.get("apiVersion")), ("kind", document.get("kind"))):
        if not isinstance(value, str) or not value:
            raise BadManifest(f"{field} is missing or not a string")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise BadManifest("metadata.name is missing or not a string")
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        raise BadManifest("metadata.namespace is not a string")
    return [document]


def _own(prepared: Json, path: Iterable[str]) -> Json | None:
    """What lies at the path, copied with all that leads there; ``None`` if there is no object."""
    for step in path:
        inner = prepared.get(step)
        if not isinstance(inner, dict):
            return None
        copied = {**inner}
        prepared[step] = copied
        prepared = copied
    return prepared


def _labelled(metadata: Json, label: str) -> Json:
    labels = metadata.get("labels")
    return {**metadata, "labels": {**(labels if isinstance(labels, dict) else {}), DEPLOYMENT_LABEL: label}}


def _merge_string_data(secret: Json) -> None:
    """Server-side apply never prunes ``stringData``, so it is written as the data that the server would make of it."""
    plain = secret.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        data = secret.get("data")
        secret["data"] = {**(data if isinstance(data, dict) else {}), **encoded}
