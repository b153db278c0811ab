"""What the looking commands ask the services for, of this EMCO and of the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emco_emcoctl import catalogue, views
from emco_emcoctl.config import DEFAULTS
from emco_emcoctl.errors import ConfigError, CtlError, InputError, TransportError
from emco_emcoctl.reading import NOT_FOUND, Reader, RefusedReadError, joined, names_of
from emco_emcoctl.views import Event, Node

Warn = Callable[[str], None]
_GROUPS = "deployment-intent-groups"
_WITH_STATUS = frozenset({_GROUPS, "logical-clouds", "clusters"})


def object_of(anchor: str) -> str:
    """The anchor of the object, where one of its status was named."""
    stem = anchor.partition("?")[0].strip("/").removeprefix("v2/")
    return stem.removesuffix("/status")


def status(reader: Reader, anchor: str) -> Any:
    """The status of an object; raises ``InputError`` for what has none."""
    kind = catalogue.item_of(anchor)
    if kind is None or kind.word not in _WITH_STATUS:
        raise InputError(
            f"'{anchor}' has no status; name a deployment intent group, a logical cloud, or a cluster for its networks"
        )
    return reader.json(f"{anchor}/status?status=ready" if kind.word == _GROUPS else f"{anchor}/status")


def tree(reader: Reader, anchor: str, *, warn: Warn) -> Node:
    """What the object consists of; a part whose status cannot be read says why. Raises ``InputError``."""
    kind = catalogue.item_of(anchor)
    builders: Mapping[str, Callable[[Reader, str, Warn], Node]] = {
        "projects": _project,
        "composite-apps": _composite_app,
        _GROUPS: _with_status,
        "logical-clouds": _with_status,
        "clusters": _with_status,
    }
    if kind is None or kind.word not in builders:
        raise InputError(
            f"'{anchor}' is no tree; name a project, a composite application with its version, a deployment intent"
            " group, a logical cloud or a cluster"
        )
    if kind.word not in _WITH_STATUS:
        reader.json(anchor)
    return builders[kind.word](reader, anchor, warn)


def _project(reader: Reader, anchor: str, warn: Warn) -> Node:
    clouds: list[Node] = []
    try:
        clouds = [
            _part(reader, f"{anchor}/logical-clouds/{joined(*names_of(body))}", "logical cloud", warn)
            for body in reader.listed(f"{anchor}/logical-clouds")
        ]
    except TransportError as error:
        warn(f"the logical clouds are left out: {error}")
    apps = [
        _composite_app(reader, f"{anchor}/composite-apps/{joined(*names_of(body))}", warn)
        for body in reader.listed(f"{anchor}/composite-apps")
    ]
    return Node(f"project {anchor.rpartition('/')[2]}", children=(*clouds, *apps))


def _composite_app(reader: Reader, anchor: str, warn: Warn) -> Node:
    groups = [
        _part(reader, f"{anchor}/{_GROUPS}/{joined(*names_of(body))}", "deployment", warn)
        for body in reader.listed(f"{anchor}/{_GROUPS}")
    ]
    name, version = anchor.split("/")[-2:]
    return Node(f"composite app {name} {version}", children=tuple(groups))


def _part(reader: Reader, anchor: str, word: str, warn: Warn) -> Node:
    """One of many: what is wrong with it must not hide the others."""
    try:
        return _with_status(reader, anchor, warn)
    except RefusedReadError as error:
        return Node(f"{word} {anchor.rpartition('/')[2]}", "", str(error).partition(": ")[2])


def _with_status(reader: Reader, anchor: str, warn: Warn) -> Node:
    found = status(reader, anchor)
    words = {_GROUPS: "deployment", "logical-clouds": "logical cloud", "clusters": "cluster"}
    deployed, ready = str(found.get("deployedStatus") or ""), str(found.get("readyStatus") or "")
    worst = ready if deployed in views.GOOD and ready else deployed or ready
    reason = "; ".join(filter(None, [str(found.get("reason") or ""), views.counts(found)]))
    *_, word, name = anchor.split("/")
    return Node(f"{words[word]} {name}", worst, reason, views.parts(found))


def logs(reader: Reader, anchor: str, *, warn: Warn) -> tuple[list[Event], list[tuple[str, ...]]]:
    """What happened, oldest first, and what is wrong now."""
    found = status(reader, anchor)
    revisions: list[Any] = []
    if catalogue.matches(anchor.split("/")[-2:], (_GROUPS, catalogue.ANY)):
        try:
            revisions = reader.json(f"{anchor}/revisions")
        except RefusedReadError as error:
            if error.status != NOT_FOUND:
                raise
            warn("this server keeps no revisions; shown is the history in its status, and its logs have the rest")
    return views.events(found, revisions), views.troubles(found)


def versions(reader: Reader) -> list[dict[str, str]]:
    """The version of each service, or why it is not known."""
    found, seen = [], set()
    for service in DEFAULTS:
        if service in ("ingress", "rsync"):
            continue
        try:
            address, told = reader.version(service)
        except CtlError as error:
            if not isinstance(error, ConfigError | TransportError | RefusedReadError):
                raise
            continue
        if (address, told) not in seen:
            found.append({"component": service, "version": told, "at": address})
        seen.add((address, told))
    return found


def own_version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("emco")
    except PackageNotFoundError:
        return "unknown"
