"""One app on one cluster: where work is done, how long it is tried, and where its outcome is told.

Applied means that the cluster acknowledged it; gone means that the cluster said so. Everything may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from emco_common.appcontext import keys
from emco_common.appcontext.model import DeliveryOptions
from emco_common.appcontext.states import Connectivity, ResourceState
from emco_common.kube import KubeApi, KubeError
from emco_common.tracing.spans import counted
from emco_rsync.apply.fenced import fenced
from emco_rsync.delivery.indirect import Indirect
from emco_rsync.delivery.layout import Consignment
from emco_rsync.measures import Outstanding
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import ClusterPlan, Item, Wave
from emco_rsync.reach.backoff import Backoff
from emco_rsync.reach.classify import Verdict, classify, describe
from emco_rsync.reach.lanes import MAX_PAUSE_SECONDS, Sleep, Turn
from emco_rsync.reach.links import Link
from emco_rsync.record.recorder import Recorder
from emco_rsync.watch.drift import LeaveAlone

_log = structlog.get_logger()
T = TypeVar("T")

CALLS, CALLS_FAILED = "emco.kube.calls", "emco.kube.failures"
APPLIED, REMOVED = "emco.objects.applied", "emco.objects.removed"
"""What the span of an app on a cluster counts."""
LOOK_AGAIN = Backoff(lambda: 1.0, first=0.05, longest=2.0)
"""Between two looks at an object that is expected to change."""


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Times in seconds; see ``RsyncSettings`` for their meaning."""

    give_up_after: float = 600.0
    hook_timeout: float = 300.0
    removal_timeout: float = 600.0
    crd_timeout: float = 60.0
    hook_log_lines: int = 20
    ready_timeout: float = 3600.0
    force: bool = True
    leave_alone: LeaveAlone = field(default_factory=LeaveAlone)


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes: for tests, or for real."""

    backoff: Backoff
    bus_backoff: Backoff
    """For the bus, for which everything waits."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()


class Site:
    """``problems`` are the reasons of what has failed for good; ``saw`` is told what the cluster answers to applies.

    ``admin`` is the way to the cluster of who onboarded it.
    """

    def __init__(
        self,
        link: Link,
        plan: ClusterPlan,
        recorder: Recorder,
        *,
        consignment: Consignment,
        settings: ApplySettings,
        pace: Pace,
        saw: Callable[[str, str, Json], None],
        admin: Callable[[], AbstractAsyncContextManager[Link]],
        options: DeliveryOptions | None = None,
    ) -> None:
        self.link = link
        self.plan = plan
        self.recorder = recorder
        self.consignment = consignment
        self.settings = settings
        self.pace = pace
        self.options = options or DeliveryOptions()
        self._saw = saw
        self._admin = admin
        self.problems: list[str] = []
        self.leaving = False
        """Is everything of the app being taken away?"""
        self.outstanding = Outstanding(link.tally)
        self._passed_over: dict[str, str] = {}
        self._held_up: dict[str, Callable[[], None]] = {}

    @asynccontextmanager
    async def as_admin(self, item: Item) -> AsyncIterator[Site]:
        """The same, but for the identity: for looking at what the user may not look at. If that access does not work
        (there may be none), ``item`` says that it is waited for."""

        def tell(state: Connectivity, reason: str) -> None:
            if state is Connectivity.RETRYING:
                self.note(item, f"waits for the access that the cluster was registered with: {reason}")

        async with self._admin() as link:
            other = copy(self)
            other.link = link
            unheard = link.listen(tell)
            try:
                yield other
            finally:
                unheard()

    async def persist(
        self,
        item: Item,
        operation: Callable[[KubeApi], Awaitable[T]],
        *,
        attempts: int | None = None,
        verdict: Callable[[KubeError], Verdict] = classify,
        reading: bool = False,
    ) -> T:
        """Do it until it is done, refused (raises that ``KubeError``), or has been tried ``attempts`` times.

        Time in which the cluster is away does not count; with ``attempts`` ``None`` the cluster's own trouble is borne
        for ``give_up_after`` seconds. What it waits for is told meanwhile. ``reading`` says that it changes nothing.
        """
        subject = f"{self.plan.label}/{item.resource}"
        turn = Turn(keys.context_of_label(self.plan.label), subject, item.kind, reading)
        outages, tried, since = self.link.outages, 0, self.pace.clock()
        while True:
            counted(CALLS)
            try:
                return await self.link.call(
                    lambda client: operation(fenced(self._seen_by(item, client), self.recorder.fence)), turn=turn
                )
            except KubeError as error:
                counted(CALLS_FAILED)
                if not (found := verdict(error)).transient:
                    raise
                if self.link.outages != outages:  # it was the cluster's fault so far
                    outages, tried, since = self.link.outages, 0, self.pace.clock()
                tried += 1
                too_long = self.pace.clock() - since > self.settings.give_up_after
                if too_long if attempts is None else tried >= attempts:
                    raise
                self.link.measures.retried(found.value)
                self.note(item, describe(error, kind=item.kind))
                if (told := self._held_up.get(item.resource)) is not None:
                    told()
                asked = min(error.retry_after, MAX_PAUSE_SECONDS)
                await self.pace.sleep(self.pace.backoff.delay(tried, at_least=asked))

    @contextmanager
    def telling(self, item: Item, held_up: Callable[[], None]) -> Iterator[None]:
        """Who is told each time that the item has to wait before it is tried again."""
        self._held_up[item.resource] = held_up
        try:
            yield
        finally:
            del self._held_up[item.resource]

    async def indirect(self) -> Indirect | None:
        """If the cluster is not called, but follows something: what that is. Waits until it is there."""
        client = await self.link.available()
        return client if isinstance(client, Indirect) else None

    async def gathered(self, waves: Iterable[Wave]) -> list[Wave]:
        """A cluster that brings order into things itself gets them all at once."""
        found = list(waves)
        if len(found) < 2 or not await self.indirect():
            return found
        return [tuple(item for wave in found for item in wave)]

    def _seen_by(self, item: Item, client: KubeApi) -> KubeApi:
        """The cluster as this resource meets it."""
        if isinstance(client, Indirect):
            client = client.within(self.consignment, item.resource, alone=len(item.pieces) == 1)
        return client

    def saw(self, obj: Json) -> None:
        self._saw(self.plan.label, self.plan.cluster, obj)

    def starts(self, item: Item) -> None:
        self._tell(item, ResourceState.PENDING)

    def note(self, item: Item, reason: str) -> None:
        """Tell what a resource waits for; its state stays."""
        self.recorder.reason(self.plan.app, self.plan.cluster, item.resource, reason)

    def applied(self, item: Item, *, digest: str = "", remark: str = "") -> None:
        """``digest`` is of what the cluster acknowledged as ours (``watch.drift``)."""
        counted(APPLIED)
        self.outstanding.settle(item.resource)
        self.recorder.resource(
            self.plan.app, self.plan.cluster, item.resource, ResourceState.APPLIED, reason=remark, digest=digest
        )

    @property
    def passed_over(self) -> frozenset[str]:
        """Resources that were refused while everything is taken away, and keep nobody from leaving."""
        return frozenset(self._passed_over)

    def pass_over(self, item: Item, reason: str) -> None:
        """It could not be brought, and as the app is leaving it need not be."""
        self._passed_over[item.resource] = reason
        self.spared(item, reason)

    def removed(self, item: Item, *, remark: str = "") -> None:
        counted(REMOVED)
        self._tell(item, ResourceState.DELETED, remark or self._passed_over.get(item.resource, ""))

    def spared(self, item: Item, reason: str) -> None:
        """It could not be removed, and need not be."""
        _log.info("resource_spared", app=self.plan.app, cluster=self.plan.cluster, resource=item.resource, why=reason)
        self._tell(item, ResourceState.FAILED, reason)

    def failed(self, item: Item, reason: str) -> None:
        place = f"{self.plan.app} on {self.plan.cluster}"
        self.problems.append(f"{place}: {item.resource}: {reason}")
        _log.warning(
            "resource_failed", app=self.plan.app, cluster=self.plan.cluster, resource=item.resource, why=reason
        )
        self._tell(item, ResourceState.FAILED, reason)

    def _tell(self, item: Item, state: ResourceState, reason: str = "") -> None:
        if state is not ResourceState.PENDING:
            self.outstanding.settle(item.resource)
        self.recorder.resource(self.plan.app, self.plan.cluster, item.resource, state, reason=reason)
