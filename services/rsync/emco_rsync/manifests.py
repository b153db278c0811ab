"""From the text of a resource in a context to the objects a cluster is sent: pure.

Scalars mean what Kubernetes takes them for (its YAML is 1.1 without dates and base-60 numbers), objects get the
deployment label, and what only a server may write is left out.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Mapping
from typing import Any

import yaml

from emco_common.kube import Kind

Json = dict[str, Any]

DEPLOYMENT_LABEL = "emco/deployment-id"
"""Its value is ``<status context>-<app>`` (rsync 12)."""
MAX_NODES = 200_000
MAX_DEPTH = 100

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


class BadManifest(ValueError):
    """The stored text is no Kubernetes object; the message says what is wrong with it, without quoting it."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    own: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    replaced = [f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "int", "float")]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items():
        own[first] = [(tag, pattern) for tag, pattern in entries if tag not in replaced]
    return own


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9][0-9_]*)?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
            |[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+
            |[-+]?[0-9][0-9_]*\.
            |[-+]?\.(?:inf|Inf|INF)
            |\.(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)


def _number(loader: Any, node: Any) -> int | float:
    """Go writes a whole float as an integer, and the API server insists on that: ``1e+06`` is 1000000."""
    value: float = loader.construct_yaml_float(node)
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def parse(text: str) -> tuple[Json, ...]:
    """The objects of a manifest: one, or the items of a ``List``. ``BadManifest`` if it is not at least one."""
    try:
        _check_size(text)
        documents = [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise BadManifest(_where(error)) from None
    objects = [obj for document in documents for obj in _expand(document)]
    if not objects:
        raise BadManifest("the manifest holds no object")
    return tuple(objects)


def prepare(obj: Mapping[str, Any], *, label: str) -> Json:
    """The object to send: labelled with the deployment (known kinds: their pods too), without server-owned fields."""
    prepared: Json = copy.deepcopy(dict(obj))
    metadata = prepared["metadata"]
    for name in _SERVER_FIELDS:
        metadata.pop(name, None)
    _set_label(metadata, label)
    template: Any = prepared
    for step in _POD_TEMPLATES.get((kind_of(obj).group, kind_of(obj).kind), ()):
        template = template.get(step) if isinstance(template, dict) else None
    if template is not prepared and isinstance(template, dict):
        if not isinstance(template.get("metadata"), dict):
            template["metadata"] = {}
        _set_label(template["metadata"], label)
    if kind_of(obj) == Kind("v1", "Secret"):
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


def _set_label(metadata: Json, label: str) -> None:
    labels = metadata.get("labels")
    metadata["labels"] = {**(labels if isinstance(labels, dict) else {}), DEPLOYMENT_LABEL: label}


def _merge_string_data(secret: Json) -> None:
    """Server-side apply never prunes ``stringData``, so it is written as the data that the server would make of it."""
    plain = secret.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        data = secret.get("data")
        secret["data"] = {**(data if isinstance(data, dict) else {}), **encoded}


def _check_size(text: str) -> None:
    """Refuse what aliases could blow up; the depth and number of nodes otherwise follow from the text's own size."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        nodes += 1
        if isinstance(event, yaml.AliasEvent):
            nodes += MAX_NODES // 100
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadManifest(f"the manifest is nested deeper than {MAX_DEPTH} levels")
        if nodes > MAX_NODES:
            raise BadManifest("the manifest is too large, or uses too many aliases")


def _where(error: Exception) -> str:
    if isinstance(error, BadManifest):
        return str(error)
    mark = getattr(error, "problem_mark", None)
    return f"not valid YAML in line {mark.line + 1}" if mark else "not valid YAML"
