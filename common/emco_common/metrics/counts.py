"""How often things happen, by labels: plain numbers, made into what Prometheus reads when it comes to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Counts(Collector):
    """A counter. ``known`` combinations are there before anything has happened, so that the first time is a change.

    The caller sees to it that there are few combinations.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry | None = None,
        known: Iterable[Sequence[str]] = (),
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._counts: dict[tuple[str, ...], int] = {tuple(values): 0 for values in known}
        if not self._labels:
            self._counts[()] = 0
        if registry is not None:
            registry.register(self)

    def add(self, *values: str, count: int = 1) -> None:
        """``count`` more under these values of the labels, in their order."""
        self._counts[values] = self._counts.get(values, 0) + count

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, count in list(self._counts.items()):
            family.add_metric(values, count)
        yield family
