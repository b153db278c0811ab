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
from emco_simcluster.defaults import normalised, with_defaults
from emco_simcluster.errors import ApiError, Cause
from emco_simcluster.fields import DuplicateElement, show
from emco_simcluster.kinds import Kind, KindTable
from emco_simcluster.network import Network
from emco_simcluster.patch import PatchError, json_patch, merge_patch, strategic_merge
from emco_simcluster.storage import Entry, Store, encode
from emco_simcluster.validation import problems

Json = dict[str, Any]

OBJECT_LIMIT = 1_536 * 1024
"""Bytes one stored object may have, as in an etcd with its default settings."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_GENERATION = frozenset(
    [
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Pod",
        "CustomResourceDefinition",
        "ReplicationController",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]
)
_SERVER_METADATA = (
    *("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace"),
    "selfLink",
)
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a writing request says besides its body."""

    manager: str = "unknown"
    user: str = ""
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    force: bool = False


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
        obj = _addressed(kind, namespace, body, name=None)
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
        owned = self._owned(kind, None, obj, options, "")
        return Written(self._put(kind, owned, options), created=True)

    def update(
        self, kind: Kind, namespace: str, name: str, body: Json, *, options: Options, subresource: str = ""
    ) -> Written:
        """PUT: 404 if missing, 409 if ``resourceVersion`` is not the current one."""
        live = self._live(kind, namespace, name)
        obj = _addressed(kind, namespace, body, name=name)
        if kind.custom and not subresource and not obj["metadata"].get("resourceVersion"):
            cause = Cause(
                "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update"
            )
            raise errors.invalid(kind, name, [cause])
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
        return self._replace(
            kind, live, _addressed(kind, namespace, patched, name=name), options=options, subresource=subresource
        )

    def apply(
        self, kind: Kind, namespace: str, name: str, config: Json, *, options: Options, subresource: str = ""
    ) -> Written:
        """Server-side apply: creates what is missing; 409 with the contested fields unless forced."""
        if (config.get("metadata") or {}).get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        config = _addressed(kind, namespace, config, name=name)
        if not kind.custom:
            config = normalised(config)
        live = self.store.get(kind.key, namespace, name)
        _unchanged_since(kind, config["metadata"], live, name)
        if live is None:
            if subresource:
                raise errors.not_found(kind, name)
            self._namespace_open(kind, namespace, name)
        applied = self._applied(kind, live, config, options, subresource)
        if live is None:
            obj = self._accept(kind, self._new(kind, applied, options), None)
            return Written(self._put(kind, obj, options), created=True)
        new = _keep_server_metadata(applied, live.obj)
        return self._commit(kind, live, self._accept(kind, new, live.obj), options)

    def _applied(self, kind: Kind, live: Entry | None, config: Json, options: Options, subresource: str) -> Json:
        hidden = _not_written(kind, subresource)
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
            where = f"({kind.api_version}, Kind={kind.kind})"
            raise errors.internal(f"failed to create typed patch object {where}: {error}") from error

    def _replace(self, kind: Kind, live: Entry, new: Json, *, options: Options, subresource: str) -> Written:
        _unchanged_since(kind, new["metadata"], live, live.obj["metadata"]["name"])
        new = _part(kind, live.obj, new, subresource)
        new = self._accept(kind, _keep_server_metadata(new, live.obj), live.obj)
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
            without=_not_written(kind, subresource),
        )

    def _commit(self, kind: Kind, live: Entry, new: Json, options: Options) -> Written:
        """Store what changed. Nothing changed: nothing is written. The last finalizer gone: the object goes."""
        metadata = {**new["metadata"], "resourceVersion": live.obj["metadata"]["resourceVersion"]}
        new = {**new, "apiVersion": live.obj["apiVersion"], "metadata": metadata}
        if new == live.obj:
            return Written(live)
        if has_generation(kind) and _desired(kind, new) != _desired(kind, live.obj):
            metadata["generation"] = live.obj["metadata"].get("generation", 1) + 1
        entry = self._put(kind, {**new, "apiVersion": kind.api_version}, options)
        going = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        if going and not options.dry_run and kind.kind not in ("Pod", "Namespace"):
            self.store.remove((kind.key, metadata.get("namespace", ""), metadata["name"]))
        return Written(entry)

    def _put(self, kind: Kind, obj: Json, options: Options) -> Entry:
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
        metadata = {k: v for k, v in obj["metadata"].items() if k not in _SERVER_METADATA or k == "namespace"}
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
            if kind.kind == "Service" and not kind.custom:
                self.network.assign(obj, live)
            if kind.kind == "Job" and not kind.custom:
                _job_labels(obj)
            causes = problems(kind, obj, live)
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            text = f"{kind.kind} in version {kind.version!r} cannot be handled as a {kind.kind}: wrong type ({error})"
            raise errors.bad_request(text) from error
        if causes:
            raise errors.invalid(kind, str(obj["metadata"].get("name", "")), causes)
        if len(encode(obj)) > OBJECT_LIMIT:
            raise errors.too_large(OBJECT_LIMIT)
        return obj

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


def _not_written(kind: Kind, subresource: str) -> tuple[str, ...]:
    """Members of the object that the main resource does not write."""
    return ("status",) if "status" in kind.subresources and not subresource else ()


def has_generation(kind: Kind) -> bool:
    return kind.custom or kind.kind in _GENERATION


def patched_with(media: str, current: Json, patch: Any, kind: Kind) -> Any:
    """The object after a patch of this media type."""
    try:
        if media == JSON_PATCH:
            if not isinstance(patch, list):
                raise errors.bad_request("error decoding patch: a JSON patch is a list of operations")
            return json_patch(current, patch)
        if media == MERGE_PATCH:
            if not isinstance(patch, dict):
                raise errors.bad_request("a merge patch is an object")
            return merge_patch(current, patch)
        if media == STRATEGIC_PATCH and not kind.custom:
            return strategic_merge(current, patch, kind.shape)
    except PatchError as error:
        text = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", text, details={}) from error
    raise errors.unsupported_patch()


def _addressed(kind: Kind, namespace: str, body: Json, *, name: str | None) -> Json:
    """The body, if it is an object of this kind at this address."""
    given = (str(body.get("apiVersion")), body.get("kind"))
    if body.get("kind") and body.get("apiVersion") and given != (kind.api_version, kind.kind):
        source, goal = given[0].rpartition("/")[2], kind.group.partition(".")[0] or "core"
        text = (
            f'{body["kind"]} in version "{body["apiVersion"]}" cannot be handled as a {kind.kind}: '
            f"converting ({source}.{body['kind']}) to ({goal}.{kind.kind}): unknown conversion"
        )
        raise errors.bad_request(text)
    sent = body.get("metadata") or {}
    if not isinstance(sent, dict):
        raise errors.bad_request(f"{kind.kind}.metadata must be an object")
    metadata = dict(sent)
    if kind.namespaced:
        if metadata.get("namespace") not in (None, "", namespace):
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if name is not None:
        if metadata.get("name") not in (None, "", name):
            text = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise errors.bad_request(text)
        metadata["name"] = name
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _unchanged_since(kind: Kind, metadata: Json, live: Entry | None, name: str) -> None:
    """Optimistic locking: the ``uid`` and ``resourceVersion`` a client names must be the current ones."""
    if live is None:
        if metadata.get("uid") or metadata.get("resourceVersion"):
            raise errors.conflict(
                kind, name, "uid mismatch: the provided object specified a uid, and no existing object was found"
            )
        return
    current = live.obj["metadata"]
    if metadata.get("uid") not in (None, "", current["uid"]):
        space = "/".join(p for p in (kind.plural, current.get("namespace"), name) if p)
        why = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{space}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {current['uid']}"
        )
        raise errors.conflict(kind, name, why)
    if metadata.get("resourceVersion") not in (None, "", "0", current["resourceVersion"]):
        raise errors.stale(kind, name)


def _keep_server_metadata(new: Json, live: Json) -> Json:
    metadata = {k: v for k, v in new["metadata"].items() if k not in _SERVER_METADATA}
    metadata |= {k: live["metadata"][k] for k in _SERVER_METADATA if k in live["metadata"]}
    return {**new, "metadata": metadata}


def _part(kind: Kind, live: Json, new: Json, subresource: str) -> Json:
    """What this door may write: all but the status, or nothing but the status."""
    if subresource == "approval":
        conditions = [dict(c) for c in (new.get("status") or {}).get("conditions") or ()]
        status = {**(live.get("status") or {}), "conditions": conditions}
        return {**live, "status": status}
    if subresource in ("status", "finalize"):
        part = "status" if subresource == "status" else "spec"
        kept = {k: v for k, v in live.items() if k != part}
        return {**kept, part: new[part]} if part in new else kept
    if "status" in kind.subresources:
        kept = {k: v for k, v in new.items() if k != "status"}
        return {**kept, "status": live["status"]} if "status" in live else kept
    return new


def _desired(kind: Kind, obj: Json) -> Json:
    """What counts for the generation."""
    hidden = {"metadata", "apiVersion", "kind"}
    if not kind.custom or "status" in kind.subresources:
        hidden.add("status")
    return {k: v for k, v in obj.items() if k not in hidden}


def _job_labels(job: Json) -> None:
    """A server labels a Job's pods with its uid and selects them by it."""
    uid, name = job["metadata"].get("uid"), job["metadata"].get("name")
    spec = job["spec"]
    if spec.get("manualSelector") or "selector" in spec:
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    labels |= {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    labels |= {"controller-uid": uid, "job-name": name}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
