"""The deleting verbs over the store: preconditions, grace, finalizers, and what becomes of dependents."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from emco_simcluster import errors
from emco_simcluster.errors import Cause
from emco_simcluster.kinds import Kind, KindTable
from emco_simcluster.storage import Entry, Place, Store

Json = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """How to delete. ``grace`` in seconds; ``propagation`` is Foreground, Background or Orphan."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, body: Json, query: dict[str, str]) -> DeleteOptions:
        """From the request: the body's fields win over the query's, as on a real server."""
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        preconditions = body.get("preconditions") or {}
        propagation = str(body.get("propagationPolicy") or query.get("propagationPolicy") or "")
        if propagation not in ("", "Foreground", "Background", "Orphan"):
            text = f'Unsupported value: "{propagation}": supported values: "Foreground", "Background", "Orphan", "nil"'
            raise errors.invalid_options("DeleteOptions", [Cause("propagationPolicy", "FieldValueNotSupported", text)])
        if body.get("orphanDependents") or query.get("orphanDependents") == "true":
            propagation = "Orphan"
        dry_run = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
        if dry_run not in ([], ["All"]):
            text = f'Unsupported value: {json.dumps(dry_run)}: supported values: "All"'
            raise errors.invalid_options("DeleteOptions", [Cause("dryRun", "FieldValueNotSupported", text)])
        try:
            seconds = None if grace is None else int(grace)
        except (TypeError, ValueError) as error:
            raise errors.bad_request(f"gracePeriodSeconds is no number: {grace}") from error
        return cls(
            grace=seconds,
            propagation=propagation,
            uid=str(preconditions.get("uid") or ""),
            revision=str(preconditions.get("resourceVersion") or ""),
            dry_run=bool(dry_run),
        )


@dataclass(frozen=True, slots=True)
class Deleted:
    """``gone``: the object is away; else it waits for its finalizers or its grace period."""

    entry: Entry
    gone: bool


@dataclass(slots=True)
class Deleter:
    """Deletes for one cluster."""

    store: Store
    kinds: KindTable
    clock: Callable[[], datetime]

    def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Deleted:
        """Begin or finish the deletion of one object; 404 if missing, 409 if a precondition fails."""
        live = self.store.get(kind.key, namespace, name)
        if live is None:
            raise errors.not_found(kind, name)
        metadata = live.obj["metadata"]
        _preconditions(kind, name, metadata, options)
        if options.dry_run:
            return Deleted(live, gone=True)
        propagation = options.propagation or ("Orphan" if kind.kind == "Job" and not kind.custom else "Background")
        if propagation == "Orphan":
            self._orphan(metadata["uid"])
        finalizers = list(metadata.get("finalizers") or ())
        if propagation == "Foreground" and FOREGROUND not in finalizers and self._blocking(metadata["uid"]):
            finalizers.append(FOREGROUND)
        place = (kind.key, namespace, name)
        grace = self._grace(kind, live.obj, options)
        if not finalizers and not grace and kind.key != ("", "namespaces"):
            removed = self.store.remove(place)
            return Deleted(removed or live, gone=True)
        if metadata.get("deletionTimestamp") and finalizers == (metadata.get("finalizers") or []):
            return Deleted(live, gone=False)
        return Deleted(self.store.put(kind, self._marked(kind, live.obj, finalizers, grace)), gone=False)

    def _marked(self, kind: Kind, obj: Json, finalizers: list[str], grace: int) -> Json:
        due = self.clock() + timedelta(seconds=grace)
        marks: Json = {"deletionTimestamp": due.strftime("%Y-%m-%dT%H:%M:%SZ"), "deletionGracePeriodSeconds": grace}
        if finalizers:
            marks["finalizers"] = finalizers
        if "generation" in obj["metadata"]:
            marks["generation"] = obj["metadata"]["generation"] + 1
        marked = {**obj, "metadata": {**obj["metadata"], **marks}}
        if kind.key == ("", "namespaces"):
            del marked["metadata"]["deletionGracePeriodSeconds"]
            marked["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        return marked

    def _grace(self, kind: Kind, obj: Json, options: DeleteOptions) -> int:
        """Seconds a pod gets to stop; only pods that run have any."""
        if kind.key != ("", "pods") or not obj["spec"].get("nodeName"):
            return 0
        if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        default = int(obj["spec"].get("terminationGracePeriodSeconds", 30))
        return default if options.grace is None else max(0, options.grace)

    def _blocking(self, uid: str) -> bool:
        return bool(self.store.dependents(uid))

    def _orphan(self, uid: str) -> None:
        """Dependents stay and forget this owner."""
        for place in self.store.dependents(uid):
            self.disown(place, uid)

    def disown(self, place: Place, uid: str) -> None:
        """Take one owner reference from an object."""
        entry, kind = self.store.at(place), self.kinds.of(place[0])
        if entry is None or kind is None:
            return
        metadata = dict(entry.obj["metadata"])
        kept = [o for o in metadata.get("ownerReferences") or () if o.get("uid") != uid]
        metadata.pop("ownerReferences", None)
        if kept:
            metadata["ownerReferences"] = kept
        self.store.put(kind, {**entry.obj, "metadata": metadata})


def _preconditions(kind: Kind, name: str, metadata: Json, options: DeleteOptions) -> None:
    checks = (
        ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", options.revision, metadata["resourceVersion"], "modified"),
    )
    for label, wanted, actual, guess in checks:
        if wanted and wanted != actual:
            raise errors.failed_precondition(
                kind,
                name,
                f"the {label} in the precondition ({wanted}) does not match the {label} in record ({actual}). "
                f"The object might have been {guess}",
            )
