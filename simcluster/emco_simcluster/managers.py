"""Who owns which fields: the entries of ``metadata.managedFields``, read and written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emco_simcluster.fields import FieldSet, decode, difference, encode
from emco_simcluster.shapes import Shape

Json = dict[str, Any]

_UNOWNED = frozenset({"apiVersion", "kind"})
_UNOWNED_METADATA = frozenset(
    [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ]
)


@dataclass(frozen=True, slots=True)
class Manager:
    """One entry. Appliers are one entry over all versions, updaters one per version."""

    name: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: FieldSet

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.name, self.operation, self.subresource, self.api_version if self.operation == "Update" else ""

    def __str__(self) -> str:
        """As conflict messages name it."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


def read(obj: Json | None) -> list[Manager]:
    """The entries of an object."""
    entries = ((obj or {}).get("metadata") or {}).get("managedFields") or ()
    return [
        Manager(
            name=e.get("manager", ""),
            operation=e.get("operation", "Update"),
            api_version=e.get("apiVersion", ""),
            subresource=e.get("subresource", ""),
            time=e.get("time", ""),
            fields=decode(e.get("fieldsV1") or {}),
        )
        for e in entries
    ]


def write(obj: Json, managers: Iterable[Manager]) -> Json:
    """The object with these entries; managers that own nothing are left out, appliers come first as on a server."""
    kept = sorted((m for m in managers if m.fields), key=lambda m: (m.operation, m.time, m.name))
    metadata = {k: v for k, v in obj.get("metadata", {}).items() if k != "managedFields"}
    if kept:
        metadata["managedFields"] = [_entry(m) for m in kept]
    return {**obj, "metadata": metadata}


def _entry(manager: Manager) -> Json:
    entry = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": manager.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(manager.fields),
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def ownable(obj: Json, *, without: Sequence[str] = ()) -> Json:
    """The part of an object that can be owned: no identity, nothing the server writes, not the members ``without``."""
    part = {k: v for k, v in obj.items() if k not in _UNOWNED and k not in without}
    if "metadata" in part:
        kept = {k: v for k, v in (part["metadata"] or {}).items() if k not in _UNOWNED_METADATA}
        part["metadata"] = kept
        if not kept:
            del part["metadata"]
    return part


def identity(obj: Json) -> Json:
    """The part of an object that nobody owns: what it is and where."""
    metadata = {k: v for k, v in obj["metadata"].items() if k in _UNOWNED_METADATA and k != "managedFields"}
    return {**{k: v for k, v in obj.items() if k in _UNOWNED}, "metadata": metadata}


def without_fields(managers: Iterable[Manager], gone: FieldSet) -> list[Manager]:
    """The entries after ``gone`` was taken from each."""
    return [replace(m, fields=m.fields - gone) if not gone.isdisjoint(m.fields) else m for m in managers]


def updated(
    live: Json | None,
    new: Json,
    shape: Shape,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    now: str,
    without: Sequence[str] = (),
) -> Json:
    """The object after a create, update or patch: what it changed belongs to ``manager`` alone.

    ``without``: members this door does not write, and so nobody comes to own by it.

    An empty list of ``managedFields`` in ``new`` resets them, as the Kubernetes documentation says.
    """
    sent = (new.get("metadata") or {}).get("managedFields")
    entries = [] if sent in ([], [{}]) else read(live)
    after = ownable(new, without=without)
    before = _skeleton(after) if live is None else ownable(live, without=without)
    changed, removed = difference(before, after, shape)
    changed -= {()}
    mine = Manager(manager, "Update", api_version, subresource, now, changed)
    others = []
    for entry in without_fields(entries, removed):
        if entry.identity == mine.identity:
            time = now if changed else entry.time
            mine = replace(mine, fields=(entry.fields | changed), time=time)
        else:
            others.append(replace(entry, fields=entry.fields - changed))
    return write(new, [*others, mine])


_ALWAYS_THERE = ("metadata", "spec", "status", "template", "jobTemplate", "strategy", "updateStrategy")


def _skeleton(obj: Json) -> Json:
    """The structures every object of a kind has: nobody owns them, only what is in them."""
    there: Json = {k: _skeleton(v) for k, v in obj.items() if k in _ALWAYS_THERE and isinstance(v, dict)}
    return {**there, "containers": []} if "containers" in obj else there
