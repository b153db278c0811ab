"""The writing verbs over the store: create, update, patch, apply. What a server decides between request and storage.

Knows nothing of HTTP. Every method is synchronous, so that a write is atomic in the event loop.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emco_simcluster import errors, managers
from emco_simcluster.apply import Applier, ApplyConflict, apply
from emco_simcluster.defaults import with_defaults
from emco_simcluster.errors import ApiError, Cause
from emco_simcluster.fields import DuplicateElement, show
from emco_simcluster.incoming import Options, addressed, decoded, patched_with, typed, unchanged_since, untyped
from emco_simcluster.kinds import Kind, KindTable
from emco_simcluster.network import Network
from emco_simcluster.parts import (
    IN_USE,
    SERVER_METADATA,
    desired,
    has_generation,
    keep_server_metadata,
    label_job,
    not_written,
    writable_part,
)
from emco_simcluster.storage import Entry, Store, encode
from emco_simcluster.validation import problems

Json = dict[str, Any]

OBJECT_LIMIT = 1_536 * 1024
"""Bytes one stored object may have, as in an etcd with its default settings."""

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Written:
    """The state after a write, and whether the object is new."""

    entry: Entry
    created: bool = False


@dataclass(slots=True)
class Writer:
    """Writes for one cluster. ``now`` gives the time as a server writes it."""

    store: Store
    kinds: KindTable
    network: Network
    now: Callable[[], str]
    chance: random.Random = field(default_factory=random.Random)

    def uid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """The random end of a generated name."""
        return "".join(self.chance.choices(_LETTERS, k=length))

    def create(self, kind: Kind, namespace: str, body: Json, *, options: Options) -> Written:
        """POST: 409 if it exists, 404 or 403 if its namespace is missing or going."""
        obj = decoded(kind, addressed(kind, namespace, body, name=None), options)
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName'][:58]}{self.suffix()}"
        self._namespace_open(kind, namespace, str(metadata.get("name", "")))
        obj = self._accept(kind, self._new(kind, obj, options), None)
        name = metadata["name"]
        if self.store.get(kind.key, namespace, name) is not None:
            raise errors.already_exists(kind, name)
        owned = self._allotted(kind, self._owned(kind, None, obj, options, ""))
        return Written(self._put(kind, owned, options), created=True)

    def update(
        self, kind: Kind, namespace: str, name: str, body: Json, *, options: Options, subresource: str = ""
    ) -> Written:
        """PUT: 404 if missing, 409 if ``resourceVersion`` is not the current one."""
        obj = decoded(kind, addressed(kind, namespace, body, name=name), options)
        live = self._live(kind, namespace, name)
        if kind.custom and not subresource and not obj["metadata"].get("resourceVersion"):
            raise errors.unconditional(kind, name)
        return self._replace(kind, live, obj, options=options, subresource=subresource)

    def patch(
        self, kind: Kind, namespace: str, name: str, media: str, patch: Any, *, options: Options, subresource: str = ""
    ) -> Written:
        """PATCH in any format but apply. A ``resourceVersion`` in the result that is not the current one is a 409."""
        live = self._live(kind, namespace, name)
        current = {**live.obj, "apiVersion": kind.api_version}
        patched = patched_with(media, current, patch, kind)
        if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
            raise errors.bad_request("the patch leaves no object")
        obj = decoded(kind, addressed(kind, namespace, patched, name=name), options)
        return self._replace(kind, live, obj, options=options, subresource=subresource)

    def apply(
        self, kind: Kind, namespace: str, name: str, config: Json, *, options: Options, subresource: str = ""
    ) -> Written:
        """Server-side apply: creates what is missing; 409 with the contested fields unless forced."""
        if (config.get("metadata") or {}).get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        config = typed(kind, namespace, name, config)
        live = self.store.get(kind.key, namespace, name)
        unchanged_since(kind, config["metadata"], live, name)
        if live is None:
            if subresource:
                raise errors.not_found(kind, name)
            self._namespace_open(kind, namespace, name)
        applied = self._applied(kind, live, config, options, subresource)
        if live is not None and applied is live.obj:
            return Written(live)
        if live is None:
            obj = self._allotted(kind, self._accept(kind, self._new(kind, applied, options), None))
            return Written(self._put(kind, obj, options), created=True)
        new = keep_server_metadata(applied, live.obj)
        return self._commit(kind, live, self._accept(kind, new, live.obj), options)

    def _applied(self, kind: Kind, live: Entry | None, config: Json, options: Options, subresource: str) -> Json:
        hidden = not_written(kind, subresource)
        if subresource:
            hidden = tuple(m for m in config if m not in ("apiVersion", "kind", "metadata", "status"))
        applier = Applier(options.manager, kind.api_version, self.now(), subresource, options.force, hidden)
        try:
            return apply(live.obj if live else None, config, kind.shape, applier=applier)
        except ApplyConflict as error:
            causes = [
                {"reason": "FieldManagerConflict", "message": f"conflict with {c.holder}", "field": show(c.path)}
                for c in error.contested
            ]
            raise ApiError(409, "Conflict", str(error), details={"causes": causes}) from error
        except DuplicateElement as error:
            raise untyped(kind, "", config["metadata"]["name"], str(error)) from error

    def _replace(self, kind: Kind, live: Entry, new: Json, *, options: Options, subresource: str) -> Written:
        unchanged_since(kind, new["metadata"], live, live.obj["metadata"]["name"])
        new = writable_part(kind, live.obj, new, subresource)
        new = self._accept(kind, keep_server_metadata(new, live.obj), live.obj)
        owned = self._owned(kind, live.obj, new, options, subresource)
        return self._commit(kind, live, owned, options)

    def _owned(self, kind: Kind, live: Json | None, new: Json, options: Options, subresource: str) -> Json:
        return managers.updated(
            live,
            new,
            kind.shape,
            manager=options.manager,
            api_version=kind.api_version,
            subresource=subresource,
            now=self.now(),
            without=not_written(kind, subresource),
        )

    def _commit(self, kind: Kind, live: Entry, new: Json, options: Options) -> Written:
        """Store what changed. Nothing changed: nothing is written. The last finalizer gone: the object goes."""
        metadata = {**new["metadata"], "resourceVersion": live.obj["metadata"]["resourceVersion"]}
        new = {**new, "apiVersion": live.obj["apiVersion"], "metadata": metadata}
        if new == live.obj:
            return Written(live)
        if has_generation(kind) and desired(kind, new) != desired(kind, live.obj):
            metadata["generation"] = live.obj["metadata"].get("generation", 1) + 1
        entry = self._put(kind, {**new, "apiVersion": kind.api_version}, options, live)
        going = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        if going and not options.dry_run and kind.kind not in ("Pod", "Namespace"):
            self.store.remove((kind.key, metadata.get("namespace", ""), metadata["name"]))
        return Written(entry)

    def _put(self, kind: Kind, obj: Json, options: Options, before: Entry | None = None) -> Entry:
        estimate = options.size + (len(before.bare) if before else 0)
        if estimate > OBJECT_LIMIT and len(encode(obj)) > OBJECT_LIMIT:
            raise errors.too_large(OBJECT_LIMIT)
        if options.dry_run:
            return Entry(obj, self.store.revision)
        return self.store.put(kind, obj)

    def _live(self, kind: Kind, namespace: str, name: str) -> Entry:
        live = self.store.get(kind.key, namespace, name)
        if live is None:
            raise errors.not_found(kind, name)
        return live

    def _new(self, kind: Kind, obj: Json, options: Options) -> Json:
        """A new object's identity, and the parts a client may not set."""
        metadata = {k: v for k, v in obj["metadata"].items() if k not in SERVER_METADATA or k == "namespace"}
        metadata |= {"uid": self.uid(), "creationTimestamp": self.now()}
        metadata.pop("resourceVersion", None)
        if has_generation(kind):
            metadata["generation"] = 1
        new = {**obj, "metadata": metadata}
        if "status" in kind.subresources and kind.kind != "Node":
            new.pop("status", None)
        if kind.kind == "CertificateSigningRequest":
            requester = {"username": options.user, "groups": list(options.groups)}
            new["spec"] = {**(new.get("spec") or {}), **requester}
        if kind.kind == "CustomResourceDefinition":
            cleanup = "customresourcecleanup.apiextensions.k8s.io"
            metadata["finalizers"] = sorted({*(metadata.get("finalizers") or ()), cleanup})
        return new

    def _accept(self, kind: Kind, obj: Json, live: Json | None) -> Json:
        """Fill in defaults and refuse what is invalid."""
        try:
            obj = with_defaults(kind, obj)
            if kind.kind == "Service" and not kind.custom and live is not None:
                self.network.assign(obj, live)
            if kind.kind == "Job" and not kind.custom:
                label_job(obj)
            causes = problems(kind, obj, live)
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            text = f"{kind.kind} in version {kind.version!r} cannot be handled as a {kind.kind}: wrong type ({error})"
            raise errors.bad_request(text) from error
        if causes:
            raise errors.invalid(kind, str(obj["metadata"].get("name", "")), causes)
        return obj

    def _allotted(self, kind: Kind, obj: Json) -> Json:
        """With what only the server gives a new object, and so nobody else comes to own."""
        if kind.key == ("", "persistentvolumeclaims"):
            finalizers = [*(obj["metadata"].get("finalizers") or ()), IN_USE]
            return {**obj, "metadata": {**obj["metadata"], "finalizers": sorted(set(finalizers))}}
        if kind.key != ("", "services"):
            return obj
        ports = [dict(p) for p in obj["spec"].get("ports") or ()]
        allotted = {**obj, "spec": {**obj["spec"], **({"ports": ports} if ports else {})}}
        self.network.assign(allotted, None)
        return allotted

    def _namespace_open(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        holder = self.store.get(("", "namespaces"), "", namespace)
        if holder is None:
            raise errors.no_namespace(namespace)
        if holder.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause("metadata.namespace", "NamespaceTerminating", f"namespace {namespace} is being terminated")
            raise errors.forbidden(kind, name, why, causes=[cause])
