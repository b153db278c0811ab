"""What the resource synchronizer counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from emco_common.appcontext.states import Connectivity, QueueState
from emco_common.kube.descriptors import Descriptors
from emco_rsync.reach.breaker import BreakerState
from emco_rsync.reach.ways import Identity

States = Callable[[], Iterable[tuple[Identity, Connectivity]]]
Breakers = Callable[[], Iterable[tuple[str, BreakerState]]]
Drifted = Callable[[], Iterable[tuple[str, int]]]
Connected = Callable[[], Iterable[str]]


class Metrics:
    """``states`` and ``breakers`` are asked at each scrape."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        version: str,
        states: States,
        breakers: Breakers,
        descriptors: Descriptors,
    ) -> None:
        Info("emco_build", "What was built", registry=registry).info({"component": "rsync", "version": version})
        self._events = Counter(
            "emco_rsync_events", "Events of contexts that are done with", ["event", "result"], registry=registry
        )
        self._owned = Gauge(
            "emco_rsync_deployments_owned", "Deployments that this replica works on or watches over", registry=registry
        )
        self._denied = Counter(
            "emco_rsync_agents_denied",
            "Attempts to connect as the agent of a cluster that were refused, and agents that were shown out",
            ["reason"],
            registry=registry,
        )
        registry.register(_Connectivity(states, breakers))
        registry.register(_Connections(descriptors))
        self._registry = registry

    def owns(self, deployments: Callable[[], int]) -> None:
        """``deployments`` is asked at each scrape."""
        self._owned.set_function(deployments)

    def watches(self, drifted: Drifted) -> None:
        """``drifted`` is asked at each scrape: by cluster, how many objects others have changed."""
        self._registry.register(_Drift(drifted))

    def hosts(self, agents: Connected) -> None:
        """``agents`` is asked at each scrape: the clusters whose agents are connected to this replica."""
        self._registry.register(_Agents(agents))

    def denied(self, reason: str) -> None:
        """An agent was not let in, or not any longer."""
        self._denied.labels(reason).inc()

    def finished(self, event: str, result: QueueState) -> None:
        self._events.labels(event, str(result)).inc()


class _Drift(Collector):
    def __init__(self, drifted: Drifted) -> None:
        self._drifted = drifted

    def collect(self) -> Iterable[GaugeMetricFamily]:
        text = "Objects on the cluster that others have changed since they were applied"
        family = GaugeMetricFamily("emco_rsync_drifted_objects", text, labels=["cluster"])
        for cluster, count in self._drifted():
            family.add_metric([cluster], count)
        yield family


class _Agents(Collector):
    def __init__(self, connected: Connected) -> None:
        self._connected = connected

    def collect(self) -> Iterable[GaugeMetricFamily]:
        text = "1 for each cluster whose agent is connected to this replica"
        family = GaugeMetricFamily("emco_rsync_agents_connected", text, labels=["cluster"])
        for cluster in self._connected():
            family.add_metric([cluster], 1.0)
        yield family


class _Connections(Collector):
    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    def collect(self) -> Iterable[GaugeMetricFamily]:
        budget = self._descriptors
        for name, text, value in (
            ("limit", "Connections to clusters that may be open, by the limit of open files", budget.limit),
            ("open", "Connections to clusters that are open", budget.taken),
            ("lasting", "Connections to clusters that carry watches", budget.lasting),
            ("waiting", "Calls that wait for a file descriptor", budget.waiting),
        ):
            yield GaugeMetricFamily(f"emco_rsync_connections_{name}", text, value=value)


class _Connectivity(Collector):
    def __init__(self, states: States, breakers: Breakers) -> None:
        self._states = states
        self._breakers = breakers

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "emco_rsync_cluster_available", "1 if the cluster in use answers", labels=["cluster", "level", "namespace"]
        )
        for identity, state in self._states():
            up = 1.0 if state is Connectivity.AVAILABLE else 0.0
            family.add_metric([identity.cluster, identity.level, identity.namespace], up)
        yield family
        family = GaugeMetricFamily(
            "emco_rsync_cluster_breaker",
            "0 if calls to the cluster go, 1 while an attempt decides, 2 if they are held back",
            labels=["cluster"],
        )
        for cluster, breaker in self._breakers():
            family.add_metric([cluster], float(breaker))
        yield family
