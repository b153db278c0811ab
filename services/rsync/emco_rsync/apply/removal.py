"""Taking resources from a cluster: waves backwards, and nothing counts as gone before the cluster has said so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import methodcaller

from emco_common.kube import Kind, KubeApi, KubeError, Ref, errors
from emco_rsync.apply.site import LOOK_AGAIN, MANAGER, Site
from emco_rsync.apply.waves import carries
from emco_rsync.concurrent import concurrently
from emco_rsync.plan.manifests import Json, deployment_of
from emco_rsync.plan.plan import NAMESPACE_KIND, ClusterPlan, Item, Piece, Wave
from emco_rsync.reach.classify import Verdict, classify_removal, describe
from emco_rsync.reach.lanes import READING

NAMESPACE = Kind("v1", NAMESPACE_KIND)

NOTHING_THERE = "nothing of this deployment is on the cluster under this name"


class StillThere(KubeError):
    """The object does not go."""

    default_reason = "StillThere"


async def remove_waves(site: Site, waves: Iterable[Wave]) -> None:
    """Each wave is gone before the next begins; what will not go is reported and does not keep the rest."""
    for wave in waves:
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
                if not _is_refusal(error) or await _may_be_there(site, item, piece):
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
        return replace(item, pieces=tuple(piece for piece in item.pieces if piece.ref not in refs))

    if not refs:
        return cluster
    waves = tuple(tuple(spared(item) for item in wave) for wave in cluster.waves)
    events = {event: tuple(spared(item) for item in items) for event, items in cluster.events.items()}
    return replace(cluster, waves=waves, events=events)


async def clear(site: Site, item: Item) -> None:
    """Make way for an object that is about to be made anew; its state is not told. Any ``KubeError``."""
    for piece in item.pieces:
        await _remove(site, item, piece)


async def _remove(site: Site, item: Item, piece: Piece) -> str:
    """Returns when the object is gone, with a remark if it was kept instead."""
    uid = ""
    try:
        if piece.ref.kind == NAMESPACE:
            present = await site.persist(
                item, lambda client: client.get(piece.ref), verdict=classify_removal, reading=True
            )
            if not carries(present, site.plan.label):
                return "left in place: the namespace was there before"
        answer = await site.persist(item, lambda client: client.delete(piece.ref), verdict=classify_removal)
        if _says_gone(answer):
            return ""
        uid = str((answer.get("metadata") or {}).get("uid") or "")
        await _until_gone(site, item, piece, uid=uid)
    except (errors.NotFound, errors.UnknownKind):
        return ""
    return ""


def _says_gone(answer: dict[str, object]) -> bool:
    """The server answers a ``Status`` when the object was removed at once, else the object on its way out."""
    return answer.get("kind") == "Status" and answer.get("status") == "Success"


def _is_refusal(error: KubeError) -> bool:
    """Did the server itself say no?"""
    return error.http_status != 0 and classify_removal(error) is Verdict.REFUSED


async def _may_be_there(site: Site, item: Item, piece: Piece) -> bool:
    """Is an object of this deployment there, or can nobody tell? Seen with the eyes of the administrator.

    Whether there is an object of somebody else is not told: it may be one that the user must not know of.
    """
    async with site.as_admin() as admin:
        try:
            present = await admin.persist(
                item, lambda client: client.get(piece.ref), verdict=classify_removal, reading=True
            )
        except (errors.NotFound, errors.UnknownKind):
            return False
        except KubeError:
            return True
    label = deployment_of(present)
    return site.recorder.is_own(label) if label else _was_brought_by_us(present)


def _was_brought_by_us(obj: Json) -> bool:
    """Somebody may have taken the label off."""
    managers = (obj.get("metadata") or {}).get("managedFields") or []
    return any(isinstance(entry, dict) and entry.get("manager") == MANAGER for entry in managers)


async def _until_gone(site: Site, item: Item, piece: Piece, *, uid: str) -> None:
    """Raises ``NotFound`` when it is gone, ``StillThere`` when it does not go in time."""
    deadline = site.pace.clock() + site.settings.removal_timeout
    looks = 0

    async def look(client: KubeApi) -> dict[str, object]:
        return await client.get(piece.ref)

    while True:
        present = await site.persist(item, look, verdict=classify_removal, reading=True)
        metadata = present.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        if uid and metadata.get("uid") not in (None, uid):
            return  # ours is gone; the name is taken by another
        finalizers = ", ".join(str(name) for name in metadata.get("finalizers") or [])[:300]
        waiting = (
            f"it is being deleted and waits for its finalizers: {finalizers}" if finalizers else "it is being deleted"
        )
        if site.pace.clock() > deadline:
            raise StillThere(f"after {site.settings.removal_timeout:g} s {waiting}")
        if looks > 5:
            site.note(item, waiting)
        looks += 1
        await site.pace.sleep(LOOK_AGAIN.delay(looks))
