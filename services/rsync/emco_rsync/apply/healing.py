"""What others have changed of an applied object is put right: never on the word of an old event (robustness 53)."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from emco_common.appcontext.states import ResourceState
from emco_common.appcontext.status import ContextStatus, ResourceStatus
from emco_common.kube import KubeApi, KubeError, errors
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


async def mend(site: Site, resources: Collection[str], status: ContextStatus) -> None:
    """Those of the resources that were acknowledged and still are not as they were are applied again, in waves."""
    for wave in site.plan.waves:
        due = [item for item in wave if item.resource in resources]
        await concurrently(
            _mend(site, item, status.resource(site.plan.app, site.plan.cluster, item.resource)) for item in due
        )


async def _mend(site: Site, item: Item, kept: ResourceStatus) -> None:
    if kept.status != ResourceState.APPLIED or item.problem:
        return
    try:
        found = await _drift(site, item, kept.digest)
    except KubeError as error:
        site.note(item, f"its drift could not be looked at: {describe(error, kind=item.kind)}")
        return
    if not found:
        return
    healed = await apply_item(site, item, attempts=QUICK_ATTEMPTS, again=True)
    _log.info(
        "drift_healed" if healed else "drift_not_healed_yet",
        app=site.plan.app,
        cluster=site.plan.cluster,
        resource=item.resource,
        what=found,
    )


async def _drift(site: Site, item: Item, recorded: str) -> str:
    """What is not as it was acknowledged, now; ``""`` if all is well, or on its way out and will be seen again."""
    found = []
    for piece, digest in zip(item.pieces, _padded(pieces(recorded), len(item.pieces)), strict=True):
        try:
            present = await _look(site, item, piece)
        except errors.NotFound:
            found.append(DELETED)
            continue
        if is_leaving(present):
            return ""
        changes = ownership_changes(present, digest, leave_alone=site.settings.leave_alone, manifest=piece.obj)
        if changes:
            found.append(in_words(changes))
    return "; ".join(found)


async def _look(site: Site, item: Item, piece: Piece) -> Json:
    async def look(client: KubeApi) -> Json:
        return await client.get(piece.ref)

    return await site.persist(item, look, attempts=QUICK_ATTEMPTS, verdict=classify_removal, reading=True)


def _padded(digests: list[str], count: int) -> list[str]:
    """A record of another number of objects says nothing of any."""
    return digests if len(digests) == count else [""] * count
