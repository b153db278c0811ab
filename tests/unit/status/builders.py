"""Contexts, statuses and live objects in a few words."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emco_common.appcontext import (
    App,
    AppContext,
    Cluster,
    ClusterStatus,
    ContextStatus,
    Meta,
    Resource,
    ResourceStatus,
    Snapshot,
)
from emco_common.lifecycle import Action, State, StateInfo
from emco_common.status import DEPLOYMENT_INTENT_GROUP, Contexts, Dialect, parse_query, status_answer

HQ = "acme+hq"
HEAD = {"project": "retail", "compositeApp": "pos", "compositeAppVersion": "v1", "name": "pos-east"}
_VERSIONS = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "CertificateSigningRequest": "certificates.k8s.io/v1",
}
_LISTS = {
    "Pod": "podStatuses",
    "Service": "serviceStatuses",
    "ConfigMap": "configMapStatuses",
    "Deployment": "deploymentStatuses",
    "Job": "jobStatuses",
    "CertificateSigningRequest": "csrStatuses",
}


def resource(name: str, *, note: str = "") -> Resource:
    """``name`` is ``<name>+<Kind>``; ``note`` makes one version of it differ from another."""
    own, _, kind = name.partition("+")
    text = f"apiVersion: {_VERSIONS.get(kind, 'v1')}\nkind: {kind}\nmetadata:\n  name: {own}\n"
    return Resource(name, text + (f"  annotations:\n    note: {note}\n" if note else ""))


def cluster(name: str = HQ, *names: str, hooks: Mapping[str, str] | None = None, crds: str = "") -> Cluster:
    return Cluster(
        name,
        resources=tuple(resource(one) for one in names),
        crds=tuple(resource(one) for one in crds.split()),
        hooks={event: tuple(resource(one) for one in ones.split()) for event, ones in (hooks or {}).items()},
    )


def context(*apps: App, id: str = "7", status_context: str = "", children: tuple[str, ...] = ()) -> AppContext:
    meta = Meta(project="retail", composite_app="pos", version="v1", child_contexts=children)
    return AppContext(id, apps, meta, status_context)


def applied(of: AppContext, state: str = "Instantiated", **statuses: Any) -> ContextStatus:
    """Everything ``Applied`` by the context itself; ``statuses`` replace fields of the result."""
    every = [(a, c, r) for a in of.apps for c in a.clusters for r in c.all_resources()]
    whole: dict[str, Any] = {
        "clusters": {(a.name, c.name): ClusterStatus(connectivity="Available", reference=of.id) for a, c, _ in every},
        "resources": {(a.name, c.name, r.name): ResourceStatus("Applied", of.id) for a, c, r in every},
    }
    return ContextStatus(of.id, status=state, **{**whole, **statuses})


def seen(of: AppContext, status: ContextStatus | None = None) -> Snapshot:
    return Snapshot(of, status or applied(of))


def once(of: AppContext, status: ContextStatus | None = None) -> Contexts:
    """A deployment that was never updated."""
    only = seen(of, status)
    return Contexts(only, only)


def reported(*objects: Mapping[str, Any]) -> str:
    """What a cluster's monitor would say of these live objects."""
    document: dict[str, Any] = {"ready": False, "resourceCount": 0}
    for one in objects:
        kind = one["kind"]
        if kind in _LISTS:
            document.setdefault(_LISTS[kind], []).append(one)
            continue
        group, _, version = one["apiVersion"].rpartition("/")
        entry = {"group": group, "version": version, "kind": kind, "name": one["metadata"]["name"]}
        document.setdefault("resourceStatuses", []).append(
            {**entry, "res": base64.b64encode(json.dumps(one).encode()).decode()}
        )
    return json.dumps(document, separators=(",", ":"))


def live(name: str, *, ready: bool = True, **fields: Any) -> dict[str, Any]:
    """A live object of ``<name>+<Kind>``, ready or not by the rule of its kind."""
    own, _, kind = name.partition("+")
    status: dict[str, Any] = {
        "Pod": {"conditions": [{"type": "Ready", "status": str(ready)}]},
        "Deployment": {"readyReplicas": int(ready)},
        "Job": {"succeeded": int(ready)},
    }.get(kind, {})
    spec = {"clusterIP": "10.0.0.1" if ready else ""} if kind == "Service" else {}
    base = {"apiVersion": _VERSIONS.get(kind, "v1"), "kind": kind, "metadata": {"name": own}}
    return {**base, "spec": spec, "status": status, **fields}


def with_report(of: AppContext, report: str, *, app: str = "web", name: str = HQ, **statuses: Any) -> Contexts:
    """A deployment of which one cluster reported."""
    status = applied(of, **statuses)
    clusters = {**status.clusters, (app, name): ClusterStatus("Available", report, reference=of.id)}
    return once(of, applied(of, **{**statuses, "clusters": clusters}))


def history(*states: tuple[State, str], status_context: str = "7") -> StateInfo:
    moment = datetime(2026, 3, 1, 8, tzinfo=UTC)
    return StateInfo(status_context, tuple(Action(state, instance, moment) for state, instance in states))


RUNNING = history((State.CREATED, ""), (State.APPROVED, ""), (State.INSTANTIATED, "7"))


def ask(contexts: Contexts | None, url: str = "", *, dialect: Dialect = DEPLOYMENT_INTENT_GROUP) -> dict[str, Any]:
    """The answer to a query written as in a URL (already decoded)."""
    pairs = [(pair.partition("=")[0], pair.partition("=")[2]) for pair in url.split("&") if pair]
    return status_answer(HEAD, RUNNING, contexts, parse_query(pairs, dialect))


def states_of(answer: Mapping[str, Any], key: str = "readyStatus") -> dict[str, str]:
    """State by ``<name>+<Kind>`` over all clusters; "" where a row has none."""
    return {
        f"{row['name']}+{row['GVK']['Kind']}": row.get(key, "")
        for app in answer.get("apps", [])
        for one in app["clusters"]
        for row in one["resources"]
    }
