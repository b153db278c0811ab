"""How long store and bus take to answer this service, and how often they do not."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any, cast

from prometheus_client import CollectorRegistry

from emco_common.contextbus.api import ContextBus
from emco_common.doors import Call, Door
from emco_common.errors import EmcoError
from emco_common.metrics.counts import Counts
from emco_common.metrics.timings import Timings
from emco_common.runtime import Deps
from emco_common.store.api import DocumentStore

STORE_CALLS = (
    *("create", "get", "get_text", "list", "list_texts", "referrers", "replace", "delete"),
    *("put_blob", "get_blob", "delete_blob", "ping"),
)
BUS_CALLS = ("get", "range", "read", "put", "delete", "transact", "lease", "ping")


def measured(deps: Deps, registry: CollectorRegistry) -> Deps:
    """The same, of which ``registry`` tells how it answers. Streams (watches, snapshots) are handed through."""
    return replace(
        deps,
        store=cast(DocumentStore, _door(deps.store, "store", STORE_CALLS, registry)),
        bus=cast(ContextBus, _door(deps.bus, "bus", BUS_CALLS, registry)),
    )


def _door(target: object, name: str, calls: tuple[str, ...], registry: CollectorRegistry) -> Door:
    seconds = Timings(f"emco_{name}_call_seconds", f"Time of a call to the {name}", ["operation"], registry=registry)
    failures = Counts(
        f"emco_{name}_errors",
        f"Calls that the {name} did not answer; not those that it refused",
        ["operation"],
        registry=registry,
        known=[(call,) for call in calls],
    )
    return Door(target, {call: _timed(getattr(target, call), call, seconds, failures) for call in calls})


def _timed(call: Call, operation: str, seconds: Timings, failures: Counts) -> Call:
    series = seconds.series(operation)

    async def timed(*args: Any, **kwargs: Any) -> Any:
        started = perf_counter()
        try:
            return await call(*args, **kwargs)
        except EmcoError as error:
            if error.retriable:
                failures.add(operation)
            raise
        finally:
            series.observe(perf_counter() - started)

    return timed
