"""The exact JSON of a status answer: which keys, in which order, what is left out (spec lifecycle 12.2, 12.3, 12.5,
dcm 9, ncm 7).

Pure. Keys that the original does not have come last: ``reason`` and ``drift`` of a resource, ``hooks`` and ``reason``
of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emco_common.lifecycle import StateInfo
from emco_common.status.compute import compute, rows_of, sorted_apps
from emco_common.status.contexts import Contexts
from emco_common.status.model import AppRows, ClusterRows, Readiness, Row, StatusAnswer
from emco_common.status.query import Form, Output, Shape, StatusQuery, View

Json = dict[str, Any]


def head_of(**parts: str) -> dict[str, str]:
    """The head that every answer begins with, in the order given, without what is empty (12.2)."""
    return {name: value for name, value in parts.items() if value}


def status_answer(head: Mapping[str, str], info: StateInfo, contexts: Contexts | None, query: StatusQuery) -> Json:
    """The body of the answer. ``head`` names the object, ``contexts`` is ``None`` before the first instantiation."""
    match query.view:
        case View.APPS:
            return {**head, "apps": [app.name for app in sorted_apps(contexts)] if contexts else []}
        case View.CLUSTERS:
            return {**head, "clustersByApp": _clusters_by_app(contexts, query) if contexts else []}
        case View.RESOURCES:
            return {**head, "resourcesByApp": _resources_by_app(contexts, query) if contexts else []}
    states = {**head, "states": info.as_json()}
    if contexts:
        return {**states, **_status(compute(contexts, query), query)}
    return {**states, "cluster": {}} if query.dialect.shape is Shape.ONE_CLUSTER else states


def _clusters_by_app(contexts: Contexts, query: StatusQuery) -> list[Json]:
    return [
        {"app": app.name, "clusters": [_named(cluster.name) for cluster in app.clusters]}
        for app in sorted_apps(contexts)
        if query.wants_app(app.name)
    ]


def _resources_by_app(contexts: Contexts, query: StatusQuery) -> list[Json]:
    return [
        {
            "app": app.name,
            "clusterProvider": cluster.provider,
            "cluster": cluster.cluster,
            "resources": [{"name": row.name, "GVK": _gvk(row)} for row in (*cluster.resources, *cluster.hooks)],
        }
        for app in rows_of(contexts, replace(query, resources=frozenset()))
        for cluster in app.clusters
    ]


def _named(cluster: str) -> Json:
    provider, _, name = cluster.partition("+")
    return {"clusterProvider": provider, "cluster": name}


def _status(answer: StatusAnswer, query: StatusQuery) -> Json:
    form = query.form
    body: Json = {"status" if form.deprecated else "deployedStatus": answer.context_status}
    if answer.reason:
        body["reason"] = answer.reason
    if form.of_clusters:
        body["readyStatus"] = Readiness.READY if answer.ready else Readiness.NOT_READY
    if answer.counts:
        body[_COUNTS[form]] = dict(sorted(answer.counts.items()))
    body |= _apps(() if query.output is Output.SUMMARY else answer.apps, query)
    if answer.child_contexts:
        body["ChildContextIDs"] = list(answer.child_contexts)
    return body


_COUNTS = {
    Form.RSYNC: "rsyncStatus",
    Form.CLUSTER: "clusterStatus",
    Form.DEPLOYED: "deployedCounts",
    Form.READY: "readyCounts",
}
_STATE = {
    Form.RSYNC: "rsyncStatus",
    Form.CLUSTER: "clusterStatus",
    Form.DEPLOYED: "deployedStatus",
    Form.READY: "readyStatus",
}


def _apps(apps: tuple[AppRows, ...], query: StatusQuery) -> Json:
    by_app = [{"name": app.name, "clusters": [_cluster(one, query.form) for one in app.clusters]} for app in apps]
    clusters = [cluster for app in by_app for cluster in app["clusters"]]
    match query.dialect.shape:
        case Shape.APPS:
            return {"apps": by_app} if by_app else {}
        case Shape.CLUSTERS:
            return {"clusters": clusters} if clusters else {}
        case Shape.ONE_CLUSTER:
            return {"cluster": clusters[0] if clusters else {}}


def _cluster(cluster: ClusterRows, form: Form) -> Json:
    body: Json = {
        "clusterProvider": cluster.provider,
        "cluster": cluster.cluster,
        "readyStatus" if form.deprecated else "connectivity": cluster.connectivity,
        "resources": [_row(row, form) for row in cluster.resources],
    }
    if cluster.hooks:
        body["hooks"] = [{**_row(row, form), "events": list(row.events)} for row in cluster.hooks]
    if cluster.reason:
        body["reason"] = cluster.reason
    return body


def _row(row: Row, form: Form) -> Json:
    body: Json = {"GVK": _gvk(row), "name": row.name}
    if row.detail is not None:
        body["detail"] = row.detail
    if row.state:
        body[_STATE[form]] = row.state
    if row.reason:
        body["reason"] = row.reason
    if row.drift:
        body["drift"] = row.drift
    return body


def _gvk(row: Row) -> Json:
    return {"Group": row.gvk.group, "Version": row.gvk.version, "Kind": row.gvk.kind}
