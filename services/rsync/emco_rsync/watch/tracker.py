"""Follows what was applied: which apps on which clusters are watched, and what is told about them, and to whom.

Live contexts share one watch set per cluster. What changes is gathered for a moment, so that a storm of events costs a
bounded share of the time and the newest state wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from emco_common.appcontext.states import Connectivity
from emco_common.appcontext.status import ResourceUpdate
from emco_rsync.apply.site import Pace
from emco_rsync.measures import Measures
from emco_rsync.plan.manifests import Json
from emco_rsync.reach.links import Link, Links
from emco_rsync.reach.ways import Identity, admin_of
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.alike import NOTHING_ALIKE, Alike
from emco_rsync.watch.cluster import EVERYBODY, ClusterWatch
from emco_rsync.watch.drifts import Drifts, Heal
from emco_rsync.watch.followed import Followed, Place
from emco_rsync.watch.inspection import Inspector
from emco_rsync.watch.monitor import Monitor
from emco_rsync.watch.observe import Brought, Expected, Observation, observe

_log = structlog.get_logger()

GATHER_SECONDS = 0.05
"""How long changes are gathered before they are told."""
WHILE_BROUGHT_SECONDS = 1.0
"""Between two tellings of an app that is still being brought, or has not all come: nobody waits for its status."""
_SHARE = 4.0
"""Telling takes at most one part in five of the time."""
_LONGEST_REST = 0.5
_LARGE = 300
"""Objects of one app on one cluster from which it is told on its own, so that others need not wait for it."""
WHILE_BROUGHT_SECONDS = 1.0
"""Between two tellings of an app that is still being brought, or has not all come: nobody waits for its status yet."""
LINGER_SECONDS = 120.0
"""How long what is left of a removed app (its pods) is still watched (rsync 8.2)."""


class Tracker:
    """One per process.

    Within ``resync`` seconds all is looked at again, whatever was missed.
    ``heal`` is asked to bring back what others have changed, where the deployment wants that.
    """

    def __init__(
        self,
        links: Links,
        *,
        resync: float,
        pace: Pace,
        inspector: Inspector,
        heal: Heal = lambda status_context, app, cluster, resources: None,
        monitor: bool = True,
        measures: Measures | None = None,
    ) -> None:
        self._links = links
        self._measures = measures or Measures()
        self._resync = resync
        self._pace = pace
        self._monitor = Monitor(on=monitor, pace=pace)
        self._drifts = Drifts(inspector=inspector, heal=heal, pace=pace, look_again=self._look, measures=self._measures)
        self._brought: WeakValueDictionary[str, Brought] = WeakValueDictionary()
        self._followed: dict[Place, Followed] = {}
        self._watches: dict[str, ClusterWatch] = {}
        self._users: dict[str, set[Place]] = {}
        self._dirty: set[Place] = set()
        self._resting: set[Place] = set()
        self._again: set[Place] = set()
        self._early: set[Place] = set()
        self._leaving: set[Place] = set()
        self._aside: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        self._since: float | None = None
        """When the first of what is to be told was seen."""
        self._telling: float | None = None
        """The same of what is being told."""
        self._news = asyncio.Condition()

    def brought(self, label: str, digest: bytes) -> Brought | None:
        """What the app is expected to bring somewhere, if it is just this (``ClusterPlan.digest``)."""
        known = self._brought.get(label)
        return known if known is not None and known.digest == digest else None

    async def follow(
        self, expected: Expected, *, status_context: str, identity: Identity, recorder: Recorder, heal: bool = False
    ) -> None:
        """From now on tell whether the cluster is there, and what the watch sees. Again: replaces what is expected."""
        expected = self._shared(expected)
        place = (expected.label, expected.cluster)
        former = self._followed.get(place)
        if former is not None and former.own.identity == identity:
            # Another object, so that who sees off the former one leaves this alone.
            self._followed[place] = replace(
                former, expected=expected, recorder=recorder, heal=heal, complete=False, ready=False
            )
            self._connectivity(place)
            return
        if former is not None:
            await self._drop(place)
        stack = AsyncExitStack()
        onboarded = admin_of(expected.cluster)
        own = await stack.enter_async_context(self._links.use(identity, anew=False))
        admin = await stack.enter_async_context(self._links.use(onboarded, anew=onboarded != identity))
        watch = self._watch_of(admin, place)
        self._followed[place] = Followed(status_context, expected, recorder, watch, own, stack, heal)
        for link in {own, admin}:
            stack.callback(link.listen(lambda state, reason: self._connectivity(place)))

    def recorder(self, label: str, cluster: str) -> Recorder | None:
        """Who tells of the app there."""
        followed = self._followed.get((label, cluster))
        return followed.recorder if followed is not None else None

    def watch(self, label: str, cluster: str) -> None:
        """Look at the objects from now on. Before they are there, looking would only slow down their coming."""
        followed = self._followed.get((label, cluster))
        if followed is not None:
            followed.watch.add(followed.expected.brought.kinds)
            self._monitor.ask(followed)
            self._mark([(label, cluster)])

    def set_complete(self, label: str, cluster: str, *, complete: bool) -> None:
        """Everything was applied (or is being taken away), so what cannot be seen is missing (or not)."""
        followed = self._followed.get((label, cluster))
        if followed is not None:
            followed.complete = complete
            if complete:
                self._monitor.ask(followed)
            self._mark([(label, cluster)])

    async def until_ready(self, label: str, cluster: str) -> None:
        """Wait until the app is ready on the cluster."""
        place = (label, cluster)
        async with self._news:
            await self._news.wait_for(lambda: place in self._followed and self._followed[place].ready)

    def unready(self, label: str, cluster: str) -> list[str]:
        """Resources that keep the app from being ready, as far as that is known."""
        followed = self._followed.get((label, cluster))
        if followed is None or not followed.watch.synced(followed.expected.brought.kinds):
            return []
        seen = observe(followed.expected, dict(followed.watch.objects(label)), complete=followed.complete)
        return [one.resource for one in seen.updates if isinstance(one, ResourceUpdate) and one.status.ready is False]

    def is_away(self, label: str, cluster: str) -> bool:
        """Does the cluster not answer?"""
        followed = self._followed.get((label, cluster))
        return followed is not None and followed.own.state is Connectivity.RETRYING

    async def unfollow(self, label: str, cluster: str) -> None:
        """Tell the end: as soon as nothing of it is left, or after ``LINGER_SECONDS``."""
        place = (label, cluster)
        followed = self._followed.get(place)
        if followed is None:
            return
        deadline = self._pace.clock() + LINGER_SECONDS
        while followed.watch.objects(label) and self._pace.clock() < deadline and self._followed.get(place) is followed:
            await self._pace.sleep(GATHER_SECONDS * 2)
        if self._followed.get(place) is followed:
            if followed.watch.synced(followed.expected.brought.kinds):
                objects = dict(followed.watch.objects(label))
                self._tell(followed, await asyncio.to_thread(observe, followed.expected, objects, complete=False))
            await self._dismiss(followed)
        if self._followed.get(place) is followed:
            await self._drop(place)

    async def _dismiss(self, followed: Followed) -> None:
        """The monitor has its time to see the end, also after a restart of ours (D27)."""
        if await self._monitor.asked(followed):
            await self._pace.sleep(LINGER_SECONDS)
            if self._followed.get(followed.place) is followed:
                await self._monitor.dismiss(followed)

    async def run(self) -> None:
        """Tell changes until cancelled."""
        while True:
            await self._work.wait()
            await self._pace.sleep(GATHER_SECONDS)
            self._work.clear()
            dirty, self._dirty = self._dirty, set()
            self._telling, self._since = self._since, None
            for place in self._leaving & set(self._followed):
                await self._drop(place)
            self._leaving.clear()
            spent = 0.0
            for place in dirty:
                started = self._pace.clock()
                try:
                    self._see_to(place)
                except Exception:
                    _log.exception("status_not_told", label=place[0], cluster=place[1])
                spent += self._pace.clock() - started
                await asyncio.sleep(0)
            if self._telling is not None:
                self._measures.told.series().observe(self._pace.clock() - self._telling)
                self._telling = None
            async with self._news:
                self._news.notify_all()
            await self._pace.sleep(min(_SHARE * spent, _LONGEST_REST))

    def saw(self, label: str, cluster: str, obj: Json) -> None:
        """What a cluster answered to an apply: no older state of the object is believed after it."""
        followed = self._followed.get((label, cluster))
        if followed is not None:
            followed.watch.saw(obj)

    def abandon(self, context: str) -> None:
        """The context does not exist any more: nobody can read what would be told of it."""
        gone = [place for place, followed in self._followed.items() if followed.recorder.belongs_to(context)]
        self._leaving |= set(gone)
        self._work.set()

    async def let_go(self, status_context: str) -> None:
        """Another process watches over the deployment from here on; nothing more is told of it."""
        for place in [place for place, one in self._followed.items() if one.status_context == status_context]:
            await self._drop(place)

    async def close(self) -> None:
        await self._drifts.close()
        await self._monitor.close()
        for task in self._aside:
            task.cancel()
        await asyncio.gather(*self._aside, return_exceptions=True)
        for place in list(self._followed):
            await self._drop(place)

    @property
    def late(self) -> float:
        """Seconds since the first change was seen that is not told yet; 0 if all is."""
        since = self._telling if self._telling is not None else self._since
        return self._pace.clock() - since if since is not None else 0.0

    def watched(self) -> list[tuple[str, float]]:
        """For metrics: by cluster, for how many seconds something of it was not seen."""
        return [(cluster, watch.late) for cluster, watch in self._watches.items()]

    def drifted(self) -> list[tuple[str, int]]:
        """For metrics: by cluster, how many objects others have changed."""
        counts: dict[str, int] = {}
        for followed in self._followed.values():
            cluster = followed.expected.cluster
            found = followed.recorder.count_drifted(followed.expected.app, cluster)
            counts[cluster] = counts.get(cluster, 0) + found
        return list(counts.items())

    def _see_to(self, place: Place) -> None:
        followed = self._followed.get(place)
        if followed is None or not followed.watch.synced(followed.expected.brought.kinds):
            return
        if self._is_early(followed):
            self._put_off(place)
        elif place in self._resting:
            self._again.add(place)
        elif len(followed.watch.objects(place[0])) > _LARGE:
            self._resting.add(place)
            task = asyncio.create_task(self._tell_apart(place, followed), name=f"tell {place[0]} on {place[1]}")
            self._aside.add(task)
            task.add_done_callback(self._aside.discard)
        else:
            objects = followed.watch.objects(place[0])
            self._tell(followed, observe(followed.expected, objects, complete=followed.complete))

    async def _tell_apart(self, place: Place, followed: Followed) -> None:
        """What takes its time; meanwhile others are told of. What happens until then is told together."""
        try:
            objects, complete = dict(followed.watch.objects(place[0])), followed.complete
            started = self._pace.clock()
            observation = await asyncio.to_thread(observe, followed.expected, objects, complete=complete)
            if self._followed.get(place) is followed:
                self._tell(followed, observation)
            async with self._news:
                self._news.notify_all()
            await self._pace.sleep(_SHARE * (self._pace.clock() - started))
        except Exception:
            _log.exception("status_not_told", label=place[0], cluster=place[1])
        finally:
            self._resting.discard(place)
            if place in self._again or self._followed.get(place) is not followed:
                self._again.discard(place)
                self._mark([place])

    def _is_early(self, followed: Followed) -> bool:
        return not followed.complete and self._pace.clock() - followed.told_at < WHILE_BROUGHT_SECONDS

    def _put_off(self, place: Place) -> None:
        if place not in self._early:
            self._early.add(place)
            asyncio.get_running_loop().call_later(WHILE_BROUGHT_SECONDS, self._take_up, place)

    def _take_up(self, place: Place) -> None:
        self._early.discard(place)
        self._mark([place])

    def _tell(self, followed: Followed, observation: Observation) -> None:
        followed.told_at = self._pace.clock()
        followed.ready = observation.ready
        followed.recorder.observed(observation.updates, told=followed.told)
        self._drifts.look(followed)

    def _connectivity(self, place: Place) -> None:
        """Whether the user comes through; and if so, whether who watches does, without whom nothing is ever ready."""
        followed = self._followed.get(place)
        if followed is None or followed.own.state is Connectivity.UNKNOWN:
            return
        state, reason, watching = followed.own.state, followed.own.reason, followed.watch.link
        if state is Connectivity.AVAILABLE and watching.state is Connectivity.RETRYING:
            reason = f"it cannot be watched with the access it was registered with: {watching.reason}"
        followed.recorder.connectivity(followed.expected.app, place[1], state, reason=reason)

    def _shared(self, expected: Expected) -> Expected:
        """The same, in the words of the other clusters of the app."""
        known = self.brought(expected.label, expected.brought.digest)
        if known is not None:
            return Expected(expected.cluster, known)
        self._brought[expected.label] = expected.brought
        return expected

    def _alike(self, label: str) -> Alike:
        brought = self._brought.get(label)
        return brought.alike if brought is not None else NOTHING_ALIKE

    def _watch_of(self, admin: Link, place: Place) -> ClusterWatch:
        cluster = place[1]
        watch = self._watches.get(cluster)
        if watch is None:
            watch = self._watches[cluster] = ClusterWatch(
                admin,
                resync=self._resync,
                pace=self._pace,
                changed=lambda labels: self._changed(cluster, labels),
                share=self._alike,
                monitor=self._monitor.on,
            )
        self._users.setdefault(cluster, set()).add(place)
        return watch

    def _changed(self, cluster: str, labels: Iterable[str]) -> None:
        """What others have changed is not kept back until the rest is told."""
        places = [(label, cluster) for label in labels]
        for followed in filter(None, map(self._followed.get, places)):
            now = self._pace.clock()
            if followed.complete and now - followed.looked_at >= GATHER_SECONDS:
                followed.looked_at = now
                asyncio.get_running_loop().call_soon(self._look, followed.place)
        self._mark(places)

    def _look(self, place: Place) -> None:
        followed = self._followed.get(place)
        if followed is None or not followed.watch.synced(followed.expected.brought.kinds):
            return
        try:
            self._drifts.look(followed)
        except Exception:
            _log.exception("drift_not_told", label=place[0], cluster=place[1])

    def _mark(self, places: Iterable[Place]) -> None:
        for label, cluster in places:
            self._dirty |= self._users.get(cluster, set()) if label == EVERYBODY else {(label, cluster)}
        if self._since is None:
            self._since = self._pace.clock()
        self._work.set()

    async def _drop(self, place: Place) -> None:
        followed = self._followed.pop(place, None)
        if followed is None:
            return  # somebody else has, meanwhile
        followed.bundle = ""
        self._drifts.forget(followed)
        users = self._users[place[1]]
        users.discard(place)
        if not users:
            del self._users[place[1]]
            await self._watches.pop(place[1]).close()
        await followed.stack.aclose()
