"""What others have changed of an applied object is put right: never on the word of an old event (robustness 53)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from emco_common.kube import KubeApi, KubeError, Ref, errors
from emco_rsync.apply.conflicts import Looked, looked_at
from emco_rsync.apply.owned import is_leaving
from emco_rsync.apply.site import Site
from emco_rsync.apply.waves import QUICK_ATTEMPTS, apply_item
from emco_rsync.concurrent import concurrently
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import Item, Piece
from emco_rsync.reach.classify import classify_removal, describe
from emco_rsync.watch.drift import DELETED, ownership_changes, pieces
from emco_rsync.watch.drift import describe as in_words

_log = structlog.get_logger()
WINDOW_SECONDS = 600.0
_MAX_TIMES = 1_000
_MAX_FIGHTS = 10_000


class Fights:
    """How often the same object had to be healed lately: whoever changes it back each time is to be heard of.

    How long is waited until it is healed again, is up to who asks for it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._healed: dict[tuple[str, str, str], list[float]] = {}

    def again(self, label: str, cluster: str, resource: str, *, what: str) -> str:
        """It was healed just now; what is to be said of that, ``""`` for the first time."""
        now = self._clock()
        place = (label, cluster, resource)
        times = [*(then for then in self._healed.get(place, ()) if now - then < WINDOW_SECONDS), now]
        if place not in self._healed and len(self._healed) >= _MAX_FIGHTS:
            self._forget(now)
        self._healed[place] = times[-_MAX_TIMES:]
        if len(times) == 1:
            return ""
        return f"healed {len(times)} times in {WINDOW_SECONDS / 60:g} min, and then again: {what}"

    def _forget(self, now: float) -> None:
        recent = {place: times for place, times in self._healed.items() if now - times[-1] < WINDOW_SECONDS}
        self._healed = recent if len(recent) < _MAX_FIGHTS else {}


@dataclass(frozen=True, slots=True)
class Found:
    """What a fresh look has shown of an object that is not as it was acknowledged. ``changes`` says it in words."""

    changes: str
    looked: Looked | None = None


async def mend(site: Site, *, fights: Fights) -> None:
    """What the plan has, was acknowledged, and still is not as it was then, is applied again, in waves."""
    acknowledged = site.recorder.acknowledged(site.plan.app, site.plan.cluster)
    for wave in site.plan.waves:
        due = [item for item in wave if item.resource in acknowledged and not item.problem]
        await concurrently(_mend(site, item, acknowledged[item.resource], fights) for item in due)


async def _mend(site: Site, item: Item, recorded: str, fights: Fights) -> None:
    try:
        found = await _drift(site, item, recorded)
    except KubeError as error:
        site.note(item, f"its drift could not be looked at: {describe(error, kind=item.kind)}")
        return
    if not found:
        return
    looked = {ref: one.looked for ref, one in found.items() if one.looked is not None}
    before = len(site.problems)
    applied = await apply_item(site, item, attempts=QUICK_ATTEMPTS, again=True, looked=looked)
    healed = applied and len(site.problems) == before
    what = "; ".join(one.changes for one in found.values())
    if healed and (why := fights.again(site.plan.label, site.plan.cluster, item.resource, what=what)):
        site.note(item, why)
    site.link.measures.drift("healed" if healed else "not_healed")
    _log.info(
        "drift_healed" if healed else "drift_not_healed",
        app=site.plan.app,
        cluster=site.plan.cluster,
        resource=item.resource,
        what=what,
    )


async def _drift(site: Site, item: Item, recorded: str) -> dict[Ref, Found]:
    """What is not as it was acknowledged, now; none if all is well, or on its way out and will be seen again."""
    found: dict[Ref, Found] = {}
    for piece, digest in zip(item.pieces, _padded(pieces(recorded), len(item.pieces)), strict=True):
        try:
            present = await _look(site, item, piece)
        except errors.NotFound:
            found[piece.ref] = Found(DELETED)
            continue
        if is_leaving(present):
            return {}
        changes = ownership_changes(present, digest, leave_alone=site.settings.leave_alone, manifest=piece.obj)
        if changes:
            found[piece.ref] = Found(in_words(changes), looked_at(present, changes, site.settings.leave_alone))
    return found


async def _look(site: Site, item: Item, piece: Piece) -> Json:
    async def look(client: KubeApi) -> Json:
        return await client.get(piece.ref)

    return await site.persist(item, look, attempts=QUICK_ATTEMPTS, verdict=classify_removal, reading=True)


def _padded(digests: list[str], count: int) -> list[str]:
    """A record of another number of objects says nothing of any."""
    return digests if len(digests) == count else [""] * count
