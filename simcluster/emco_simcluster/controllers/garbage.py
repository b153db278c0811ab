"""Objects whose owner is gone, owners that wait for their dependents, and namespaces that empty."""

from __future__ import annotations

from typing import Any

from emco_simcluster.controllers.world import World, condition
from emco_simcluster.deletes import FOREGROUND
from emco_simcluster.storage import Change, Place

Json = dict[str, Any]

_NAMESPACES = ("", "namespaces")


class Garbage:
    """The garbage collector and the namespace controller of a simulated cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._terminating: set[str] = set()

    def changed(self, change: Change) -> None:
        metadata = change.entry.obj["metadata"]
        add = self._world.agenda.add
        if change.type == "DELETED":
            self._gone(change, metadata)
            return
        if change.type == "ADDED" and metadata.get("ownerReferences"):
            add(self.orphan, change.place)
        if metadata.get("deletionTimestamp"):
            if FOREGROUND in (metadata.get("finalizers") or ()):
                add(self.foreground, change.place)
            if change.place[0] == _NAMESPACES:
                first = change.place[2] not in self._terminating
                self._terminating.add(change.place[2])
                add(self.empty, change.place, seconds=self._world.ready_after if first else 0)

    def _gone(self, change: Change, metadata: Json) -> None:
        add = self._world.agenda.add
        for place in self._world.store.dependents(metadata["uid"]):
            add(self.orphan, place)
        for owner in metadata.get("ownerReferences") or ():
            found = self._world.store.by_uid(owner.get("uid", ""))
            if found is not None:
                add(self.foreground, found)
        if change.place[0] == _NAMESPACES:
            self._terminating.discard(change.place[2])
        elif change.place[1] in self._terminating:
            add(self.empty, (_NAMESPACES, "", change.place[1]))

    def orphan(self, place: Place) -> None:
        """Delete an object none of whose owners exists; forget single owners that are gone."""
        entry = self._world.store.at(place)
        if entry is None:
            return
        uids = [o.get("uid", "") for o in entry.obj["metadata"].get("ownerReferences") or ()]
        missing = [uid for uid in uids if self._world.store.by_uid(uid) is None]
        if uids and len(missing) == len(uids):
            self._world.delete(place)
            return
        for uid in missing:
            self._world.deleter.disown(place, uid)

    def foreground(self, place: Place) -> None:
        """Delete the dependents of an owner that is being deleted in the foreground, then let it go."""
        entry = self._world.store.at(place)
        if entry is None or FOREGROUND not in (entry.obj["metadata"].get("finalizers") or ()):
            return
        dependents = self._world.store.dependents(entry.obj["metadata"]["uid"])
        for each in dependents:
            self._world.delete(each)
        if self._world.store.dependents(entry.obj["metadata"]["uid"]):
            return
        self._world.release(place, FOREGROUND)

    def empty(self, place: Place) -> None:
        """Delete what is in a terminating namespace; when nothing is left, the namespace itself."""
        entry = self._world.store.at(place)
        if entry is None or not entry.obj["metadata"].get("deletionTimestamp"):
            return
        for content in self._world.store.namespace_content(place[2]):
            self._world.delete(content)
        left = self._world.store.namespace_content(place[2])
        if left:
            self._say_what_is_left(place, entry.obj, left)
        elif not entry.obj["metadata"].get("finalizers"):
            self._world.store.remove(place)

    def _say_what_is_left(self, place: Place, namespace: Json, left: list[Place]) -> None:
        status, now = namespace.get("status") or {}, self._world.writer.now()
        held: list[str] = []
        for each in left:
            entry = self._world.store.at(each)
            held += (entry.obj["metadata"].get("finalizers") or ()) if entry else ()
        counts: dict[str, int] = {}
        for (group, plural), _, _ in left:
            name = f"{plural}.{group}" if group else plural
            counts[name] = counts.get(name, 0) + 1
        remaining = "Some resources are remaining: " + ", ".join(
            f"{n} has {c} resource instances" for n, c in sorted(counts.items())
        )
        finalizers = "Some content in the namespace has finalizers remaining: " + ", ".join(
            f"{f} in {held.count(f)} resource instances" for f in sorted(set(held))
        )
        conditions = [
            condition(
                status, "NamespaceContentRemaining", True, now=now, reason="SomeResourcesRemain", message=remaining
            ),
            condition(
                status,
                "NamespaceFinalizersRemaining",
                bool(held),
                now=now,
                reason="SomeFinalizersRemain" if held else "ContentHasNoFinalizers",
                message=finalizers if held else "All content-preserving finalizers finished",
            ),
        ]
        self._world.set_status(place, {**status, "phase": "Terminating", "conditions": conditions})
