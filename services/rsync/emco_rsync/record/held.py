"""What the status context of a deployment holds, as small as it can be: kept for as long as the deployment lives.

An object per resource would be most of what an idle cluster costs, so equal cells are one, and names are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emco_common.appcontext import keys
from emco_common.appcontext.keys import Placed
from emco_common.appcontext.status import ContextStatus, ResourceStatus

Place = tuple[str, str, str]
"""App, cluster, resource."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Of one resource. ``reason``: one is or was written; ``drift``: what is told of it now."""

    state: str | None = None
    digest: str = ""
    reason: bool = False
    drift: str = ""


_NEW = Cell()


@dataclass(slots=True)
class _Spot:
    """Of one app on one cluster. ``known``: its key is there, ``reason``: one is or was written."""

    known: bool = False
    reason: bool = False
    drifted: int = 0
    cells: dict[str, Cell] = field(default_factory=dict)


class Held:
    """Apps, clusters and resources of one context."""

    def __init__(self) -> None:
        self._apps: set[str] = set()
        self._spots: dict[tuple[str, str], _Spot] = {}
        self._cells: dict[Cell, Cell] = {}

    @classmethod
    def read(cls, found: Iterable[Placed], status: ContextStatus) -> Held:
        """From the keys of a context, and the status that they say."""
        held = cls()
        for (context, app, cluster, resource, leaf), _ in found:
            if not app or context != status.id:
                continue
            if resource:
                if not leaf:
                    held._spot(app, cluster).cells.setdefault(sys.intern(resource), _NEW)
            elif cluster:
                spot = held._spot(app, cluster)
                spot.known = spot.known or not leaf
                spot.reason = spot.reason or leaf == keys.REASON
            elif not leaf:
                held._apps.add(app)
        made: dict[ResourceStatus, Cell] = {}
        for place, kept in status.resources.items():
            cell = made.get(kept)
            if cell is None:
                cell = Cell(kept.status, sys.intern(kept.digest), kept.reason is not None, kept.drift or "")
                made[kept] = cell
            held.put(place, cell)
        return held

    def app(self, app: str) -> bool:
        """Is its key there? From now on it counts as there."""
        there = app in self._apps
        self._apps.add(app)
        return there

    def cluster(self, app: str, cluster: str) -> bool:
        """As ``app``."""
        spot = self._spot(app, cluster)
        there, spot.known = spot.known, True
        return there

    def resource(self, place: Place) -> bool:
        """As ``app``."""
        there = self.has(place)
        if not there:
            self.put(place, _NEW)
        return there

    def has(self, place: Place) -> bool:
        spot = self._spots.get(place[:2])
        return spot is not None and place[2] in spot.cells

    def cell(self, place: Place) -> Cell:
        spot = self._spots.get(place[:2])
        return spot.cells.get(place[2], _NEW) if spot is not None else _NEW

    def change(self, place: Place, **fields: Any) -> None:
        self.put(place, replace(self.cell(place), **fields))

    def put(self, place: Place, cell: Cell) -> None:
        spot, name = self._spot(*place[:2]), sys.intern(place[2])
        former = spot.cells.get(name, _NEW)
        spot.drifted += bool(cell.drift) - bool(former.drift)
        spot.cells[name] = self._cells.setdefault(cell, cell)

    def reason_of(self, app: str, cluster: str, reason: str) -> bool:
        """Is it worth a key? Where no reason was ever given, none is not."""
        spot = self._spot(app, cluster)
        spot.reason = spot.reason or bool(reason)
        return spot.reason

    def cells(self, app: str, cluster: str) -> Mapping[str, Cell]:
        """By resource."""
        spot = self._spots.get((app, cluster))
        return spot.cells if spot is not None else {}

    def drifted(self, app: str, cluster: str) -> int:
        """How many resources others have changed."""
        spot = self._spots.get((app, cluster))
        return spot.drifted if spot is not None else 0

    def _spot(self, app: str, cluster: str) -> _Spot:
        spot = self._spots.get((app, cluster))
        if spot is None:
            spot = self._spots[app, cluster] = _Spot()
        return spot
