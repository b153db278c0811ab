"""Asynchronous access to one cluster: raw JSON in, raw JSON out, errors from the tree in ``kube.errors``.

Every call has a deadline and reads a bounded answer. A client may be shared by any number of tasks of one event loop.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from emco_common.kube.api import Carrier, Json, ObjectList, Ref, WatchEvent
from emco_common.kube.certificates import end_of
from emco_common.kube.discovery import Discovery, Kind, Resource
from emco_common.kube.errors import (
    AlreadyExists,
    BadAnswer,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    UnknownKind,
    error_from_event,
)
from emco_common.kube.kubeconfig import Kubeconfig
from emco_common.kube.network import Network
from emco_common.kube.transport import transport_to

T = TypeVar("T")
LOG_SECONDS = 10.0
"""A server that has begun to tell a log and says nothing more for so long is not waited for."""
PAGE = 500
"""Objects per page of a list."""
MAX_LISTED = 100_000
"""Objects of one list that are taken at most; a member cluster may be hostile and answer page after page."""
SHORT_WATCH = 10
"""Seconds up to which a watch is a question what has changed, for which no connection is kept."""
_APPLY = "application/apply-patch+yaml"
_MAY_NOT_PATCH = "cannot patch resource"
"""How an API server says that it is the user's rights, and not a quota or a policy."""


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """``Invalid`` if the manifest does not say."""
    api_version, kind = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
        raise Invalid("apiVersion and kind are missing or not strings")
    return Kind(api_version, kind)


def ref_of(obj: Mapping[str, Any], *, namespace: str = "") -> Ref:
    """The address of a manifest; ``namespace`` where it names none itself. ``Invalid`` without a name."""
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise Invalid("metadata.name is missing or not a string")
    own = metadata.get("namespace")
    return Ref(kind_of(obj), name, own if isinstance(own, str) and own else namespace)


class KubeClient:
    """``timeout`` is the default deadline of a call in seconds.

    ``network`` is what all clients of a process share; ``carrier`` is there if it is not the network that carries.
    A kind whose version the cluster does not serve any more is reached, and sent, as the later one that is served: the
    ``apiVersion`` of an answer tells. What is listed keeps the version that was asked for.
    """

    def __init__(
        self,
        kubeconfig: Kubeconfig,
        *,
        connections: int = 8,
        watches: int = 64,
        timeout: float = 15.0,
        carrier: Carrier | None = None,
        network: Network | None = None,
    ) -> None:
        self._transport = carrier or transport_to(
            kubeconfig, connections=connections, watches=watches, timeout=timeout, network=network
        )
        self._discovery = Discovery(self._fetch)
        self.server = kubeconfig.server
        self.namespace = kubeconfig.namespace or "default"
        self._certificate = kubeconfig.client_certificate

    @property
    def expires(self) -> datetime | None:
        """When the certificate of the caller ends; ``None`` where there is none."""
        return end_of(self._certificate) if self._certificate is not None else None

    @property
    def lapses(self) -> int:
        return self._transport.lapses

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def version(self, *, timeout: float | None = None) -> Json:
        """The server's ``/version``; the cheapest proof that it is there."""
        answer = await self._transport.request("GET", "/version", timeout=timeout)
        if not isinstance(answer.get("gitVersion"), str):
            raise BadAnswer(f"{self.server}: does not tell its version as an API server does")
        return answer

    async def check_identity(self, *, timeout: float | None = None) -> None:
        """``Unauthorized`` if the server does not know us any more; ``/version`` answers strangers as well."""
        try:
            await self._transport.request("GET", "/api", timeout=timeout)
        except Forbidden:
            return  # it knows whom it refuses

    async def resource(self, kind: Kind) -> Resource:
        """How the cluster serves ``kind``; ``UnknownKind``."""
        return await self._discovery.resource(kind)

    async def get(self, ref: Ref) -> Json:
        return await self._call("GET", ref)

    async def list(self, kind: Kind, *, namespace: str = "", selector: str = "") -> ObjectList:
        """Every object of a kind, read page by page; all namespaces if none is named."""
        try:
            return await self._pages(kind, namespace=namespace, selector=selector, page=PAGE)
        except Gone:  # the first page grew too old while the others were read
            return await self._pages(kind, namespace=namespace, selector=selector, page=0)

    async def create(self, obj: Mapping[str, Any], *, manager: str = "", namespace: str = "") -> Json:
        """``AlreadyExists`` if the name is taken."""
        query = {"fieldManager": manager} if manager else None
        ref = ref_of(obj, namespace=namespace or self.namespace)
        return await self._call("POST", ref, query=query, obj=obj, collection=True)

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        namespace: str = "",
        encoded: bytes | None = None,
    ) -> Json:
        """Server-side apply: the object exists as ``obj`` says, or an error tells why not. Safe to repeat.

        ``force`` takes fields over from other managers instead of raising ``FieldConflict``; ``namespace`` is for a
        namespaced object that names none; ``encoded`` is ``encode(obj)``, for one object that goes to many clusters.
        A user who may not patch but create can bring what is not there yet.
        """
        ref = ref_of(obj, namespace=namespace or self.namespace)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        try:
            return await self._call("PATCH", ref, query=query, obj=obj, body=encoded, content_type=_APPLY)
        except Forbidden as refused:
            if dry_run or _MAY_NOT_PATCH not in str(refused):
                raise
            try:
                return await self.create(obj, manager=manager, namespace=namespace)
            except (AlreadyExists, Forbidden):
                raise refused from None

    async def patch(self, ref: Ref, change: Mapping[str, Any], *, subresource: str = "") -> Json:
        """JSON merge patch."""
        body = json.dumps(change, separators=(",", ":")).encode()
        return await self._call(
            "PATCH", ref, body=body, content_type="application/merge-patch+json", subresource=subresource
        )

    async def replace(self, obj: Mapping[str, Any], *, subresource: str = "") -> Json:
        """PUT; ``Conflict`` if the object was written since its ``resourceVersion``."""
        ref = ref_of(obj, namespace=self.namespace)
        return await self._call("PUT", ref, obj=obj, subresource=subresource)

    async def delete(self, ref: Ref, *, propagation: str = "Background", uid: str = "") -> Json:
        """Ask for deletion; ``NotFound`` if it is gone already, ``Conflict`` if ``uid`` is not the present one.

        The answer is the object on its way out, or a ``Status``. Gone it is only when a later read says so.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._call("DELETE", ref, body=json.dumps(options, separators=(",", ":")).encode())

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        selector: str = "",
        namespace: str = "",
        renew: int = 240,
        silence: float = 100.0,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after ``resource_version`` (of a list), for ever, bookmarks included.

        The server ends each stream after ``renew`` seconds and it is taken up where it stopped. A server sends
        bookmarks about once a minute, so a stream without a byte for ``silence`` seconds is taken for dead:
        ``Unreachable``. ``NoRoom``: the process may keep no further connection open; ask now and then, with a
        ``renew`` of at most ``SHORT_WATCH``.
        ``Gone``: the version is too old, list again. After any other error too the caller may go
        on from the last event it saw. Who stops early closes it (``contextlib.aclosing``).
        """
        resource = await self._discovery.resource(kind)
        while True:
            lines = self._changes(resource, resource_version, selector, namespace, renew, silence)
            try:
                async for line in lines:
                    event = _event(line)
                    resource_version = event.resource_version or resource_version
                    yield event
                    del event, line  # a quiet stream keeps nothing of what came last
            except UnknownKind:
                served = await self._served_now(kind)
                if served == resource:
                    raise
                raise Gone(f"{kind} is served as {served.api_version} now") from None
            finally:
                await lines.aclose()

    def _changes(
        self, resource: Resource, version: str, selector: str, namespace: str, renew: int, silence: float
    ) -> AsyncGenerator[bytes, None]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(renew),
        }
        if selector:
            query["labelSelector"] = selector
        return self._transport.lines(
            resource.path(namespace=namespace),
            query=query,
            accept="application/json",
            silence=min(silence, renew + 10),
            lasting=renew > SHORT_WATCH,
        )

    async def log_tail(self, ref: Ref, *, container: str, lines: int, limit: int) -> Sequence[str]:
        """The last lines that a container of the pod has written, at most ``limit`` bytes of them."""
        path = (await self._discovery.resource(ref.kind)).path(
            namespace=ref.namespace or self.namespace, name=ref.name, subresource="log"
        )
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(limit * 4)}
        found: deque[str] = deque(maxlen=lines)
        spent = 0
        async with aclosing(self._transport.lines(path, query=query, accept="*/*", silence=LOG_SECONDS)) as stream:
            async for line in stream:
                found.append(line.decode(errors="replace"))
                spent += len(line)
                if spent > limit * 4:
                    break
        return list(found)

    async def _pages(self, kind: Kind, *, namespace: str, selector: str, page: int) -> ObjectList:
        query = {"limit": str(page)} if page else {}
        if selector:
            query["labelSelector"] = selector
        items: list[Json] = []

        async def next_page(resource: Resource) -> Json:
            return await self._transport.request("GET", resource.path(namespace=namespace), query=query)

        while True:
            answer = await self._as_served(kind, next_page)
            metadata, found = answer.get("metadata"), answer.get("items")
            if not isinstance(metadata, dict) or not isinstance(found, list | None) or "items" not in answer:
                raise BadAnswer(f"{self.server}: the answer is not a list of {kind}")  # and not that there are none
            items.extend(
                {**item, "apiVersion": kind.api_version, "kind": kind.kind}
                for item in found or []
                if isinstance(item, dict)
            )
            if len(items) > MAX_LISTED:
                raise BadAnswer(f"{self.server}: lists more than {MAX_LISTED} objects of {kind}")
            following = metadata.get("continue")
            if not following:
                return ObjectList(tuple(items), str(metadata.get("resourceVersion", "")))
            query["continue"] = str(following)

    async def _call(
        self,
        method: str,
        ref: Ref,
        *,
        query: Mapping[str, str] | None = None,
        obj: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        subresource: str = "",
        collection: bool = False,
    ) -> Json:
        """``obj`` is sent, or ``body``, which is its encoding where both are given."""
        place = {"namespace": ref.namespace or self.namespace, "name": "" if collection else ref.name}

        async def ask(resource: Resource) -> Json:
            path = resource.path(**place, subresource=subresource)
            if obj is None or resource.api_version == ref.kind.api_version:
                sent = body if obj is None else body or encode(obj)
                return await self._transport.request(method, path, query=query, body=sent, content_type=content_type)
            sent = encode({**obj, "apiVersion": resource.api_version})
            try:
                return await self._transport.request(method, path, query=query, body=sent, content_type=content_type)
            except KubeError as error:
                raise error.about(f"sent as {resource.api_version}") from error

        answer = await self._as_served(ref.kind, ask)
        if not subresource and not _is_about(answer, ref, status=method == "DELETE"):
            raise BadAnswer(f"{self.server}: the answer to {method} is not about {ref}")
        return answer

    async def _as_served(self, kind: Kind, ask: Callable[[Resource], Awaitable[T]]) -> T:
        """What is known of how the kind is served may have become wrong: then it is asked for once more."""
        resource = await self._discovery.resource(kind)
        try:
            return await ask(resource)
        except UnknownKind:
            served = await self._served_now(kind)
            if served == resource:
                raise
            return await ask(served)

    async def _served_now(self, kind: Kind) -> Resource:
        self._discovery.forget(kind)
        return await self._discovery.resource(kind)

    async def _fetch(self, path: str, *, accept: str) -> Json:
        return await self._transport.request("GET", path, accept=accept)


def _is_about(answer: Json, ref: Ref, *, status: bool) -> bool:
    """Whatever else answers in place of an API server, its word counts neither for success nor for absence."""
    if status and answer.get("kind") == "Status":
        return True
    metadata = answer.get("metadata")
    return isinstance(metadata, dict) and metadata.get("name") == ref.name


def encode(obj: Mapping[str, Any]) -> bytes:
    """Compact JSON; ``Invalid`` for what has none."""
    try:
        return json.dumps(obj, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"the object cannot be written as JSON: {error}") from None


def _event(line: bytes) -> WatchEvent:
    try:
        decoded = orjson.loads(line)
        event = WatchEvent(str(decoded["type"]), decoded["object"])
    except (ValueError, KeyError, TypeError):
        raise BadAnswer("a watch event is not a JSON object with type and object") from None
    if event.type == "ERROR":
        raise error_from_event(event.object)
    if not isinstance(event.object, dict):
        raise BadAnswer("a watch event carries no object")
    return event
