"""One request about objects, from verb and target to status and body. Knows nothing of the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emco_simcluster import bodies, errors
from emco_simcluster.controllers.world import ANNOTATION_LOG
from emco_simcluster.deletes import DeleteOptions, Deleter
from emco_simcluster.incoming import APPLY_PATCH, Options, patched_with
from emco_simcluster.kinds import REVIEWS
from emco_simcluster.reads import list_body, selection
from emco_simcluster.routes import Target
from emco_simcluster.scale import scale_of, with_scale
from emco_simcluster.storage import Store, encode
from emco_simcluster.tls import User
from emco_simcluster.writes import Writer, Written

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request without its connection."""

    verb: str
    target: Target
    query: Mapping[str, str]
    user: User
    agent: str = ""
    media: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and media type of an answer."""

    status: int
    body: bytes
    media: str = "application/json"


@dataclass(slots=True)
class Verbs:
    """All verbs but watch."""

    store: Store
    writer: Writer
    deleter: Deleter

    def answer(self, call: Call) -> Reply:
        """Do it. Raises ``ApiError``."""
        if call.verb == "list":
            return Reply(200, list_body(self.store, call.target.kind, call.target.namespace, call.query))
        if call.verb == "get":
            return self._get(call)
        if call.verb in ("delete", "deletecollection"):
            return self._delete(call)
        return self._write(call)

    def _get(self, call: Call) -> Reply:
        kind, target = call.target.kind, call.target
        entry = self.store.get(kind.key, target.space, target.name)
        if entry is None:
            raise errors.not_found(kind, target.name)
        if target.subresource == "log":
            return Reply(200, _log_of(entry.obj, call.query), "text/plain")
        if target.subresource == "scale":
            return Reply(200, encode(scale_of(kind, entry.obj)))
        return Reply(200, entry.as_version(kind.api_version))

    def _write(self, call: Call) -> Reply:
        target = call.target
        apply = call.verb == "apply"
        options = bodies.write_options(call.query, agent=call.agent, user=call.user, apply=apply, size=len(call.body))
        if target.kind.plural in REVIEWS:
            return Reply(201, encode(_review(target.kind.plural, bodies.json_object(call.body, call.media), call.user)))
        if target.subresource == "scale":
            return self._scale(call, options)
        written = self._written(call, options)
        return Reply(201 if written.created else 200, written.entry.as_version(target.kind.api_version))

    def _written(self, call: Call, options: Options) -> Written:
        target, writer = call.target, self.writer
        if call.verb == "create":
            if target.kind.namespaced and target.namespace is None:
                raise errors.method_not_allowed()
            body = bodies.json_object(call.body, call.media)
            return writer.create(target.kind, target.space, body, options=options)
        where = (target.kind, target.space, target.name)
        if call.verb == "update":
            body = bodies.json_object(call.body, call.media)
            return writer.update(*where, body, options=options, subresource=target.subresource)
        if call.verb == "apply":
            body = bodies.json_object(call.body, APPLY_PATCH)
            return writer.apply(*where, body, options=options, subresource=target.subresource)
        patch = bodies.document(call.body, call.media)
        return writer.patch(*where, call.media, patch, options=options, subresource=target.subresource)

    def _scale(self, call: Call, options: Options) -> Reply:
        kind, target = call.target.kind, call.target
        entry = self.store.get(kind.key, target.space, target.name)
        if entry is None:
            raise errors.not_found(kind, target.name)
        current = scale_of(kind, entry.obj)
        if call.verb == "update":
            wanted: Any = bodies.json_object(call.body, call.media)
        elif call.verb == "apply":
            wanted = {**current, "spec": bodies.json_object(call.body, APPLY_PATCH).get("spec") or {}}
        else:
            wanted = patched_with(call.media, current, bodies.document(call.body, call.media), kind)
        body = with_scale(kind, entry.obj, wanted)
        written = self.writer.update(kind, target.space, target.name, body, options=options, subresource="scale")
        return Reply(200, encode(scale_of(kind, written.entry.obj)))

    def _delete(self, call: Call) -> Reply:
        kind, target = call.target.kind, call.target
        body = bodies.json_object(call.body, call.media) if call.body.strip() else {}
        options = DeleteOptions.read(body, dict(call.query))
        if call.verb == "delete":
            deleted = self.deleter.delete(kind, target.space, target.name, options)
            if not deleted.gone or kind.kind in ("Pod", "Service", "ServiceAccount", "PersistentVolumeClaim"):
                return Reply(200, deleted.entry.as_version(kind.api_version))
            details = {"name": target.name, "group": kind.group, "kind": kind.plural}
            details["uid"] = deleted.entry.obj["metadata"]["uid"]
            shown = {k: v for k, v in details.items() if v}
            return Reply(200, encode({**_SUCCESS, "details": shown}))
        if target.namespace is None and kind.namespaced:
            raise errors.method_not_allowed()
        chosen = selection(kind, call.query)
        entries = [e for e in self.store.entries(kind.key, target.namespace) if chosen is None or chosen(e.obj)]
        for entry in entries:
            self.deleter.delete(kind, target.space, entry.obj["metadata"]["name"], options)
        head = {"kind": kind.list_name, "apiVersion": kind.api_version}
        metadata = {"resourceVersion": str(self.store.revision)}
        return Reply(200, encode({**head, "metadata": metadata, "items": [e.obj for e in entries]}))


_SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def _review(plural: str, body: Json, user: User) -> Json:
    """Who am I, and may I: everybody who is authenticated may everything here."""
    if plural == "selfsubjectreviews":
        return {**body, "status": {"userInfo": {"username": user.name, "groups": list(user.groups)}}}
    return {**body, "status": {"allowed": True, "reason": "simulated: every authenticated user may do everything"}}


def _log_of(pod: Json, query: Mapping[str, str]) -> bytes:
    """What the pod's annotation says that its container has written, from the line asked for."""
    text = (pod["metadata"].get("annotations") or {}).get(ANNOTATION_LOG, "simulated: this container never ran\n")
    lines, tail = str(text).splitlines(keepends=True), query.get("tailLines", "")
    return "".join(lines[-int(tail) :] if tail.isdecimal() and int(tail) else lines).encode()
