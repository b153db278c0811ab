"""What the orchestrator counts and measures (spec orchestrator-api 1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry

from emco_common.metrics import Timings
from emco_common.operations import Subject
from emco_common.resources.declaration import Resource
from emco_common.store.api import Document
from emco_common.tracing.spans import traced
from emco_common.web.gauges import StoredCount, StoredGauge
from emco_orchestrator import resources
from emco_orchestrator.groups import STATES


class Steps:
    """``emco_instantiate_step_seconds`` by step: read, place, render, assemble, write, controllers, queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Timings(
            "emco_instantiate_step_seconds", "Time of one step of an instantiate", ["step"], registry=registry
        )

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = perf_counter()
        try:
            with traced(step):
                yield
        finally:
            self._seconds.series(step).observe(perf_counter() - started)


def _gauge(name: str, text: str, resource: Resource) -> StoredGauge:
    """Its own name is the label ``name``, and its version ``version``; those above it are labels of their names."""
    own = dict(zip(resource.elements, ("name", "version"), strict=False))
    elements = [element for element in resource.key_names if element not in resource.fixed]

    def read(document: Document) -> list[str]:
        return [document.key[element] for element in elements]

    return StoredGauge(name, text, resource, tuple(own.get(element, _snake(element)) for element in elements), read)


def _snake(element: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", element)


GAUGES = (
    _gauge("emco_controller", "Registered controllers", resources.CONTROLLER),
    _gauge("emco_project", "Projects", resources.PROJECT),
    _gauge("emco_composite_app", "Composite applications", resources.COMPOSITE_APP),
    _gauge("emco_app", "Apps", resources.APP),
    _gauge("emco_dependency", "App dependencies", resources.APP_DEPENDENCY),
    _gauge("emco_composite_profile", "Composite profiles", resources.COMPOSITE_PROFILE),
    _gauge("emco_app_profile", "App profiles", resources.APP_PROFILE),
    _gauge("emco_deployment_intent_group", "Deployment intent groups", resources.GROUP),
    _gauge("emco_generic_placement_intent", "Generic placement intents", resources.PLACEMENT),
    _gauge("emco_generic_app_placement_intent", "Placement intents of apps", resources.APP_PLACEMENT),
)

COUNTS = (
    StoredCount(
        "emco_deployment_intent_groups",
        "Deployment intent groups by what they are in",
        of="emco_deployment_intent_group",
        label="state",
        known=tuple(map(str, STATES)),
        read=lambda found: str(Subject(found).state.state),
    ),
)
