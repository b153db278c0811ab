"""What a server holds, as files that emcoctl applies elsewhere (DESIGN 8).

Everything is found by walking the known collections from the top. What a server keeps to itself, such as the
kubeconfig of a cluster, becomes a placeholder that has to be filled in before the files can be applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from emco_emcoctl import catalogue, placeholders, routing
from emco_emcoctl.catalogue import Kind
from emco_emcoctl.errors import ConfigError, TransportError
from emco_emcoctl.reading import NOT_FOUND, Reader, RefusedReadError, joined, names_of

VERSION = "emco/v2"
_ORDER = (
    "controllers", "clm-controllers", "ncm-controllers", "dtc-controllers",
    "cluster-providers", "cluster-sync-objects", "clusters", "labels", "kv-pairs", "networks", "provider-networks",
    "projects", "logical-clouds", "cluster-references", "user-permissions", "cluster-quotas",
    "composite-apps", "apps", "dependency", "composite-profiles", "profiles", "deployment-intent-groups",
)  # fmt: skip
"""What is needed by what follows; kinds that are not named come last."""
_FILES = (
    ("01-controllers.yaml", ("controllers", "clm-controllers", "ncm-controllers", "dtc-controllers")),
    ("02-clusters.yaml", ("cluster-providers",)),
    ("03-projects.yaml", ("projects",)),
)
_STARTING = (
    ("04-apply-networks.yaml", "clusters", ("apply",)),
    ("05-instantiate-logical-clouds.yaml", "logical-clouds", ("instantiate",)),
    ("06-instantiate-deployments.yaml", "deployment-intent-groups", ("approve", "instantiate")),
)
_CLOUDS = ("projects", catalogue.ANY, "logical-clouds")
_RUNNING = frozenset({"Instantiated", "Updated", "Applied"})
_SECRET = re.compile(r"token|secret|passw|credential|private|privkey", re.IGNORECASE)
_WITH_SECRETS = frozenset({"cluster-sync-objects", "inbound-intents"})
_MASKED = frozenset({"***", "<sealed>"})

Body = dict[str, Any]


@dataclass
class Export:
    """``files`` are the resource files' documents by name, ``uploads`` what they name, ``notes`` what a user must know
    before applying them."""

    files: dict[str, list[Body]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    kind: Kind
    anchor: str
    names: tuple[str, ...]
    body: Body

    @property
    def item(self) -> str:
        return f"{self.anchor}/{joined(*self.names)}"


class Exporter:
    """Reads one project, one cluster provider, or all."""

    def __init__(self, reader: Reader, *, progress: Callable[[str], None] = lambda anchor: None) -> None:
        self._reader = reader
        self._progress = progress
        self._away: set[str] = set()
        self._export = Export()

    def export(self, anchor: str = "") -> Export:
        """Raises ``RefusedReadError`` if there is no such thing, ``TransportError``."""
        found = sorted(self._below(anchor), key=_place) if anchor else list(self._everything())
        for name, firsts in _FILES:
            documents = [self._document(one) for one in found if one.kind.path[0] in firsts]
            if documents:
                self._export.files[name] = documents
        self._running(found)
        if anchor.startswith("projects/"):
            note = "clusters and controllers are not part of a project; those it names must exist where it is applied"
            self._export.notes.append(note)
        if self._away:
            services = ", ".join(sorted(self._away))
            self._export.notes.append(f"not reached, so nothing of theirs is exported: {services}")
        return self._export

    def _everything(self) -> Iterator[_Found]:
        for top in sorted(catalogue.below(()), key=lambda kind: _rank(kind.path)):
            found = [one for item in self._items(top, top.word) for one in self._with_children(item)]
            yield from sorted(found, key=_place)

    def _below(self, anchor: str) -> Iterator[_Found]:
        kind = catalogue.item_of(anchor)
        if kind is None or len(kind.path) != 1:
            raise ConfigError(f"'{anchor}' cannot be exported; name projects/P or cluster-providers/P, or --all")
        body = self._reader.json(anchor)
        yield from self._with_children(_Found(kind, kind.word, names_of(body), body))

    def _with_children(self, item: _Found) -> Iterator[_Found]:
        yield item
        for kind in catalogue.below(item.item.split("/")):
            for child in self._items(kind, f"{item.item}/{kind.word}"):
                yield from self._with_children(child)

    def _items(self, kind: Kind, anchor: str) -> Iterator[_Found]:
        for number, body in enumerate(self._listed(kind, anchor), start=1):
            names = names_of(body)
            if names:
                yield _Found(kind, anchor, names, body)
            else:
                yield _Found(kind, anchor, (f"{kind.word.removesuffix('s')}-{number}",), body)

    def _listed(self, kind: Kind, anchor: str) -> Iterable[Body]:
        service = routing.service_of(anchor)
        if service in self._away:
            return []
        self._progress(anchor)
        try:
            found = self._reader.json(anchor)
        except TransportError:
            if kind.schema:
                raise
            self._away.add(service)
            return []
        except RefusedReadError as error:
            if error.status != NOT_FOUND:
                raise
            return []
        if kind.word == "intents" and isinstance(found, Mapping):
            # the service lists what intents say without their names
            return [{"metadata": {}, "spec": {"intent": said}} for said in found.get("intent") or ()]
        return found if isinstance(found, list) else []

    def _document(self, one: _Found) -> Body:
        body = one.body
        document: Body = {"version": VERSION, "resourceContext": {"anchor": one.anchor}}
        if "clusterLabel" in body:
            return document | {"clusterLabel": body["clusterLabel"]}
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if value}
        document["metadata"] = {"name": one.names[0], **metadata}
        hidden: list[str] = []
        if spec := _open(_given(body.get("spec") or {}), one.kind, hidden, path="spec"):
            document["spec"] = spec
        if one.kind.upload and not (body.get("spec") or {}).get("gitOps", {}).get("gitOpsType"):
            document |= self._upload(one)
        for path in hidden:
            self._export.notes.append(f"{one.item}: {path} is a secret and not exported; fill it in")
        return document

    def _upload(self, one: _Found) -> Body:
        name = str(PurePosixPath("files", *(_file_name(part) for part in one.item.split("/"))))
        if one.kind.word == "clusters":
            name += ".kubeconfig"
            self._export.uploads[name] = placeholders.FILE + f"the kubeconfig of {one.item}\n".encode()
            self._export.notes.append(f"{name} is a placeholder: put the kubeconfig of {one.item} there")
        else:
            try:
                content = self._reader.file(one.item)
            except RefusedReadError as error:
                content = placeholders.FILE + f"the file of {one.item}\n".encode()
                self._export.notes.append(f"{name} is a placeholder: the server did not give the file ({error})")
            name += ".tgz" if content.startswith(b"\x1f\x8b") else ""
            self._export.uploads[name] = content
        return {"files": [name]} if one.kind.upload == "files" else {"file": name}

    def _running(self, found: Iterable[_Found]) -> None:
        """Files that bring up what is up."""
        items = list(found)
        with_networks = {one.anchor.rpartition("/")[0] for one in items if one.kind.word.endswith("networks")}
        candidates = {
            "clusters": [one for one in items if one.item in with_networks],
            "logical-clouds": [one for one in items if one.kind.path == _CLOUDS],
            "deployment-intent-groups": [one for one in items if one.kind.word == "deployment-intent-groups"],
        }
        for name, word, actions in _STARTING:
            up = [one for one in candidates[word] if self._is_up(one)]
            if up:
                self._export.files[name] = [
                    {"version": VERSION, "resourceContext": {"anchor": f"{one.item}/{action}"}}
                    for one in up
                    for action in actions
                ]

    def _is_up(self, one: _Found) -> bool:
        query = "?status=deployed" if one.kind.word == "deployment-intent-groups" else ""
        try:
            status = self._reader.json(f"{one.item}/status{query}")
        except RefusedReadError:
            return False
        actions = (status.get("states") or {}).get("actions") or [{}]
        return actions[-1].get("state") in _RUNNING or status.get("deployedStatus") in _RUNNING


def _rank(path: tuple[str, ...]) -> int:
    return _ORDER.index(path[-1]) if path[-1] in _ORDER else len(_ORDER)


def _place(one: _Found) -> tuple[int, int]:
    """Kinds in the order in which they need each other, deeper ones later."""
    rank = _rank(one.kind.path)
    return (rank, 0) if rank < len(_ORDER) else (rank, len(one.kind.path))


def _given(spec: Any) -> Any:
    """Without members that say nothing."""
    if isinstance(spec, Mapping):
        inner = {key: _given(value) for key, value in spec.items()}
        return {key: value for key, value in inner.items() if value not in (None, "", {}, [])}
    return [_given(item) for item in spec] if isinstance(spec, list) else spec


def _open(spec: Any, kind: Kind, hidden: list[str], *, path: str) -> Any:
    """The spec with its secrets replaced, and where they were added to ``hidden``."""
    if isinstance(spec, Mapping):
        told = {}
        for key, value in spec.items():
            here = f"{path}.{key}"
            secret = isinstance(value, str) and (
                value in _MASKED or (_SECRET.search(key) and kind.word in _WITH_SECRETS)
            )
            told[key] = placeholders.TEXT if secret else _open(value, kind, hidden, path=here)
            hidden += [here] if secret else []
        return told
    if isinstance(spec, list):
        return [_open(item, kind, hidden, path=f"{path}[{index}]") for index, item in enumerate(spec)]
    return spec


def _file_name(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", part) or "_"
