"""What the controllers of one cluster share: its store, its settings, and the agenda of what is to be done when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from emco_simcluster.deletes import DeleteOptions, Deleter
from emco_simcluster.kinds import Kind, KindTable
from emco_simcluster.parts import has_generation
from emco_simcluster.storage import Entry, Place, Store
from emco_simcluster.tls import Authority
from emco_simcluster.writes import Writer

Json = dict[str, Any]
log = structlog.get_logger()

ANNOTATION_READY_AFTER = "simulated/ready-after"
"""On a pod (or pod template): seconds until it is ready, instead of the cluster's."""
ANNOTATION_OUTCOME = "simulated/outcome"
"""On a pod (or pod template): ``fail`` (ends as Failed) or ``never`` (its image is never pulled)."""
ANNOTATION_LOG = "simulated/log"
"""On a pod (or pod template): what its containers have written."""


@dataclass(slots=True)
class Agenda:
    """Work on objects, each piece at most once in the queue, run in the event loop when its time comes."""

    _timers: dict[tuple[str, Place], asyncio.Handle] = field(default_factory=dict)

    def add(self, work: Callable[[Place], None], place: Place, *, seconds: float = 0.0) -> None:
        """Do ``work`` on an object soon, or after some seconds; what is planned already stays planned."""
        key = (work.__qualname__, place)
        if key in self._timers:
            return
        loop = asyncio.get_running_loop()
        if seconds > 0:
            self._timers[key] = loop.call_later(seconds, self._run, key, work, place)
        else:
            self._timers[key] = loop.call_soon(self._run, key, work, place)

    def _run(self, key: tuple[str, Place], work: Callable[[Place], None], place: Place) -> None:
        self._timers.pop(key, None)
        try:
            work(place)
        except Exception:
            log.exception("simulated controller failed", work=key[0], place=place)

    def clear(self) -> None:
        """Forget everything planned."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()


@dataclass(slots=True, kw_only=True)
class World:
    """One cluster as its controllers see it. Times in seconds."""

    store: Store
    kinds: KindTable
    writer: Writer
    deleter: Deleter
    authority: Authority
    ready_after: float
    established_after: float
    nodes: tuple[str, ...]
    agenda: Agenda = field(default_factory=Agenda)

    def kind(self, place: Place) -> Kind | None:
        return self.kinds.of(place[0])

    def create(self, group: str, plural: str, obj: Json) -> Entry | None:
        """Write a new object of a controller's; None if its name is taken or its namespace is going."""
        kind = self.kinds.of((group, plural))
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if kind is None or self.store.get(kind.key, namespace, metadata["name"]) is not None:
            return None
        holder = self.store.get(("", "namespaces"), "", namespace) if namespace else None
        if namespace and (holder is None or holder.obj["metadata"].get("deletionTimestamp")):
            return None
        metadata = {**metadata, "uid": self.writer.uid(), "creationTimestamp": self.writer.now()}
        if has_generation(kind):
            metadata["generation"] = 1
        return self.store.put(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata})

    def set_status(self, place: Place, status: Json, *, annotations: Mapping[str, str] | None = None) -> None:
        """Write a status if it differs from the one there."""
        entry, kind = self.store.at(place), self.kind(place)
        if entry is None or kind is None:
            return
        obj = {**entry.obj, "status": status}
        if annotations:
            known = entry.obj["metadata"].get("annotations") or {}
            obj["metadata"] = {**entry.obj["metadata"], "annotations": {**known, **annotations}}
        if obj != entry.obj:
            self.store.put(kind, obj)

    def set_spec(self, place: Place, **values: Any) -> None:
        """Change members of a spec, as a controller does."""
        entry, kind = self.store.at(place), self.kind(place)
        if entry is None or kind is None:
            return
        spec = {**entry.obj["spec"], **values}
        if spec != entry.obj["spec"]:
            metadata = {**entry.obj["metadata"], "generation": entry.obj["metadata"].get("generation", 1) + 1}
            self.store.put(kind, {**entry.obj, "metadata": metadata, "spec": spec})

    def delete(self, place: Place, *, grace: int | None = None) -> None:
        """Delete in the background; an object that is not there is no error."""
        kind = self.kind(place)
        if kind is not None and self.store.at(place) is not None:
            self.deleter.delete(kind, place[1], place[2], DeleteOptions(grace=grace, propagation="Background"))

    def release(self, place: Place, finalizer: str) -> None:
        """Take a finalizer from an object that is being deleted; with the last one the object goes."""
        entry, kind = self.store.at(place), self.kind(place)
        if entry is None or kind is None:
            return
        metadata = dict(entry.obj["metadata"])
        kept = [f for f in metadata.pop("finalizers", ()) if f != finalizer]
        if kept:
            metadata["finalizers"] = kept
        if kept or place[0] == ("", "pods"):
            self.store.put(kind, {**entry.obj, "metadata": metadata})
        else:
            self.store.remove(place)

    def children(self, uid: str, plural: str) -> list[Entry]:
        """The objects of one resource that this owner controls, by name."""
        entries = [self.store.at(p) for p in self.store.dependents(uid) if p[0][1] == plural]
        return sorted((e for e in entries if e is not None), key=lambda e: str(e.obj["metadata"]["name"]))

    def later(self, seconds: float) -> str:
        """The time in some seconds, as a server writes it."""
        return (self.deleter.clock() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def controller_of(metadata: Json) -> str:
    """The uid of the owner that controls an object, or nothing."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


def owned(parent: Json) -> list[Json]:
    """The owner reference to a controlling parent."""
    metadata = parent["metadata"]
    reference = {"apiVersion": parent["apiVersion"], "kind": parent["kind"], "name": metadata["name"]}
    return [{**reference, "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}]


def condition(status: Json, type_: str, value: bool, *, now: str, reason: str, message: str = "") -> Json:
    """A condition, with the time of its last real transition."""
    before = next((c for c in status.get("conditions") or () if c.get("type") == type_), None)
    text = "True" if value else "False"
    since = before["lastTransitionTime"] if before and before.get("status") == text else now
    found = {"type": type_, "status": text, "lastTransitionTime": since, "reason": reason}
    return {**found, "message": message} if message else found
