"""Taking resources from a cluster: waves backwards, and nothing counts as gone before the cluster has said so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from operator import methodcaller

from emco_common.kube import Kind, KubeApi, KubeError, Ref, errors
from emco_rsync.apply.owned import is_ours, leaving, uid_of, why_not_ours
from emco_rsync.apply.site import LOOK_AGAIN, Site
from emco_rsync.concurrent import concurrently
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import NAMESPACE_KIND, ClusterPlan, Item, Piece, Wave
from emco_rsync.reach.classify import classify_removal, describe, is_refusal
from emco_rsync.reach.lanes import READING

NAMESPACE = Kind("v1", NAMESPACE_KIND)

NOTHING_THERE = "nothing of this deployment is on the cluster under this name"


class StillThere(KubeError):
    """The object does not go."""

    default_reason = "StillThere"


class NotOurs(KubeError):
    """Somebody else's object has the name."""

    default_reason = "NotOurs"


async def remove_waves(site: Site, waves: Iterable[Wave]) -> None:
    """Each wave is gone before the next begins; what will not go is reported and does not keep the rest."""
    for wave in await site.gathered(waves):
        await concurrently(remove_item(site, item) for item in wave)


async def remove_item(site: Site, item: Item) -> None:
    """A resource that never was an object was never there. What the user may not remove is a failure, unless nothing of
    the deployment is there: then it was refused from the first, and keeps nobody from leaving."""
    kept = refused = ""
    try:
        for piece in reversed(item.pieces):
            try:
                kept = await _remove(site, item, piece) or kept
            except KubeError as error:
                if not is_refusal(error) or await _may_be_there(site, item, piece):
                    raise
                refused = describe(error, kind=item.kind)
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))
    else:
        if refused:
            site.spared(item, f"{NOTHING_THERE}; to remove it was refused as well: {refused}")
        else:
            site.removed(item, remark=kept)


async def cluster_scoped(site: Site, refs: Iterable[Ref]) -> frozenset[Ref]:
    """Those of the objects that have no namespace on this cluster. Any ``KubeError``."""
    found = set()
    for ref in refs:
        try:
            served = await site.link.call(methodcaller("resource", ref.kind), turn=READING)
        except errors.UnknownKind:
            continue
        if not served.namespaced:
            found.add(ref)
    return frozenset(found)


def without(cluster: ClusterPlan, refs: frozenset[Ref]) -> ClusterPlan:
    """The plan with these objects left out; their resources stay, so that they are told of."""

    def spared(item: Item) -> Item:
        return item.of(piece for piece in item.pieces if piece.ref not in refs)

    if not refs:
        return cluster
    waves = tuple(tuple(spared(item) for item in wave) for wave in cluster.waves)
    events = {event: tuple(spared(item) for item in items) for event, items in cluster.events.items()}
    return replace(cluster, waves=waves, events=events)


async def clear(site: Site, item: Item) -> None:
    """Make way for an object that is about to be made anew; its state is not told. Any ``KubeError``."""
    for piece in item.pieces:
        if why := await _remove(site, item, piece):
            raise NotOurs(f"{piece.ref} is in the way: {why}")
        if await site.indirect():  # what is seen there has to be gone, or it would pass for what comes now
            with suppress(errors.NotFound):
                await until_gone(site, item, piece, uid="")


async def _remove(site: Site, item: Item, piece: Piece) -> str:
    """Returns when the object is gone, with a remark if it was kept instead.

    It is looked at first: nothing is deleted that was not read (robustness 48), that is not ours, or that somebody
    puts in its place meanwhile.
    """
    try:
        present, answer = await _delete_ours(site, item, piece)
        if answer is None:
            return _not_ours(site, piece, present)
        if not _says_gone(answer):
            await until_gone(site, item, piece, uid=uid_of(present))
    except (errors.NotFound, errors.UnknownKind):
        return ""
    return ""


async def _delete_ours(site: Site, item: Item, piece: Piece) -> tuple[Json, Json | None]:
    """The object as it was, and what the cluster said to its deletion, if it was ours. Any ``KubeError``."""
    refused_to_show = False

    async def operation(client: KubeApi) -> tuple[Json, Json | None]:
        nonlocal refused_to_show
        refused_to_show = True
        present = await client.get(piece.ref)
        refused_to_show = False
        if _not_ours(site, piece, present):
            return present, None
        return present, await client.delete(piece.ref, uid=uid_of(present))

    try:
        return await site.persist(item, operation, verdict=classify_removal)
    except KubeError as refused:
        if not (refused_to_show and is_refusal(refused)):
            raise
        present = await _look_as_admin(site, item, piece, refused)
    uid = uid_of(present)
    return present, await site.persist(item, methodcaller("delete", piece.ref, uid=uid), verdict=classify_removal)


async def _look_as_admin(site: Site, item: Item, piece: Piece, refused: KubeError) -> Json:
    """What is ours, for a user who may delete but not look. Of anything else the user is told no more than before."""
    async with site.as_admin(item) as admin:
        try:
            present = await admin.persist(item, _getting(piece), verdict=classify_removal, reading=True)
        except KubeError:
            raise refused from None
    if _not_ours(site, piece, present):
        raise refused
    return present


def _getting(piece: Piece) -> Callable[[KubeApi], Awaitable[Json]]:
    return lambda client: client.get(piece.ref)


def _not_ours(site: Site, piece: Piece, present: Json) -> str:
    return why_not_ours(piece.ref, present, label=site.plan.label, is_own=site.recorder.is_own)


def _says_gone(answer: dict[str, object]) -> bool:
    """The server answers a ``Status`` when the object was removed at once, else the object on its way out."""
    return answer.get("kind") == "Status" and answer.get("status") == "Success"


async def _may_be_there(site: Site, item: Item, piece: Piece) -> bool:
    """Is an object of this deployment there, or can nobody tell? Seen with the eyes of the administrator.

    Whether there is an object of somebody else is not told: it may be one that the user must not know of.
    """
    async with site.as_admin(item) as admin:
        try:
            present = await admin.persist(
                item, lambda client: client.get(piece.ref), verdict=classify_removal, reading=True
            )
        except (errors.NotFound, errors.UnknownKind):
            return False
        except KubeError:
            return True
    return is_ours(present, site.recorder.is_own)


async def until_gone(site: Site, item: Item, piece: Piece, *, uid: str) -> None:
    """Raises ``NotFound`` when it is gone, ``StillThere`` when it does not go in time."""
    deadline = site.pace.clock() + site.settings.removal_timeout
    looks = 0

    async def look(client: KubeApi) -> dict[str, object]:
        return await client.get(piece.ref)

    while True:
        present = await site.persist(item, look, verdict=classify_removal, reading=True)
        if uid and uid_of(present) not in ("", uid):
            return  # ours is gone; the name is taken by another
        waiting = leaving(present)
        if site.pace.clock() > deadline:
            raise StillThere(f"after {site.settings.removal_timeout:g} s {waiting}")
        if looks > 5:
            site.note(item, waiting)
        looks += 1
        await site.pace.sleep(LOOK_AGAIN.delay(looks))
