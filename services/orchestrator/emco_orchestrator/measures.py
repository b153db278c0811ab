"""Where the time of an instantiate goes, as a metric."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Histogram


class Steps:
    """``emco_instantiate_step_seconds`` by step: read, place, render, assemble, write, controllers, queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "emco_instantiate_step_seconds", "Time of one step of an instantiate", ["step"], registry=registry
        )

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        with self._seconds.labels(step).time():
            yield
