"""The memory of one cluster: its objects, one revision counter, and a bounded history of changes per resource.

Stored objects are never changed in place. An object is encoded at most once per write, on first need, and its bytes are
shared by every get, list and watch.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from emco_simcluster.kinds import Kind, ResourceKey

Json = dict[str, Any]
Place = tuple[ResourceKey, str, str]
"""Resource, namespace ("" for cluster-wide ones) and name of an object."""


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def encode(value: Any) -> bytes:
    """JSON as it goes over the wire."""
    return _encode(value).encode()


class Entry:
    """One stored state of one object."""

    __slots__ = ("_bare", "obj", "revision")

    def __init__(self, obj: Json, revision: int) -> None:
        self.obj, self.revision = obj, revision
        self._bare: bytes | None = None

    @property
    def bare(self) -> bytes:
        """Encoded without apiVersion and kind, as lists of built-in kinds show their items."""
        if self._bare is None:
            self._bare = encode({k: v for k, v in self.obj.items() if k not in ("apiVersion", "kind")})
        return self._bare

    @property
    def encoded(self) -> bytes:
        return self.as_version(self.obj["apiVersion"])

    def as_version(self, api_version: str) -> bytes:
        """Encoded in a served version; versions differ in their name only (conversion ``None``)."""
        return encode({"apiVersion": api_version, "kind": self.obj["kind"]})[:-1] + b"," + self.bare[1:]


class Change:
    """One event: ``ADDED``, ``MODIFIED`` or ``DELETED``, with the state after (for deletions the last) and before."""

    __slots__ = ("_frame", "before", "entry", "place", "revision", "type")

    def __init__(self, type_: str, place: Place, entry: Entry, before: Entry | None) -> None:
        self.type, self.place, self.entry, self.before = type_, place, entry, before
        self.revision = entry.revision
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """The event as a watch sends it, encoded once for all watchers."""
        if self._frame is None:
            self._frame = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.entry.encoded)
        return self._frame


_revision = attrgetter("revision")


class Log:
    """The last changes of one resource. Watchers hold a revision and ask for what came after it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changes: list[Change] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._forgotten = 0

    @property
    def forgotten(self) -> int:
        """Changes up to this revision are no longer known."""
        excess = len(self._changes) - self._limit
        return max(self._forgotten, self._changes[excess - 1].revision if excess > 0 else 0)

    def append(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > 2 * self._limit:
            self.forget(self._changes[-self._limit - 1].revision)
        if self._waiting:
            self.wake()

    def after(self, revision: int) -> list[Change] | None:
        """The changes after a revision, or None if some of them are forgotten."""
        if self._changes and self._changes[-1].revision <= revision:
            return []
        if revision < self.forgotten:
            return None
        return self._changes[bisect_right(self._changes, revision, key=_revision) :]

    def forget(self, revision: int) -> None:
        """Drop the changes up to a revision: who has not seen them must list again."""
        self._changes = self._changes[bisect_right(self._changes, revision, key=_revision) :]
        self._forgotten = max(self._forgotten, revision)

    async def news(self, seconds: float) -> None:
        """Return at the next change, or after some seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            self._waiting.discard(future)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Store:
    """All objects of a cluster. Not thread-safe: one event loop owns it."""

    def __init__(self, *, history: int) -> None:
        self._history = history
        self._objects: dict[ResourceKey, dict[str, dict[str, Entry]]] = {}
        self._logs: dict[ResourceKey, Log] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._uids: dict[str, Place] = {}
        self._dependents: dict[str, set[Place]] = {}
        self.revision = 1

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` after every change, in order; it must not block."""
        self._listeners.append(listener)

    def log(self, key: ResourceKey) -> Log:
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = Log(self._history)
        return log

    def get(self, key: ResourceKey, namespace: str, name: str) -> Entry | None:
        return self._objects.get(key, {}).get(namespace, {}).get(name)

    def at(self, place: Place) -> Entry | None:
        return self.get(*place)

    def by_uid(self, uid: str) -> Place | None:
        return self._uids.get(uid)

    def dependents(self, uid: str) -> list[Place]:
        """The objects that name an owner of this uid."""
        return list(self._dependents.get(uid, ()))

    def entries(self, key: ResourceKey, namespace: str | None = None) -> list[Entry]:
        """The objects of a resource in the order of a real server: by namespace, then name."""
        spaces = self._objects.get(key, {})
        chosen = sorted(spaces) if namespace is None else [namespace]
        return [spaces[ns][name] for ns in chosen if ns in spaces for name in sorted(spaces[ns])]

    def everything(self) -> Iterator[tuple[ResourceKey, Entry]]:
        for key, spaces in self._objects.items():
            for names in spaces.values():
                for entry in names.values():
                    yield key, entry

    def namespace_content(self, namespace: str) -> list[Place]:
        return [
            (key, namespace, name) for key, spaces in self._objects.items() for name in list(spaces.get(namespace, ()))
        ]

    def put(self, kind: Kind, obj: Json) -> Entry:
        """Write an object under the next revision, in the kind's stored version."""
        self.revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
        entry = Entry({**obj, "apiVersion": kind.storage_api_version, "metadata": metadata}, self.revision)
        place = (kind.key, metadata.get("namespace", ""), metadata["name"])
        names = self._objects.setdefault(place[0], {}).setdefault(place[1], {})
        before = names.get(place[2])
        names[place[2]] = entry
        self._index(place, before, entry)
        self._publish(Change("MODIFIED" if before else "ADDED", place, entry, before))
        return entry

    def remove(self, place: Place) -> Entry | None:
        """Take an object away; its last state gets the revision of the removal."""
        names = self._objects.get(place[0], {}).get(place[1], {})
        before = names.pop(place[2], None)
        if before is None:
            return None
        if not names:
            del self._objects[place[0]][place[1]]
        self.revision += 1
        metadata = {**before.obj["metadata"], "resourceVersion": str(self.revision)}
        last = Entry({**before.obj, "metadata": metadata}, self.revision)
        self._index(place, before, None)
        self._publish(Change("DELETED", place, last, before))
        return last

    def forget_history(self) -> None:
        """Every watch that is not up to date must list again (410)."""
        for log in self._logs.values():
            log.forget(self.revision)
            log.wake()

    def wipe(self) -> None:
        """Lose all state, without events: a fresh cluster under the same address."""
        self._objects.clear()
        self._uids.clear()
        self._dependents.clear()
        logs, self._logs = self._logs, {}
        self.revision = 1
        for log in logs.values():
            log.wake()

    def _index(self, place: Place, before: Entry | None, after: Entry | None) -> None:
        if before is not None:
            old = before.obj["metadata"]
            if after is None or after.obj["metadata"].get("uid") != old.get("uid"):
                self._uids.pop(old.get("uid", ""), None)
            for owner in old.get("ownerReferences") or ():
                places = self._dependents.get(owner.get("uid", ""))
                if places is not None:
                    places.discard(place)
                    if not places:
                        del self._dependents[owner.get("uid", "")]
        if after is not None:
            new = after.obj["metadata"]
            self._uids[new.get("uid", "")] = place
            for owner in new.get("ownerReferences") or ():
                self._dependents.setdefault(owner.get("uid", ""), set()).add(place)

    def _publish(self, change: Change) -> None:
        self.log(change.place[0]).append(change)
        for listener in self._listeners:
            listener(change)
