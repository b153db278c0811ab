"""The reading verbs over the store: one object, lists in pages, and watches."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emco_simcluster import errors
from emco_simcluster.errors import ApiError, Cause
from emco_simcluster.kinds import Kind
from emco_simcluster.selectors import Predicate, both, field_predicate, label_predicate
from emco_simcluster.storage import Change, Entry, Log, Store, encode

Json = dict[str, Any]

DEFAULT_WATCH_SECONDS = 1_800.0


def selection(kind: Kind, query: Mapping[str, str]) -> Predicate | None:
    """What the selectors of a request choose."""
    return both(
        label_predicate(query.get("labelSelector", "")),
        field_predicate(query.get("fieldSelector", ""), plural=kind.plural),
    )


def list_body(store: Store, kind: Kind, namespace: str | None, query: Mapping[str, str]) -> bytes:
    """The answer to a list request: one page with ``limit``, else everything."""
    revision, start = _position(store, kind, query)
    chosen = selection(kind, query)
    entries = store.entries(kind.key, namespace)
    if start is not None:
        entries = [e for e in entries if _place(e) > start]
    if chosen is not None:
        entries = [e for e in entries if chosen(e.obj)]
    metadata: Json = {"resourceVersion": str(revision)}
    limit = _number(query, "limit")
    if limit and len(entries) > limit:
        metadata["continue"] = _token(revision, entries[limit - 1])
        if chosen is None:
            metadata["remainingItemCount"] = len(entries) - limit
        entries = entries[:limit]
    if kind.custom:
        items = b",".join(e.as_version(kind.api_version) for e in entries)
    else:
        items = b",".join(e.bare for e in entries)
    head = encode({"kind": kind.list_name, "apiVersion": kind.api_version, "metadata": metadata})
    return head[:-1] + b',"items":[' + items + b"]}"


def _place(entry: Entry) -> tuple[str, str]:
    return entry.obj["metadata"].get("namespace", ""), entry.obj["metadata"]["name"]


def _position(store: Store, kind: Kind, query: Mapping[str, str]) -> tuple[int, tuple[str, str] | None]:
    """The revision of a list, and after which object its page begins."""
    token = query.get("continue")
    if not token:
        wanted = _number(query, "resourceVersion")
        if wanted > store.revision:
            raise _too_new(wanted, store.revision)
        if query.get("resourceVersionMatch") == "Exact" and wanted != store.revision:
            if store.log(kind.key).after(wanted) != []:
                raise errors.expired(f"The resourceVersion for the provided list is too old: {wanted}")
            return wanted, None
        return store.revision, None
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, TypeError) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error
    if store.log(kind.key).after(int(revision)) is None:
        raise errors.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter."
        )
    return int(revision), (str(namespace), str(name))


def _token(revision: int, last: Entry) -> str:
    return base64.urlsafe_b64encode(encode([revision, *_place(last)])).decode()


def _too_new(wanted: int, current: int) -> ApiError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    text = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, "Timeout", text, details={"causes": causes}, retry_after=1)


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isascii() or not text.isdigit():
        raise errors.bad_request(f"{name}: Invalid value: {text!r}: must be a number")
    return int(text)


@dataclass(slots=True)
class Watch:
    """One watch: which changes it wants, and up to which revision it has seen them."""

    kind: Kind
    namespace: str | None
    chosen: Predicate | None
    revision: int
    seconds: float
    bookmarks: bool
    initial: bool
    marked: bool = False

    @classmethod
    def read(cls, store: Store, kind: Kind, namespace: str | None, query: Mapping[str, str]) -> Watch:
        """From a request; contradicting options are refused as a real server does."""
        initial = query.get("sendInitialEvents") in ("true", "1")
        match = query.get("resourceVersionMatch", "")
        if initial and match != "NotOlderThan":
            raise errors.invalid_options(
                "ListOptions",
                [
                    Cause.forbidden(
                        "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    )
                ],
            )
        if match and "sendInitialEvents" not in query:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            raise errors.invalid_options("ListOptions", [Cause.forbidden("resourceVersionMatch", text)])
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        revision = _number(query, "resourceVersion")
        seconds = float(_number(query, "timeoutSeconds")) or DEFAULT_WATCH_SECONDS
        start = initial or (not revision and "sendInitialEvents" not in query)
        return cls(
            kind=kind,
            namespace=namespace,
            chosen=selection(kind, query),
            revision=store.revision if start or not revision else revision,
            seconds=seconds,
            bookmarks=bookmarks,
            initial=start,
            marked=initial and bookmarks,
        )

    async def frames(
        self, store: Store, *, bookmark_every: float, clock: Callable[[], float] = time.monotonic
    ) -> AsyncIterator[bytes]:
        """The body of the answer, piece by piece, until the time is over or history is lost (a 410 event)."""
        log = store.log(self.kind.key)
        end = clock() + self.seconds
        if self.initial:
            first = b"".join(self._initial(store))
            if first:
                yield first
        bookmark_at = clock() + bookmark_every
        while True:
            changes = log.after(self.revision)
            if changes is None:
                yield _frame("ERROR", encode(self._expired(log)))
                return
            if changes:
                self.revision = changes[-1].revision
                data = b"".join(filter(None, map(self._shown, changes)))
                if data:
                    yield data
                continue
            now = clock()
            if now >= end:
                if self.bookmarks:
                    yield self._bookmark(store)
                return
            if self.bookmarks and now >= bookmark_at:
                bookmark_at = now + bookmark_every
                yield self._bookmark(store)
                continue  # while it was sent something may have happened
            await log.news(min(end, bookmark_at if self.bookmarks else end) - now)

    def _initial(self, store: Store) -> list[bytes]:
        entries = store.entries(self.kind.key, self.namespace)
        frames = [
            _frame("ADDED", e.as_version(self.kind.api_version))
            for e in entries
            if self.chosen is None or self.chosen(e.obj)
        ]
        if self.marked:
            frames.append(self._bookmark(store, annotations={"k8s.io/initial-events-end": "true"}))
        return frames

    def _bookmark(self, store: Store, *, annotations: Json | None = None) -> bytes:
        metadata: Json = {"resourceVersion": str(max(self.revision, store.revision)), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        body = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        return _frame("BOOKMARK", encode(body))

    def _shown(self, change: Change) -> bytes | None:
        """The change as this watch sees it: what enters its selection is added, what leaves it deleted."""
        if self.namespace is not None and change.place[1] != self.namespace:
            return None
        type_ = change.type
        if self.chosen is not None:
            was = change.before is not None and self.chosen(change.before.obj)
            stays = change.type != "DELETED" and self.chosen(change.entry.obj)
            if not was and not stays:
                return None
            type_ = "MODIFIED" if was and stays else "ADDED" if stays else "DELETED"
        if type_ == change.type and change.entry.obj["apiVersion"] == self.kind.api_version:
            return change.frame()
        return _frame(type_, change.entry.as_version(self.kind.api_version))

    def _expired(self, log: Log) -> Json:
        return errors.expired(f"too old resource version: {self.revision} ({log.forgotten})").body()


def is_bookmark(frame: bytes) -> bool:
    return frame.startswith(b'{"type":"BOOKMARK"')


def _frame(type_: str, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), body)
