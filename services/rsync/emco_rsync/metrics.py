"""What the resource synchronizer shows Prometheus.

Of a cluster there are series while anything is done or watched there, a fixed number of them, whoever uses it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from emco_common.appcontext.states import Connectivity, QueueEvent, QueueState
from emco_common.kube.descriptors import Descriptors
from emco_common.metrics import Counts
from emco_rsync.events.sharing import Load
from emco_rsync.measures import Measures
from emco_rsync.reach.links import Reached
from emco_rsync.reach.ways import Identity

T = TypeVar("T")
RESULTS = (QueueState.DONE, QueueState.SKIP, QueueState.ERROR)
DENIALS = ("token", "cluster", "shared", "attempts")
"""Why an agent is not let in (``delivery.admission``)."""


class Reach(Protocol):
    """Of ``Links``."""

    def states(self) -> list[tuple[Identity, Connectivity]]: ...

    def reached(self) -> Iterator[Reached]: ...


class Watched(Protocol):
    """Of ``Tracker``."""

    @property
    def late(self) -> float: ...

    def watched(self) -> list[tuple[str, float]]: ...

    def drifted(self) -> list[tuple[str, int]]: ...


class Lease(Protocol):
    """Of ``Ownership``."""

    @property
    def present(self) -> bool: ...

    @property
    def owned(self) -> int: ...

    @property
    def leases_lost(self) -> int: ...


class Shared(Protocol):
    """Of ``Supervisor``."""

    def load(self) -> Load: ...


class Metrics:
    """Counts what it is told; the rest is asked for at each scrape, by ``refresh``."""

    def __init__(self, registry: CollectorRegistry, *, descriptors: Descriptors) -> None:
        self.measures = Measures(registry)
        self._registry = registry
        self._events = Counts(
            "emco_rsync_events",
            "Events of contexts that are done with",
            ["event", "result"],
            registry=registry,
            known=[(str(event), str(result)) for event in QueueEvent for result in RESULTS],
        )
        self._denied = Counts(
            "emco_rsync_agents_denied",
            "Attempts to connect as the agent of a cluster that were refused, and agents that were shown out",
            ["reason"],
            registry=registry,
            known=[(reason,) for reason in DENIALS],
        )
        self._scenes: list[_Scene[Any]] = []
        self._add(lambda: descriptors, _connections)

    async def refresh(self) -> None:
        """Note what there is, each as of one moment, so that it can be written out beside the work."""
        for scene in self._scenes:
            scene.look()
            await asyncio.sleep(0)

    def shows(self, *, reach: Reach, watched: Watched, lease: Lease, shared: Shared) -> None:
        """What is asked at each scrape."""
        self._add(lambda: (list(reach.reached()), Counter(state for _, state in reach.states())), _clusters)
        self._add(lambda: (watched.late, watched.watched(), watched.drifted()), _watching)
        self._add(lambda: (lease, shared.load()), _working)

    def hosts(self, agents: Callable[[], Iterable[str]]) -> None:
        """``agents`` is asked at each scrape: the clusters whose agents are connected to this replica."""
        text = "1 for each cluster whose agent is connected to this replica"
        self._add(
            lambda: list(agents()),
            lambda found: [_by_cluster("agents_connected", text, [(cluster, 1.0) for cluster in found])],
        )

    def denied(self, reason: str) -> None:
        """An agent was not let in, or not any longer."""
        self._denied.add(reason)

    def finished(self, event: str, result: QueueState, seconds: float | None) -> None:
        """``seconds`` since it was begun, if it was."""
        self._events.add(event, str(result))
        if seconds is not None:
            self.measures.events.series(event).observe(seconds)

    def _add(self, note: Callable[[], T], draw: Callable[[T], Iterable[Metric]]) -> None:
        scene = _Scene(note, draw)
        self._scenes.append(scene)
        self._registry.register(scene)


class _Scene(Collector, Generic[T]):
    """``note`` says what there is, quickly, while nothing else happens; ``draw`` makes of that what is shown, in
    another thread."""

    def __init__(self, note: Callable[[], T], draw: Callable[[T], Iterable[Metric]]) -> None:
        self._note = note
        self._draw = draw
        self._seen: T | None = None

    def look(self) -> None:
        self._seen = self._note()

    def collect(self) -> Iterable[Metric]:
        return self._draw(self._seen) if self._seen is not None else ()


def _connections(budget: Descriptors) -> Sequence[Metric]:
    return [
        _one("connections_limit", "Connections to clusters that may be open, by the limit of files", budget.limit),
        _one("connections_open", "Connections to clusters that are open", budget.taken),
        _one("connections_lasting", "Connections to clusters that carry watches", budget.lasting),
        _one("connections_waiting", "Calls that wait for a file descriptor", budget.waiting),
    ]


def _clusters(seen: tuple[list[Reached], Counter[Connectivity]]) -> Sequence[Metric]:
    found, states = seen
    accesses = GaugeMetricFamily(
        "emco_rsync_accesses", "Users of clusters in whose name something is done or watched", labels=["state"]
    )
    for state in Connectivity:
        accesses.add_metric([str(state)], states[state])
    took = SummaryMetricFamily(
        "emco_rsync_cluster_write_seconds", "Time of calls that change something on the cluster", labels=["cluster"]
    )
    for one in found:
        took.add_metric([one.cluster], one.tally.calls, one.tally.seconds)
    return [
        accesses,
        took,
        _by_cluster(
            "cluster_last_write_seconds",
            "Time of the latest call that changed something on the cluster",
            [(one.cluster, one.tally.last_seconds) for one in found if one.tally.calls],
        ),
        _by_cluster(
            "cluster_available", "1 if the cluster in use answers", [(one.cluster, float(one.answers)) for one in found]
        ),
        _by_cluster(
            "cluster_breaker",
            "0 if calls to the cluster go, 1 while an attempt decides, 2 if they are held back",
            [(one.cluster, float(one.breaker)) for one in found],
        ),
        _by_cluster(
            "cluster_objects_waiting",
            "Objects that are to come to the cluster or to go from it, and have not yet",
            [(one.cluster, float(one.tally.waiting)) for one in found],
        ),
        _by_cluster(
            "cluster_certificate_end_timestamp_seconds",
            "When the first client certificate ends with which the cluster is called, where there is one",
            [(one.cluster, one.expires) for one in found if one.expires],
        ),
    ]


def _watching(seen: tuple[float, list[tuple[str, float]], list[tuple[str, int]]]) -> Sequence[Metric]:
    late, watched, drifted = seen
    return [
        _one("status_late_seconds", "Time since the oldest change on a cluster was seen that is not told", late),
        _by_cluster(
            "cluster_watch_late_seconds",
            "For how long something on the cluster that is watched was not seen; 0 if all is",
            watched,
        ),
        _by_cluster(
            "drifted_objects",
            "Objects on the cluster that others have changed since they were applied",
            [(cluster, float(count)) for cluster, count in drifted],
        ),
    ]


def _working(seen: tuple[Lease, Load]) -> Sequence[Metric]:
    lease, load = seen
    lost = CounterMetricFamily("emco_rsync_leases_lost", "Leases that were over before they were given back")
    lost.add_metric([], lease.leases_lost)
    return [
        lost,
        _one("lease_held", "1 if this replica may own deployments", float(lease.present)),
        _one("replicas", "Replicas that live, as this one knows", load.replicas),
        _one("deployments_owned", "Deployments that this replica works on or watches over", lease.owned),
        _one("deployments_busy", "Deployments of this replica on which something is being done", load.busy),
        _one(
            "queue_length", "Contexts of deployments of this replica with events that are not done with", load.waiting
        ),
        _one("queue_unowned", "Contexts with events of deployments that no replica has taken", load.unowned),
    ]


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"emco_rsync_{name}", text, value=value)


def _by_cluster(name: str, text: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"emco_rsync_{name}", text, labels=["cluster"])
    for cluster, value in values:
        family.add_metric([cluster], value)
    return family
