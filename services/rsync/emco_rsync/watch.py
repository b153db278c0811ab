"""One watch per cluster and kind over everything that carries the deployment label, shared by all contexts.

Lists, then watches, and lists again after every interruption, so that nothing is missed and nothing taken for deleted
that could only not be read. A kind for which no stream is to be had is polled. Knows objects and labels, not contexts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing

import structlog

from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeClient, KubeError, errors
from emco_rsync.links import Link
from emco_rsync.manifests import DEPLOYMENT_LABEL, Json, deployment_of
from emco_rsync.site import Pace
from emco_rsync.statusdata import trim

_log = structlog.get_logger()

POLL_SECONDS = 20.0
MAX_OBJECTS = 100_000
"""Of one cluster that are held; a hostile one may invent any number."""
EVERYBODY = ""
"""In place of a label: what is known of a kind has become complete."""
ObjectKey = tuple[Kind, str, str]
"""Kind, namespace (empty for cluster-scoped objects), name."""


class StreamBudget:
    """How many streams may be open at a time over all clusters."""

    def __init__(self, streams: int) -> None:
        self._free = streams

    def take(self) -> bool:
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1


class ClusterWatch:
    """What is live on one cluster, by deployment label. ``changed`` is told the labels whose objects have changed."""

    def __init__(
        self, link: Link, *, budget: StreamBudget, pace: Pace, changed: Callable[[Iterable[str]], None]
    ) -> None:
        self.link = link
        self._budget = budget
        self._pace = pace
        self._changed = changed
        self._objects: dict[str, dict[ObjectKey, Json]] = {}
        self._labels: dict[ObjectKey, str] = {}
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._synced: set[Kind] = set()

    def add(self, kinds: Iterable[Kind]) -> None:
        """Watch these as well."""
        for kind in kinds:
            if kind not in self._tasks:
                name = f"watch {kind} on {self.link.identity.cluster}"
                self._tasks[kind] = asyncio.create_task(self._follow(kind), name=name)

    def synced(self, kinds: Iterable[Kind]) -> bool:
        """Is what is known of these kinds complete?"""
        return self._synced.issuperset(kinds)

    def objects(self, label: str) -> Mapping[ObjectKey, Json]:
        return self._objects.get(label, {})

    def saw(self, obj: Json) -> None:
        """An object as the cluster answered it to somebody else's call."""
        kind = Kind(str(obj.get("apiVersion")), str(obj.get("kind")))
        if kind in self._tasks:
            self._keep(_key_of(kind, obj), obj)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, kind: Kind) -> None:
        failures = 0
        while True:
            try:
                client = await self.link.available()
                await self._list_and_watch(client, kind)
            except errors.UnknownKind:
                failures += 1
                self._replace(kind, ())  # what is not served does not exist
            except KubeError as error:
                failures += 1
                self.link.doubt(error, client=client)
                if not isinstance(error, errors.Gone):
                    _log.info("watch_interrupted", cluster=self.link.identity.cluster, kind=str(kind), why=str(error))
            except EmcoError as error:
                failures += 1
                _log.info("watch_interrupted", cluster=self.link.identity.cluster, kind=str(kind), why=str(error))
            except Exception:
                failures += 1
                _log.exception("watch_failed", cluster=self.link.identity.cluster, kind=str(kind))
            else:
                failures = 0
            if failures:
                await self._pace.sleep(self._pace.backoff.delay(failures))

    async def _list_and_watch(self, client: KubeClient, kind: Kind) -> None:
        listed = await client.list(kind, selector=DEPLOYMENT_LABEL)
        self._replace(kind, listed.items)
        if not self._budget.take():
            await self._pace.sleep(POLL_SECONDS)
            return
        try:
            watch = client.watch(kind, resource_version=listed.resource_version, selector=DEPLOYMENT_LABEL)
            async with aclosing(watch):
                async for event in watch:
                    if event.type == "DELETED":
                        self._drop(_key_of(kind, event.object))
                    elif event.type in ("ADDED", "MODIFIED"):
                        self._keep(_key_of(kind, event.object), event.object)
        finally:
            self._budget.give_back()

    def _replace(self, kind: Kind, items: Iterable[Json]) -> None:
        present = {_key_of(kind, item): item for item in items}
        for key in [key for key in self._labels if key[0] == kind and key not in present]:
            self._drop(key)
        for key, item in present.items():
            self._keep(key, item)
        if kind not in self._synced:
            self._synced.add(kind)
            self._changed([EVERYBODY])

    def _keep(self, key: ObjectKey, obj: Json) -> None:
        label = deployment_of(obj)
        former = self._labels.get(key)
        if former is not None and former != label:
            self._drop(key)
        if former == label and _is_older(obj, self._objects[label][key]):
            return
        if not label or (key not in self._labels and len(self._labels) >= MAX_OBJECTS):
            return
        self._labels[key] = label
        self._objects.setdefault(label, {})[key] = trim({**obj, "apiVersion": key[0].api_version, "kind": key[0].kind})
        self._changed([label])

    def _drop(self, key: ObjectKey) -> None:
        label = self._labels.pop(key, None)
        if label is None:
            return
        held = self._objects.get(label, {})
        held.pop(key, None)
        if not held:
            self._objects.pop(label, None)
        self._changed([label])


def _is_older(obj: Json, known: Json) -> bool:
    """Is this what the object was before its specification was last changed?"""
    old, new = known.get("metadata") or {}, obj.get("metadata") or {}
    if old.get("uid") is None or old.get("uid") != new.get("uid"):
        return False
    before, after = old.get("generation"), new.get("generation")
    return isinstance(before, int) and isinstance(after, int) and after < before


def _key_of(kind: Kind, obj: Json) -> ObjectKey:
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return kind, str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
