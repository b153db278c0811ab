"""How long things take, by labels, in buckets: plain numbers, made into what Prometheus reads when it comes to read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of what a caller waits for."""
LONG_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Of what goes on by itself."""
MOST_SERIES = 2_000
"""Of one metric. What comes beyond is counted together under ``OTHER``."""
OTHER = "other"


class Series:
    """One combination of labels. ``observe`` is for one thread at a time."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Timings(Collector):
    """A histogram. Whoever measures often keeps the ``series`` of its labels."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry | None = None,
        bounds: Sequence[float] = SECONDS,
        most: int = MOST_SERIES,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._most = most
        self._series: dict[tuple[str, ...], Series] = {}
        if not self._labels:
            self.series()
        if registry is not None:
            registry.register(self)

    def series(self, *values: str) -> Series:
        """Of these values of the labels, in their order."""
        found = self._series.get(values)
        if found is None:
            if len(self._series) >= self._most:
                values = (OTHER,) * len(self._labels)
            found = self._series.setdefault(values, Series(self._bounds))
        return found

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*map(_text, self._bounds), "+Inf"]
        for values, series in list(self._series.items()):
            buckets = [*zip(bounds, accumulate(series.counts), strict=True)]
            family.add_metric(values, buckets, series.total)
        yield family


def _text(bound: float) -> str:
    return repr(float(bound))
