"""A placement that has shrunk a lot is not believed without being asked (robustness 49). Pure.

Labels that were lost, or a source of them that answered too little, look like the wish to leave those clusters. An
error while they are read is one, and comes here as nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emco_common.errors import Conflict

Placement = Mapping[str, frozenset[str]]
"""The clusters (``<provider>+<cluster>``) of each app."""

FEW = 2
"""So many clusters are left without a question."""
_NAMED = 10


class LeavesTooMany(Conflict):
    """More clusters than the guard lets pass, and not the number that the user has agreed to."""


@dataclass(frozen=True, slots=True)
class RemovalGuard:
    """``share`` of the clusters of a deployment, or of one of its apps, may be left without a question: 0 to 1."""

    share: float

    def check(self, before: Placement, after: Placement, *, agreed: int | None, verb: str, name: str) -> None:
        """Raises ``LeavesTooMany``. An app that the deployment does not have any more was not lost by its placement,
        unless clusters are left with it."""
        carriers, left = _all(before), left_by(before, after)
        if agreed == len(left) or not self._is_much(before, after):
            return
        named = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
        told = "" if agreed is None else f", not {agreed}"
        raise LeavesTooMany(
            f"{verb} of {name} would leave {len(left)} of {len(carriers)} clusters{told}: {named}. "
            f"If that is meant, ask for it with removeClusters={len(left)}",
            detail=f"Asked from a share of {self.share:g} on (EMCO_ORCHESTRATOR_REMOVAL_GUARD); otherwise look at "
            "the labels and the placement intents",
        )

    def _is_much(self, before: Placement, after: Placement) -> bool:
        pairs = [(_all(before), _all(after)), *((before[app], after[app]) for app in before if app in after)]
        return any(len(was - now) > max(FEW, self.share * len(was)) for was, now in pairs)


def left_by(before: Placement, after: Placement) -> list[str]:
    """Clusters where nothing stays, or where an app that goes on elsewhere does not."""
    moved = {cluster for app, now in after.items() for cluster in before.get(app, frozenset()) - now}
    return sorted(moved | (_all(before) - _all(after)))


def _all(placement: Placement) -> frozenset[str]:
    return frozenset().union(*placement.values())
