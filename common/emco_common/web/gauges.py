"""Gauges of what is in the store, value 1 for each document, read at the scrape so that what is gone is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from emco_common.errors import EmcoError
from emco_common.resources.declaration import Resource
from emco_common.store.api import Document, DocumentStore

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StoredGauge:
    """``read`` answers the values of ``labels`` of one document, in their order."""

    name: str
    text: str
    resource: Resource
    labels: tuple[str, ...]
    read: Callable[[Document], Sequence[str]]


@dataclass(frozen=True, slots=True)
class StoredCount:
    """How many documents of the gauge ``of`` there are, by what ``read`` answers; of ``known`` values also 0."""

    name: str
    text: str
    of: str
    label: str
    known: tuple[str, ...]
    read: Callable[[Document], str]


class StoreGauges(Collector):
    """``refresh`` before each scrape; while the store is away there are no series, since nothing is known."""

    def __init__(
        self,
        registry: CollectorRegistry,
        store: DocumentStore,
        gauges: Iterable[StoredGauge],
        counts: Iterable[StoredCount] = (),
    ) -> None:
        self._store = store
        self._gauges = tuple(gauges)
        self._counts = tuple(counts)
        self._found: Mapping[str, Sequence[Document]] = {}
        registry.register(self)

    async def refresh(self) -> None:
        found: Mapping[str, Sequence[Document]] = {}
        try:
            found = {
                gauge.name: await self._store.list(gauge.resource.key_names, gauge.resource.fixed)
                for gauge in self._gauges
            }
        except EmcoError as error:
            _log.warning("gauges_not_read", error=str(error))
        finally:  # also where it takes too long and is cut
            self._found = found

    def collect(self) -> Iterable[GaugeMetricFamily]:
        found = self._found
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
            for document in found.get(gauge.name, ()):
                family.add_metric(list(gauge.read(document)), 1.0)
            yield family
        for count in self._counts:
            family = GaugeMetricFamily(count.name, count.text, labels=[count.label])
            if count.of in found:
                counted = Counter(dict.fromkeys(count.known, 0))
                counted.update(map(count.read, found[count.of]))
                for value, number in counted.items():
                    family.add_metric([value], number)
            yield family


def build_gauge(registry: CollectorRegistry, *, component: str, version: str, revision: str) -> None:
    """``emco_build``, as the original names it."""
    labels = ["component", "revision", "version"]
    Gauge("emco_build", "What was built", labels, registry=registry).labels(component, revision, version).set(1)
