"""A plan as people want to see it: what would be created, changed, replaced and deleted, and where. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from emco_emcoctl import drawing
from emco_emcoctl.views import Node

Body = Mapping[str, Any]

MARKS = {
    "create": ("+", drawing.GREEN),
    "change": ("~", drawing.YELLOW),
    "replace": ("!", drawing.RED),
    "delete": ("-", drawing.RED),
    "run": (">", drawing.GREEN),
    "refused": ("x", drawing.RED),
    "unknown": ("?", drawing.YELLOW),
    "unchanged": ("=", drawing.DIM),
}
_WORDS = {"run": "hooks to run", "refused": "refused", "unknown": "unknown", "unchanged": "unchanged"}
_SHOWN = 3
_VALUE = 60


def tree(plan: Body, *, name: str, everything: bool = False) -> Node:
    """What would happen, app by app. Clusters on which just the same would happen share a line; what stays as it is is
    left out, but for ``everything``."""
    apps = tuple(
        Node(str(app.get("name", "")), children=tuple(_clusters(app, everything=everything)))
        for app in plan.get("apps") or ()
    )
    verb = str(plan.get("for") or "")
    return Node(f"{verb} of {name}", reason=counts(plan), children=tuple(app for app in apps if app.children))


def counts(plan: Body) -> str:
    found = plan.get("counts") or {}
    told = [f"{found[action]} {_WORDS.get(action, f'to {action}')}" for action in MARKS if found.get(action)]
    return ", ".join(told) or "nothing is brought, and nothing goes"


def line(node: Node, *, colours: bool) -> str:
    """The line of a node of such a tree; ``kind`` is what would become of an object."""
    mark, colour = MARKS.get(node.kind, ("", ""))
    text = drawing.printable(node.label) + (f": {drawing.printable(node.reason)}" if node.reason else "")
    return drawing.painted(colour, f"{mark} {text}", colours=colours) if mark else text


def rows(plan: Body) -> Iterator[Mapping[str, str]]:
    """An object a row."""
    for app in plan.get("apps") or ():
        for cluster in app.get("clusters") or ():
            for one in cluster.get("resources") or ():
                yield {
                    "app": str(app.get("name", "")),
                    "cluster": _name(cluster),
                    "action": str(one.get("action", "")),
                    "object": _object(one),
                    "fields": ", ".join(str(field.get("path", "")) for field in one.get("fields") or ()),
                    "reason": str(one.get("reason") or cluster.get("reason") or ""),
                }


def _clusters(app: Body, *, everything: bool) -> Iterator[Node]:
    alike: dict[str, list[Body]] = {}
    for cluster in app.get("clusters") or ():
        same = json.dumps([cluster.get("reason"), cluster.get("resources")], sort_keys=True)
        alike.setdefault(same, []).append(cluster)
    for group in alike.values():
        objects = group[0].get("resources") or ()
        shown = tuple(_node(one) for one in objects if everything or one.get("action") != "unchanged")
        reason = str(group[0].get("reason") or "") or ("" if shown else "unchanged")
        if shown or reason:
            yield Node(_names(group), reason=reason, children=shown)


def _names(clusters: list[Body]) -> str:
    names = ", ".join(_name(cluster) for cluster in clusters[:_SHOWN])
    return names + (f" and {len(clusters) - _SHOWN} more" if len(clusters) > _SHOWN else "")


def _name(cluster: Body) -> str:
    return f"{cluster.get('clusterProvider', '')}+{cluster.get('cluster', '')}"


def _node(one: Body) -> Node:
    action = str(one.get("action") or "")
    return Node(_object(one), "", str(one.get("reason") or ""), tuple(_fields(one.get("fields") or ())), action)


def _object(one: Body) -> str:
    namespace = one.get("namespace")
    return f"{one.get('kind', '')} {f'{namespace}/' if namespace else ''}{one.get('name', '')}"


def _fields(fields: Iterable[Body]) -> Iterator[Node]:
    for field in fields:
        path, before, after = (str(field.get(key) or "") for key in ("path", "from", "to"))
        if field.get("hidden"):
            yield Node(f"{path}: changed")
        elif not before:
            yield Node(f"{path}: {_short(after)} is new")
        elif not after:
            yield Node(f"{path}: {_short(before)} goes")
        else:
            yield Node(f"{path}: {_short(before)} → {_short(after)}")


def _short(value: str) -> str:
    return value if len(value) <= _VALUE else f"{value[: _VALUE - 1]}…"
