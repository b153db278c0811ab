"""What one status query looks at: the AppContext asked for and those that hold its status, each read once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emco_common.appcontext import AppContext, ContextStatus, codec, keys, values
from emco_common.appcontext.status import decode_status
from emco_common.contextbus.api import ContextBus, Entry
from emco_common.errors import NotFound
from emco_common.lifecycle import NoStateInformation, StateInfo
from emco_common.status.query import StatusQuery, View

Place = tuple[str, str, str]
"""App, cluster, resource; without a resource the cluster itself."""


class ContextGone(NotFound):
    """An AppContext of the history is not on the bus any more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One context as a single range read showed it; ``errors`` say why resources failed or clusters are not reached."""

    context: AppContext
    status: ContextStatus
    errors: Mapping[Place, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contexts:
    """``current`` says what should be there, ``status`` holds what became of it; they are the same before an update.

    ``others`` are the further contexts that ``status`` refers to. ``past`` means that ``current`` is not the present
    deployment but an older one that was asked for by its id.
    """

    current: Seen
    status: Seen
    others: Mapping[str, Seen] = field(default_factory=dict)
    past: bool = False

    def find(self, context: str) -> Seen | None:
        return next((seen for seen in (self.current, self.status) if seen.context.id == context), None) or (
            self.others.get(context)
        )


async def read_contexts(bus: ContextBus, info: StateInfo, query: StatusQuery) -> Contexts | None:
    """What ``query`` needs; ``None`` before the first instantiation.

    Raises ``NoStateInformation`` for an id that is not in the history and ``ContextGone`` for one that is not on the
    bus.
    """
    if query.instance and query.instance not in info.instances:
        raise NoStateInformation(f"No state information for {query.instance}")
    instance = query.instance or info.instance
    if not instance:
        return None
    current = await _read(bus, instance, _MISSING.get(query.view, "AppContext for status query not found"))
    if query.view in (View.APPS, View.CLUSTERS):
        return Contexts(current, current)
    past = instance != info.instance
    collected = current.context.status_context or (info.status_context_of(instance) if past else info.status_context)
    if collected in ("", instance):
        status = current
    else:
        status = await _read(bus, collected, "Status AppContext for status query not found")
    referred = _referred(status.status) - {instance, collected}
    read = {context: await _try(bus, context) for context in sorted(referred)}
    return Contexts(current, status, {context: seen for context, seen in read.items() if seen is not None}, past)


_MISSING = {View.APPS: "AppContext for Apps List status query not found"}


def _referred(status: ContextStatus) -> set[str]:
    of_clusters = {cluster.reference for cluster in status.clusters.values()}
    of_resources = {resource.reference for resource in status.resources.values()}
    return {reference for reference in of_clusters | of_resources if reference}


async def _read(bus: ContextBus, context: str, text: str) -> Seen:
    seen = await _try(bus, context)
    if seen is None:
        raise ContextGone(f"{text}: {context} is not on the context bus")
    return seen


async def _try(bus: ContextBus, context: str) -> Seen | None:
    entries = (await bus.range(keys.root(context))).entries
    if not entries or entries[0].key != keys.root(context):
        return None
    # A context of a hundred clusters takes a good part of a second to decode; others are served meanwhile.
    return await asyncio.to_thread(decode_seen, context, entries)


_ERROR = "error/"


def decode_seen(context: str, entries: Sequence[Entry]) -> Seen:
    """Everything a query may need of the keys of one context."""
    errors: dict[Place, str] = {}
    for entry in entries:
        place = keys.parse(entry.key) if entry.key.endswith(f"/{_ERROR}") else None
        if place is not None and place.cluster and place.leaf == _ERROR:
            errors[place.app, place.cluster, place.resource] = values.decode_string(entry.key, entry.value)
    return Seen(codec.decode(entries), decode_status(context, entries), errors)
