"""From contexts to rows: what became of every resource, by the rules of spec orchestrator-lifecycle 12.4. Pure.

Beyond the original: hooks that the present phase does not run are not counted and stand apart (defect 32), and where
nothing can be observed ``Ready`` takes that everything was applied (defect 26).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from emco_common.appcontext import App, Cluster, Connectivity, ContextState, Resource, ResourceState, keys
from emco_common.appcontext.states import HookPhase
from emco_common.errors import BadRequest
from emco_common.status.asked import state_told
from emco_common.status.contexts import Contexts
from emco_common.status.model import AppRows, ClusterRows, GroupVersionKind, Readiness, Row, StatusAnswer
from emco_common.status.monitor import TRACKED, Live, live_objects
from emco_common.status.query import Output, StatusQuery

_LEAVING = frozenset({ContextState.TERMINATING, ContextState.TERMINATED, ContextState.TERMINATE_FAILED})
_APPLIED = frozenset({ContextState.INSTANTIATED, ContextState.UPDATED})


def compute(contexts: Contexts, query: StatusQuery) -> StatusAnswer:
    """Raises ``BadRequest`` if a filter names an app that is not in the context."""
    _check_apps(contexts, query)
    status = contexts.current.status.status or ContextState.CREATED
    apps = tuple(rows_of(contexts, query))
    counts = Counter(row.state for app in apps for cluster in app.clusters for row in cluster.resources if row.state)
    meta = contexts.current.context.meta
    return StatusAnswer(
        context_status=state_told(contexts.current.status),
        ready=_all_ready(counts, status),
        counts=counts,
        apps=tuple(kept for app in apps if (kept := _without_empty(app)).clusters),
        child_contexts=meta.child_contexts if meta else (),
        reason=contexts.current.status.reason or "",
    )


def rows_of(contexts: Contexts, query: StatusQuery) -> Iterator[AppRows]:
    """Every app and cluster that the filters let through, also those without a matching resource."""
    for app in sorted_apps(contexts):
        if query.wants_app(app.name):
            wanted = (cluster for cluster in app.clusters if query.wants_cluster(cluster.name))
            yield AppRows(app.name, tuple(_wanted_rows(_all_rows(contexts, query, app, one), query) for one in wanted))


def _all_rows(contexts: Contexts, query: StatusQuery, app: App, cluster: Cluster) -> ClusterRows:
    """Every row of one app on one cluster, worked out once for all queries about the same moment."""
    of_clusters, whole = query.form.of_clusters, query.output is Output.DETAIL
    place = (app.name, cluster.name, of_clusters, whole)
    known = contexts.rows.get(place)
    if known is None:
        known = _Cluster(contexts, app, cluster, of_clusters=of_clusters, whole=whole).rows()
        contexts.rows[place] = known
    return known


def _wanted_rows(rows: ClusterRows, query: StatusQuery) -> ClusterRows:
    if not query.resources:
        return rows
    return replace(
        rows,
        resources=tuple(row for row in rows.resources if query.wants_resource(row.name)),
        hooks=tuple(row for row in rows.hooks if query.wants_resource(row.name)),
    )


def sorted_apps(contexts: Contexts) -> list[App]:
    """Apps as the bus lists them."""
    return sorted(contexts.current.context.apps, key=lambda app: keys.order_of(app.name))


def due_events(status: str, phase: str | None) -> frozenset[str]:
    """The hook events that a context in this state has run or will run without being asked for anything else.

    ``phase`` is as what the app came to the cluster; it is installed there unless told otherwise.
    """
    phases = (phase or HookPhase.INSTALL, *((HookPhase.DELETE,) if status in _LEAVING else ()))
    return frozenset(f"{when}-{each}" for each in phases for when in ("pre", "post"))


def _all_ready(counts: Counter[str], status: str) -> bool:
    if not counts:
        return status in _APPLIED
    return not counts[Readiness.NOT_READY] and not counts[Readiness.NOT_PRESENT]


def _check_apps(contexts: Contexts, query: StatusQuery) -> None:
    context = contexts.current.context
    known = {app.name for app in context.apps}
    unknown = sorted(query.apps - known)
    if unknown:
        name = context.meta.composite_app if context.meta else ""
        raise BadRequest(f"Filter app {unknown[0]} not in list of apps for composite app {name}")


def _without_empty(app: AppRows) -> AppRows:
    return replace(app, clusters=tuple(one for one in app.clusters if one.resources or one.hooks))


class _Cluster:
    """The rows of one app on one cluster."""

    def __init__(self, contexts: Contexts, app: App, cluster: Cluster, *, of_clusters: bool, whole: bool) -> None:
        self._contexts = contexts
        self._of_clusters = of_clusters
        self._whole = whole
        self._app = app
        self._cluster = cluster
        self._manifests = contexts.manifests

    def rows(self) -> ClusterRows:
        rows = [row for resource, events in self._resources() if (row := self._row(resource, events)) is not None]
        if self._of_clusters:
            rows = [self._judged(row) for row in _overlaid(rows, self._live(), whole=self._whole)]
        provider, _, name = self._cluster.name.partition("+")
        connectivity, reason = self._connectivity()
        return ClusterRows(
            provider,
            name,
            connectivity,
            resources=tuple(row for row in rows if not row.events),
            hooks=tuple(row for row in rows if row.events),
            reason=reason,
        )

    def _judged(self, row: Row) -> Row:
        verdict = self._contexts.verdicts.get((self._app.name, self._cluster.name, f"{row.name}+{row.gvk.kind}"))
        if verdict is None:
            return row
        unready = Readiness.NOT_PRESENT if row.state == Readiness.NOT_PRESENT else Readiness.NOT_READY
        return replace(row, state=Readiness.READY if verdict.ok else unready, reason=verdict.reason)

    def _resources(self) -> list[tuple[Resource, tuple[str, ...]]]:
        """Each resource once, in key order, with its hook events if none of them is due."""
        current = self._contexts.current.status
        phase = current.cluster(self._app.name, self._cluster.name).phase
        due = due_events(current.status or ContextState.CREATED, phase)
        known = {resource.name: resource for resource in self._cluster.all_resources()}
        always = {resource.name for resource in (*self._cluster.resources, *self._cluster.crds)}
        events: dict[str, list[str]] = {}
        for event, resources in self._cluster.hooks.items():
            for resource in resources:
                events.setdefault(resource.name, []).append(event)
        apart = {name: tuple(own) for name, own in events.items() if name not in always and not due.intersection(own)}
        return [(known[name], apart.get(name, ())) for name in sorted(known, key=keys.order_of)]

    def _row(self, resource: Resource, events: tuple[str, ...]) -> Row | None:
        place = (self._app.name, self._cluster.name, resource.name)
        kept = self._contexts.status.status.resource(*place)
        if self._contexts.past and self._taken_over(kept.reference):
            return None
        text = self._manifest(place, resource, kept.reference)
        gvk, name = self._manifests.identity(resource.name, text)
        detail = self._manifests.read(text) if self._whole else None
        reason = kept.reason or ""
        if not self._of_clusters:
            return Row(gvk, name, kept.status or ResourceState.PENDING, detail, reason, events, kept.drift or "")
        state = Readiness.READY if kept.success else _expected(gvk)
        return Row(gvk, name, state, detail, reason, events, kept.drift or "")

    def _taken_over(self, reference: str | None) -> bool:
        """A later update handled the resource, and this context collects the status itself (12.4 rule 4)."""
        own = self._contexts.current.context.id
        return reference not in (None, "", own) and self._contexts.status.context.id == own

    def _manifest(self, place: tuple[str, str, str], resource: Resource, reference: str | None) -> str:
        """The text that was handled last, if it is still known; else the one that is asked for."""
        if reference in (None, "", self._contexts.current.context.id):
            return resource.manifest
        seen = self._contexts.find(str(reference))
        app, cluster, name = place
        found = (
            other.manifest
            for other_app in (seen.context.apps if seen else ())
            if other_app.name == app
            for other_cluster in other_app.clusters
            if other_cluster.name == cluster
            for other in other_cluster.all_resources()
            if other.name == name
        )
        return next(found, resource.manifest)

    def _live(self) -> list[Live]:
        return live_objects(self._contexts.status.status.cluster(self._app.name, self._cluster.name).status)

    def _connectivity(self) -> tuple[str, str]:
        """What is known of the way to the cluster, and why there is none; by the context that handled it last."""
        place = (self._app.name, self._cluster.name)
        kept = self._contexts.status.status.cluster(*place)
        handled = self._contexts.find(kept.reference) if kept.reference else None
        for seen in (handled,) if handled else (self._contexts.status, self._contexts.current):
            found = seen.status.cluster(*place)
            if found.connectivity:
                return found.connectivity, found.reason or ""
        return Connectivity.UNKNOWN, ""


def _expected(gvk: GroupVersionKind) -> str:
    """The state of an object that no cluster reports."""
    return Readiness.NOT_PRESENT if (gvk.group, gvk.kind) in TRACKED else ""


def _overlaid(rows: list[Row], live: Iterable[Live], *, whole: bool) -> list[Row]:
    """Rows with the state of what is there; objects that no row expects are added."""
    seen = list(rows)
    places = {(row.gvk.group, row.gvk.kind, row.name): index for index, row in enumerate(seen)}
    for found in live:
        state = Readiness.READY if found.ready.ok else Readiness.NOT_READY
        detail = found.content if whole else None
        index = places.get((found.gvk.group, found.gvk.kind, found.name))
        if index is None:
            seen.append(Row(found.gvk, found.name, state, detail, found.ready.reason))
        else:
            row = seen[index]
            seen[index] = replace(row, state=state, detail=detail, reason=found.ready.reason or row.reason)
    return seen
