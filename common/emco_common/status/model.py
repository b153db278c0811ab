"""What is answered: rows of resources by app and cluster with their counts, before it becomes JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Readiness(StrEnum):
    READY = "Ready"
    NOT_READY = "NotReady"
    NOT_PRESENT = "NotPresent"


@dataclass(frozen=True, slots=True)
class GroupVersionKind:
    group: str
    version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One object. ``state`` is empty where it has none; ``reason`` says why a state is not the good one.

    ``drift`` is what others have changed of it on the cluster since it was applied.
    ``events`` are the hook events of a hook that is not due in the present phase, so that it is reported apart.
    """

    gvk: GroupVersionKind
    name: str
    state: str = ""
    detail: Mapping[str, Any] | None = None
    reason: str = ""
    events: tuple[str, ...] = ()
    drift: str = ""


@dataclass(frozen=True, slots=True)
class ClusterRows:
    """``reason`` says why the cluster is not reached."""

    provider: str
    cluster: str
    connectivity: str
    resources: tuple[Row, ...] = ()
    hooks: tuple[Row, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AppRows:
    name: str
    clusters: tuple[ClusterRows, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """``counts`` are of the states of all ``resources`` rows, so hooks that are not due are not in them.

    ``reason`` is why the last event of the context failed.
    """

    context_status: str
    ready: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    apps: tuple[AppRows, ...] = ()
    child_contexts: tuple[str, ...] = ()
    reason: str = ""
