"""One watch per cluster and kind over everything that carries the deployment label, shared by all contexts.

Lists, then watches, and lists again after every interruption and now and then, so that nothing is missed for ever and
nothing taken for deleted that could only not be read. Where no stream is to be had it asks now and then what has
changed. Knows objects and labels, not contexts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from contextvars import copy_context
from typing import TypeVar

import structlog

from emco_common.errors import EmcoError
from emco_common.kube import Kind, KubeApi, KubeError, Ref, errors
from emco_common.kube.api import WatchEvent
from emco_common.tracing.spans import nobodys
from emco_rsync.apply.site import Pace
from emco_rsync.delivery.layout import BUNDLE
from emco_rsync.delivery.reports import objects_of
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL, Json
from emco_rsync.reach.lanes import MAX_PAUSE_SECONDS, Turn
from emco_rsync.reach.links import Link
from emco_rsync.watch.known import Answers, Known, ObjectKey, Share
from emco_rsync.watch.seen import Seen, label_of

_log = structlog.get_logger()
T = TypeVar("T")
_WATCH = "watch"

POLL_SECONDS = 20.0
RENEW_SECONDS = 240
CATCH_UP_SECONDS = 1
"""How long a kind without a stream of its own is asked what has changed."""
RESYNC_SECONDS = 600.0
"""Where every event arrives a list has nothing to add, so one in a long while is enough."""
EVERYBODY = ""
"""In place of a label: what is known of a kind has become complete, or was for a long time."""


class ListNotBelieved(EmcoError):
    """A list lacks what the same cluster still has: nothing is concluded from it."""

    status = 503


class ClusterWatch:
    """What is live on one cluster, by deployment label. ``changed`` is told the labels whose objects have changed.

    What may not be looked at counts as the cluster's monitor reports it, unless ``monitor`` is false.
    After ``resync`` seconds at the latest what is streamed is listed anew: whatever was missed then comes right.
    """

    def __init__(
        self,
        link: Link,
        *,
        pace: Pace,
        resync: float,
        changed: Callable[[Iterable[str]], None],
        share: Share,
        monitor: bool = True,
    ) -> None:
        self.link = link
        self._pace = pace
        self._changed = changed
        self._resync = resync
        self._told_all = 0.0
        self._known = Known(changed, share=share)
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._synced: set[Kind] = set()
        self._late: dict[Kind, float] = {}
        """Since when a kind is not followed, and nobody has said that it is not to be."""
        self._monitor = monitor
        self._barred: set[Kind] = set()
        self._bundles: dict[tuple[str, str], Json] = {}

    def add(self, kinds: Iterable[Kind]) -> None:
        """Watch these as well."""
        for kind in kinds:
            if kind not in self._tasks:
                self._late[kind] = self._pace.clock()
                name = f"watch {kind} on {self.link.identity.cluster}"
                alone = nobodys(copy_context())  # the cluster's, whichever app was the first there
                self._tasks[kind] = asyncio.create_task(self._follow(kind), name=name, context=alone)

    @property
    def late(self) -> float:
        """For how many seconds a kind is not followed that is to be; 0 if all are."""
        return self._pace.clock() - min(self._late.values()) if self._late else 0.0

    def synced(self, kinds: Iterable[Kind]) -> bool:
        """Is what is known of these kinds complete?"""
        return self._synced.issuperset(kinds)

    def objects(self, label: str) -> Mapping[ObjectKey, Seen]:
        return self._known.objects(label)

    def behind(self, key: ObjectKey) -> bool:
        """Has somebody been told a later state of this object than is known here?"""
        return self._known.behind(key)

    def saw(self, obj: Json) -> None:
        """An object as the cluster answered it to somebody else's call."""
        kind = Kind(str(obj.get("apiVersion")), str(obj.get("kind")))
        if kind in self._tasks:
            self._known.answered(kind, obj)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, kind: Kind) -> None:
        failures, patience = 0, 0.0
        while True:
            try:
                client = await self.link.available()
                version = await self._list(kind)
                self._late.pop(kind, None)
                client = await self.link.available()
                spread = 0.5 + self._pace.backoff.random() / 2  # lists that came together do not come together again
                try:
                    async with asyncio.timeout(self._resync * spread):
                        await self._stay(client, kind, version)
                except TimeoutError:
                    failures = 0
            except errors.UnknownKind:
                failures += 1
                self._late.pop(kind, None)
                if kind != BUNDLE:
                    self._listed(kind, (), before=self._known.answers())  # what is not served does not exist
            except errors.Forbidden as error:
                failures += 1
                self._late.pop(kind, None)
                _log.info("kind_not_to_be_seen", cluster=self.link.identity.cluster, kind=str(kind), why=str(error))
                self._believe_monitor(kind)
            except KubeError as error:
                failures += 1
                self._late.setdefault(kind, self._pace.clock())
                patience = min(error.retry_after, MAX_PAUSE_SECONDS)
                self.link.doubt(error, client=client)
                if not isinstance(error, errors.Gone):
                    _log.info("watch_interrupted", cluster=self.link.identity.cluster, kind=str(kind), why=str(error))
            except EmcoError as error:
                failures += 1
                self._late.setdefault(kind, self._pace.clock())
                _log.info("watch_interrupted", cluster=self.link.identity.cluster, kind=str(kind), why=str(error))
            except Exception:
                failures += 1
                self._late.setdefault(kind, self._pace.clock())
                _log.exception("watch_failed", cluster=self.link.identity.cluster, kind=str(kind))
            else:
                failures = 0
            if failures:
                await self._pace.sleep(self._pace.backoff.delay(failures, at_least=patience))
                patience = 0.0

    async def _list(self, kind: Kind) -> str:
        """Take in everything of the kind. Answers from where to watch, and keeps nothing of the list."""
        before = self._known.answers()
        listed = await self._ask(kind, lambda client: client.list(kind, selector=DEPLOYMENT_LABEL))
        if kind == BUNDLE:
            self._bundles = {_address(bundle): bundle for bundle in listed.items}
            self._reported()
            return listed.resource_version
        await self._confirm(kind, listed.items)
        self._barred.discard(kind)
        self._listed(kind, listed.items, before=before)
        return listed.resource_version

    async def _ask(self, kind: Kind, operation: Callable[[KubeApi], Awaitable[T]]) -> T:
        """In turn with all others who look at something there, and not while the cluster asks for patience."""
        return await self.link.call(operation, turn=Turn(_WATCH, f"{_WATCH} {kind}", kind.kind, reading=True))

    async def _confirm(self, kind: Kind, items: Iterable[Json]) -> None:
        """A list from which something is missing is believed when one thing that is missing is read as gone."""
        missing = self._known.missing(kind, items)
        if not missing:
            return
        _, namespace, name = missing[int(self._pace.backoff.random() * len(missing))]
        try:
            present = await self._ask(kind, lambda client: client.get(Ref(kind, name, namespace)))
        except (errors.NotFound, errors.UnknownKind):
            return
        if label_of(present):
            raise ListNotBelieved(
                f"{kind} {name}: is missing from the list, with {len(missing) - 1} others, and is there"
            )

    async def _stay(self, client: KubeApi, kind: Kind, version: str) -> None:
        """Follow what changes after a list, until cancelled."""
        while True:
            watch = client.watch(kind, resource_version=version, selector=DEPLOYMENT_LABEL, renew=RENEW_SECONDS)
            try:
                async for event in watch:
                    self._happened(kind, event)
                    del event  # a quiet stream keeps nothing of what came last
            except errors.NoRoom:  # as many connections to clusters are open as may be
                pass
            finally:
                await watch.aclose()
            await self._pace.sleep(POLL_SECONDS * (0.5 + self._pace.backoff.random()))
            version = await self._catch_up(client, kind, version)

    async def _catch_up(self, client: KubeApi, kind: Kind, version: str) -> str:
        """What has changed since, and from where to ask the next time: much less than a list."""
        short = client.watch(kind, resource_version=version, selector=DEPLOYMENT_LABEL, renew=CATCH_UP_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS * 2), aclosing(short) as watch:
                async for event in watch:
                    self._happened(kind, event)
                    version = event.resource_version or version
                    if event.type == "BOOKMARK":
                        break
        return version

    def _happened(self, kind: Kind, event: WatchEvent) -> None:
        if event.type not in ("ADDED", "MODIFIED", "DELETED"):
            return
        obj, deleted = event.object, event.type == "DELETED"
        if kind != BUNDLE:
            self._known.happened(kind, obj, deleted=deleted)
            return
        self._bundles.pop(_address(obj), None)
        if not deleted:
            self._bundles[_address(obj)] = obj
        self._reported()

    def _believe_monitor(self, kind: Kind) -> None:
        if self._monitor and kind != BUNDLE:
            self._barred.add(kind)
            self.add([BUNDLE])

    def _reported(self) -> None:
        """The monitor's reports stand for what may not be seen; where there is none, nothing is known."""
        if not (self._barred and self._bundles):
            return
        found: dict[Kind, list[Json]] = {kind: [] for kind in self._barred}
        for bundle in self._bundles.values():
            if isinstance(bundle.get("status"), dict):
                for obj in objects_of(bundle, label=label_of(bundle)):
                    found.get(Kind(str(obj["apiVersion"]), str(obj["kind"])), []).append(obj)
        for kind, objects in found.items():
            self._listed(kind, objects, before=self._known.answers())

    def _listed(self, kind: Kind, items: Iterable[Json], *, before: Answers) -> None:
        self._known.listed(kind, items, before=before)
        now = self._pace.clock()
        if kind not in self._synced or now - self._told_all >= self._resync:
            self._synced.add(kind)
            self._told_all = now
            self._changed([EVERYBODY])


def _address(obj: Json) -> tuple[str, str]:
    metadata = obj.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    return str(fields.get("namespace") or ""), str(fields.get("name") or "")
