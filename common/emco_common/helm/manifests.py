"""From the text that Helm rendered to the objects of an AppContext: split, named, ordered (lifecycle 5.6-5.10).

Pure. Knows nothing of how the text came to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from emco_common.helm.api import Manifest, RenderedApp, RenderError
from emco_common.helm.limits import RenderLimits
from emco_common.kubeyaml import BadYaml, compose

CRD = "CustomResourceDefinition"
HOOK_EVENTS = frozenset(
    f"{when}-{what}" for when in ("pre", "post") for what in ("install", "delete", "upgrade", "rollback")
) | {"test"}
_HOOK = "helm.sh/hook"
_WEIGHT = "helm.sh/hook-weight"
_SOURCE = "# Source: "

_INSTALL_ORDER = (
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    CRD,
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)
_RANK = {kind: rank for rank, kind in enumerate(_INSTALL_ORDER)}


@dataclass(frozen=True, slots=True)
class Document:
    """One rendered document. ``source`` as in Helm's comment: ``<chart>/templates/<file>`` or ``crds/<file>``."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """What a Helm engine gives: documents of ``crds/`` folders, and of templates in the order of file and position."""

    crds: Sequence[Document]
    templates: Sequence[Document]


@dataclass(frozen=True, slots=True)
class _Object:
    document: Document
    group: str
    kind: str
    name: str
    namespace: str
    annotations: Mapping[str, str]

    @property
    def rank(self) -> tuple[int, str]:
        rank = _RANK.get(self.kind)
        return (len(_RANK), self.kind) if rank is None else (rank, "")


def split(text: str) -> list[str]:
    """The documents of a file, cut where Helm cuts, without surrounding white space and without empty ones."""
    return [piece for part in f"\n{text}".split("\n---") if (piece := part.strip())]


def split_with_sources(output: str) -> list[Document]:
    """The documents of ``helm template``'s output. A document without the comment belongs to the file before it."""
    documents: list[Document] = []
    source = ""
    for piece in split(output):
        text = piece
        if piece.startswith(_SOURCE):
            comment, _, text = piece.partition("\n")
            source = comment.removeprefix(_SOURCE).strip()
        if text.strip():
            documents.append(Document(source=source, text=text.strip()))
    return documents


def arrange(chart: RenderedChart, *, limits: RenderLimits) -> RenderedApp:
    """The objects of a chart in install order, CRDs and hooks apart.

    Raises ``RenderError`` naming the template for a document that is no object, for two objects of one kind and name
    (one key of the AppContext), and for a limit passed.
    """
    count = len(chart.crds) + len(chart.templates)
    if count > limits.objects:
        raise RenderError(f"the chart renders {count} objects, more than the limit of {limits.objects}")
    templates = list(_objects(chart.templates, limits))
    hooks = [item for item in templates if _HOOK in item.annotations]
    plain = sorted((item for item in templates if _HOOK not in item.annotations), key=lambda item: item.rank)
    objects = [_named(item, index) for index, item in enumerate([*_objects(chart.crds, limits), *plain])]
    hooks = [_named(item, None) for item in hooks if _events(item)]
    _refuse_twins([*objects, *hooks])
    return RenderedApp(
        regular=tuple(_manifest(item, source=True) for item in objects if item.kind != CRD),
        crds=tuple(_manifest(item, source=True) for item in objects if item.kind == CRD),
        hooks=_by_event(hooks),
    )


def _objects(documents: Iterable[Document], limits: RenderLimits) -> Iterator[_Object]:
    for document in documents:
        size = len(document.text.encode())
        if size > limits.object_bytes:
            raise RenderError(
                f"{document.source} renders an object of {size} bytes, more than the limit of {limits.object_bytes}"
            )
        try:
            node = compose(document.text, max_nodes=limits.yaml_nodes, max_depth=limits.yaml_depth)
        except BadYaml as error:
            raise RenderError(f"YAML parse error on {document.source}: the document {error}") from error
        if node is not None:
            yield _identified(document, node)


def _identified(document: Document, root: yaml.Node) -> _Object:
    if not isinstance(root, yaml.MappingNode):
        raise RenderError(f"{document.source} renders a document that is not an object")
    fields = _members(root)
    for name in ("apiVersion", "kind"):
        if not _scalar(fields.get(name)):
            raise RenderError(f"{document.source} renders an object without {name}")
    group, slash, _ = _scalar(fields["apiVersion"]).partition("/")
    metadata = _members(fields.get("metadata"))
    return _Object(
        document=document,
        group=group if slash else "",
        kind=_scalar(fields["kind"]),
        name=_scalar(metadata.get("name")),
        namespace=_scalar(metadata.get("namespace")),
        annotations={key: _scalar(value) for key, value in _members(metadata.get("annotations")).items()},
    )


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _scalar(node: yaml.Node | None) -> str:
    """The text of a node that Kubernetes would take for text, else nothing."""
    if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
        return ""
    return str(node.value)


def _named(item: _Object, index: int | None) -> _Object:
    """Checks the name; a ``List`` has none of its own and is called by its position (lifecycle 5.8)."""
    if not item.name and item.kind == "List" and index is not None:
        return replace(item, name=f"manifest-{index}")
    if not item.name:
        raise RenderError(
            f"{item.document.source} renders a {item.kind} without metadata.name (or one that is not text)"
        )
    if set("/+") & set(item.name + item.kind):
        raise RenderError(
            f"{item.document.source} renders a {item.kind} {item.name!r}: '/' and '+' cannot be in a name"
        )
    return item


def _refuse_twins(objects: Iterable[_Object]) -> None:
    seen: dict[tuple[str, str], _Object] = {}
    for item in objects:
        twin = seen.setdefault((item.kind, item.name), item)
        if twin is not item:
            sources = f"one in {twin.document.source}, one in {item.document.source}"
            raise RenderError(f"two objects are {item.kind} {item.name!r}: {sources}")


def _manifest(item: _Object, *, source: bool) -> Manifest:
    comment = f"{_SOURCE}{item.document.source}\n" if source else ""
    return Manifest(
        name=f"{item.name}+{item.kind}",
        text=f"{comment}{item.document.text}",
        api_group=item.group,
        namespace=item.namespace,
    )


def _events(item: _Object) -> tuple[str, ...]:
    """The events of a hook; none if one of them is unknown or if it is a test only (lifecycle 5.7)."""
    events = [event.strip().lower() for event in item.annotations[_HOOK].split(",")]
    known = tuple("test" if event == "test-success" else event for event in events)
    return () if set(known) == {"test"} or not HOOK_EVENTS.issuperset(known) else known


def _by_event(hooks: Iterable[_Object]) -> dict[str, tuple[Manifest, ...]]:
    found: dict[str, list[Manifest]] = {}
    for item in sorted(hooks, key=lambda item: (_weight(item), item.name, item.rank)):
        for event in dict.fromkeys(_events(item)):
            found.setdefault(event, []).append(_manifest(item, source=False))
    return {event: tuple(manifests) for event, manifests in sorted(found.items())}


def _weight(item: _Object) -> int:
    try:
        return int(item.annotations.get(_WEIGHT, "0"))
    except ValueError:
        return 0
