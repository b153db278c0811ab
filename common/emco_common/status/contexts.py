"""What one status query looks at: the AppContext asked for and those that hold its status, each read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emco_common.appcontext import AppContextStore, ContextNotFound, ContextStatus, Snapshot
from emco_common.errors import NotFound
from emco_common.lifecycle import NoStateInformation, StateInfo
from emco_common.status.manifests import Manifests
from emco_common.status.model import ClusterRows
from emco_common.status.query import StatusQuery, View
from emco_common.status.readiness import Ready

RowsKey = tuple[str, str, bool, bool]
"""App, cluster, whether what clusters report is meant, whether with whole objects."""


class ContextGone(NotFound):
    """An AppContext of the history is not on the bus any more."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """``current`` says what should be there, ``status`` holds what became of it; they are the same before an update.

    ``others`` are the further contexts that ``status`` refers to. ``past`` means that ``current`` is not the present
    deployment but an older one that was asked for by its id. ``manifests`` remembers the texts that were read before,
    ``rows`` what was worked out, so that several questions about one moment cost little more than one. ``verdicts``
    are on resources, by (app, cluster, resource), of which somebody knows more than their cluster reports.
    """

    current: Snapshot
    status: Snapshot
    others: Mapping[str, Snapshot] = field(default_factory=dict)
    past: bool = False
    manifests: Manifests = field(default_factory=Manifests, compare=False)
    rows: dict[RowsKey, ClusterRows] = field(default_factory=dict, compare=False)
    verdicts: Mapping[tuple[str, str, str], Ready] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Every context that the answer depends on."""
        return frozenset({self.current.context.id, self.status.context.id, *self.others})

    def find(self, context: str) -> Snapshot | None:
        return next((seen for seen in (self.current, self.status) if seen.context.id == context), None) or (
            self.others.get(context)
        )


async def read_contexts(
    store: AppContextStore, info: StateInfo, query: StatusQuery, *, manifests: Manifests | None = None
) -> Contexts | None:
    """What ``query`` needs; ``None`` before the first instantiation. ``manifests`` lives as long as its caller wants.

    Raises ``NoStateInformation`` for an id that is not in the history and ``ContextGone`` for one that is not on the
    bus.
    """
    if query.instance and query.instance not in info.instances:
        raise NoStateInformation(f"No state information for {query.instance}")
    instance = query.instance or info.instance
    if not instance:
        return None
    manifests = manifests or Manifests()
    current = await _read(store, instance, _MISSING.get(query.view, "AppContext for status query not found"))
    if query.view in (View.APPS, View.CLUSTERS):
        return Contexts(current, current, manifests=manifests)
    past = instance != info.instance
    collected = current.context.status_context or (info.status_context_of(instance) if past else info.status_context)
    if collected in ("", instance):
        status = current
    else:
        status = await _read(store, collected, "Status AppContext for status query not found")
    referred = _referred(status.status) - {instance, collected}
    read = {context: await _try(store, context) for context in sorted(referred)}
    others = {context: seen for context, seen in read.items() if seen is not None}
    return Contexts(current, status, others, past, manifests)


_MISSING = {
    View.APPS: "AppContext for Apps List status query not found",
    View.RESOURCES: "Status AppContext for status query not found",
}


def _referred(status: ContextStatus) -> set[str]:
    of_clusters = {cluster.reference for cluster in status.clusters.values()}
    of_resources = {resource.reference for resource in status.resources.values()}
    return {reference for reference in of_clusters | of_resources if reference}


async def _read(store: AppContextStore, context: str, text: str) -> Snapshot:
    try:
        return await store.snapshot(context)
    except ContextNotFound as error:
        raise ContextGone(f"{text}: {context} is not on the context bus") from error


async def _try(store: AppContextStore, context: str) -> Snapshot | None:
    try:
        return await store.snapshot(context)
    except ContextNotFound:
        return None
