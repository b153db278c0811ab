"""A status as people want to see it: what is where, how it is, and why. Pure.

The same functions read the statuses of this EMCO and of the original, and those that were asked for readiness or for
what was deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

GOOD = frozenset(
    {"Ready", "Applied", "Instantiated", "Available", "Updated", "Terminated", "Deleted", "Present", "Approved"}
)
_BAD = ("fail", "error", "not", "retry", "unreach", "stopped", "missing")
_STATES = ("readyStatus", "deployedStatus", "clusterStatus", "rsyncStatus", "status")
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """One line of a tree. ``kind`` is app, cluster or object below a status; ``state`` and ``reason`` may be empty."""

    label: str
    state: str = ""
    reason: str = ""
    children: tuple[Node, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened to a deployment. ``revision`` is ``""`` where there is none."""

    time: str
    what: str
    revision: str = ""
    instance: str = ""
    reason: str = ""


def is_bad(state: str) -> bool:
    """Whether somebody should look at it. What is on its way is neither good nor bad."""
    return state not in GOOD and any(word in state.lower() for word in _BAD)


def state_of(body: Body) -> str:
    return next((str(body[key]) for key in _STATES if isinstance(body.get(key), str) and body[key]), "")


def summary(status: Body) -> dict[str, str]:
    """What a status says of the whole, under the words it is shown with."""
    found = {
        "deployed": str(status.get("deployedStatus") or ""),
        "ready": str(status.get("readyStatus") or ""),
        "objects": counts(status),
        "reason": str(status.get("reason") or ""),
    }
    return {key: value for key, value in found.items() if value}


def counts(status: Body) -> str:
    """``13 Ready, 1 NotReady``; empty where nothing was counted."""
    found: Mapping[str, int] = next((status[key] for key in ("readyCounts", "deployedCounts") if status.get(key)), {})
    return ", ".join(f"{count} {state}" for state, count in sorted(found.items(), key=lambda pair: -pair[1]))


def parts(status: Body) -> tuple[Node, ...]:
    """Apps, clusters and resources below a status, whichever of them it has."""
    apps = tuple(
        Node(str(app.get("name", "")), _app_state(app), str(app.get("reason") or ""), _clusters(app), "app")
        for app in status.get("apps") or ()
        if isinstance(app, Mapping)
    )
    return apps + _clusters(status) + (_resources(status) if not apps else ())


def _app_state(app: Body) -> str:
    if state := state_of(app):
        return state
    states = [one.state for cluster in _clusters(app) for one in cluster.children]
    return next((state for state in states if is_bad(state)), "")


def _clusters(body: Body) -> tuple[Node, ...]:
    return tuple(
        Node(
            f"{one.get('clusterProvider', '')}+{one.get('cluster', '')}",
            str(one.get("connectivity") or state_of(one)),
            str(one.get("reason") or ""),
            _resources(one),
            "cluster",
        )
        for one in body.get("clusters") or ()
        if isinstance(one, Mapping)
    )


def _resources(body: Body) -> tuple[Node, ...]:
    listed = [(one, "") for one in body.get("resources") or ()] + [(one, "hook ") for one in body.get("hooks") or ()]
    return tuple(
        Node(f"{prefix}{_kind(one)} {one.get('name', '')}", state_of(one), _why(one), kind="object")
        for one, prefix in listed
        if isinstance(one, Mapping)
    )


def _kind(resource: Body) -> str:
    gvk = resource.get("GVK") or resource.get("gvk") or {}
    return str(gvk.get("Kind") or gvk.get("kind") or "object")


def _why(resource: Body) -> str:
    drift = resource.get("drift")
    changed = drift if isinstance(drift, str) else ", ".join(map(str, drift or ()))
    return "; ".join(filter(None, [str(resource.get("reason") or ""), f"drift: {changed}" if changed else ""]))


def troubles(status: Body) -> list[tuple[str, ...]]:
    """App, cluster, object, state and reason of everything somebody should look at."""
    return [line for node in parts(status) for line in _troubles(node, {})]


def _troubles(node: Node, above: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    where = {**above, node.kind: node.label}
    unsettled = node.kind == "object" and node.state and node.state not in GOOD
    if node.reason or unsettled:
        yield (*(where.get(kind, "") for kind in ("app", "cluster", "object")), node.state, node.reason)
    for child in node.children:
        yield from _troubles(child, where)


def events(status: Body, revisions: Iterable[Body] = ()) -> list[Event]:
    """The history that a status tells, with what the revisions add, oldest first; then what is wrong now."""
    said = {str(one.get("instance")): one for one in revisions}
    found: list[Event] = []
    for action in (status.get("states") or {}).get("actions") or ():
        revision = action.get("revision")
        told = said.get(str(action.get("instance")), {})
        why = [str(action.get(key) or "") for key in ("reason", "message")]
        if told and action.get("revision") == told.get("revision"):
            why.append(str(told.get("reason") or ""))
        found.append(
            Event(
                str(action.get("time") or ""),
                str(action.get("state") or ""),
                str(revision) if revision else "",
                str(action.get("instance") or ""),
                "; ".join(dict.fromkeys(filter(None, why))),
            )
        )
    return sorted(found, key=lambda event: event.time)
