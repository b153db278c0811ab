"""Gauges of what is in the store, value 1 for each document, read at the scrape so that what is gone is gone."""

from __future__ import annotations

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


class StoreGauges(Collector):
    """``refresh`` before each scrape; while the store is away there are no series, since nothing is known."""

    def __init__(self, registry: CollectorRegistry, store: DocumentStore, gauges: Iterable[StoredGauge]) -> None:
        self._store = store
        self._gauges = tuple(gauges)
        self._found: Mapping[str, Sequence[Document]] = {}
        registry.register(self)

    async def refresh(self) -> None:
        try:
            self._found = {
                gauge.name: await self._store.list(gauge.resource.key_names, gauge.resource.fixed)
                for gauge in self._gauges
            }
        except EmcoError as error:
            self._found = {}
            _log.warning("gauges_not_read", error=str(error))

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
            for document in self._found.get(gauge.name, ()):
                family.add_metric(list(gauge.read(document)), 1.0)
            yield family


def build_gauge(registry: CollectorRegistry, *, component: str, version: str, revision: str) -> None:
    """``emco_build``, as the original names it."""
    labels = ["component", "revision", "version"]
    Gauge("emco_build", "What was built", labels, registry=registry).labels(component, revision, version).set(1)
