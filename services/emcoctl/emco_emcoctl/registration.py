"""The words after ``watch`` to what is registered, and with whom. Pure (emcoctl 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emco_emcoctl.errors import NotWatchableError

_FORMATS = {"summary": "SUMMARY", "all": "ALL"}
_STATUSES = {"ready": "READY", "deployed": "DEPLOYED"}


@dataclass(frozen=True)
class Registration:
    """``key`` is the member of the request that names the object; values are the enum names of the contract."""

    service: str
    key: str
    identifiers: tuple[str, ...]
    output: str = "SUMMARY"
    status: str = "READY"
    apps: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def registration(anchor: str, filters: Sequence[str]) -> Registration:
    """Raises ``NotWatchableError`` that names the word."""
    service, key, identifiers = _object(anchor)
    lists: dict[str, list[str]] = {"app": [], "cluster": [], "resource": []}
    output, status = "SUMMARY", "READY"
    ignored: list[str] = []
    for word in filters:
        name, value = _pair(word)
        if name == "format":
            output = _chosen(word, value, _FORMATS)
        elif name == "status":
            status = _chosen(word, value, _STATUSES)
        elif name in lists:
            lists[name].append(value)
        else:
            ignored.append(word)
    return Registration(
        service,
        key,
        identifiers,
        output=output,
        status=status,
        apps=tuple(lists["app"]),
        clusters=tuple(lists["cluster"]),
        resources=tuple(lists["resource"]),
        ignored=tuple(ignored),
    )


def _object(anchor: str) -> tuple[str, str, tuple[str, ...]]:
    match anchor.split("/"):
        case ["projects", project, "composite-apps", app, version, "deployment-intent-groups", group, "status"]:
            return "orchestrator", "digKey", (project, app, version, group)
        case ["projects", project, "logical-clouds", cloud, "status"]:
            return "dcm", "lcKey", (project, cloud)
        case ["cluster-providers", provider, "clusters", cluster, "status"]:
            return "ncm", "clusterKey", (provider, cluster)
    raise NotWatchableError(
        f"'{anchor}' cannot be watched; name the status of a deployment intent group, a logical cloud or a cluster"
    )


def _pair(word: str) -> tuple[str, str]:
    name, *values = word.split("=")
    if len(values) != 1:
        raise NotWatchableError(f"'{word}' is not of the form name=value")
    return name, values[0]


def _chosen(word: str, value: str, choices: dict[str, str]) -> str:
    if value not in choices:
        raise NotWatchableError(f"'{word}' must be one of {', '.join(choices)}")
    return choices[value]
