"""An object that cannot be changed in place makes way for its new form: only with consent, and only our own.

Nothing is remembered of it: what crashes between the deletion and the new object is simply applied again, and what is
still on its way out then is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import structlog

from emco_common.kube import KubeApi, KubeError, errors
from emco_rsync.apply.immutable import frozen_fields
from emco_rsync.apply.owned import is_ours, uid_of
from emco_rsync.apply.removal import until_gone
from emco_rsync.apply.site import Site
from emco_rsync.plan.manifests import Json
from emco_rsync.plan.plan import CRD_KIND, NAMESPACE_KIND, Item, Piece
from emco_rsync.reach.classify import classify_removal, describe
from emco_rsync.watch.drift import MANAGER

_log = structlog.get_logger()

_IRREPLACEABLE: Mapping[str, str] = {
    NAMESPACE_KIND: "everything in it",
    "PersistentVolumeClaim": "its data",
    "PersistentVolume": "its data",
    CRD_KIND: "all objects of its kind",
}
_WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"})
"""Gone when their pods are: two generations at once are what such kinds promise not to have."""
_ALLOW = "allow it with spec.delivery.replace of the deployment intent group, or delete the object"
_TAKEN_UNTIL_GONE = ("already allocated", "exceeded quota")
"""What the object itself holds as long as it is there: no reason not to be made anew."""
_MAX_NAME = 63


class NotReplaced(KubeError):
    """It cannot be changed in place, and may not be deleted. The message says which fields, and why not."""

    default_reason = "replace"


async def make_way(site: Site, item: Item, piece: Piece, refused: errors.Invalid) -> str:
    """The object is gone, and was one that can be made anew; answers why, for the status. Any ``KubeError``."""
    fields = ", ".join(frozen_fields(refused))
    if why := objection(piece, refused, allowed=site.options.replace):
        raise NotReplaced(why)
    get = partial(_get, piece=piece)
    try:
        present = await site.persist(item, get, verdict=classify_removal, reading=True)
    except errors.NotFound:
        return f"replaced: {fields}"
    if why := objection_to(present, fields, is_own=site.recorder.is_own):
        raise NotReplaced(why)
    await site.persist(item, partial(try_out, piece=piece))
    _log.warning("object_replaced", app=site.plan.app, cluster=site.plan.cluster, resource=item.resource, fields=fields)
    site.note(item, f"it is being replaced: {fields} cannot be changed in place")
    await _delete(site, item, piece, uid=uid_of(present))
    return f"replaced: {fields}"


def objection(piece: Piece, refused: errors.Invalid, *, allowed: bool) -> str:
    """Why it is not replaced, whatever is there; ``""`` for nothing. ``allowed``: the deployment consents."""
    fields, kind = ", ".join(frozen_fields(refused)), piece.ref.kind.kind
    if kind in _IRREPLACEABLE:
        return f"{fields} cannot be changed in place, and a {kind} is never replaced: {_loss(kind)}"
    if not allowed:
        return f"{fields} cannot be changed in place; {_ALLOW} ({describe(refused, kind=kind)})"
    return ""


def objection_to(present: Json, fields: str, *, is_own: Callable[[str], bool]) -> str:
    """Why this object is not replaced; ``""`` for nothing. ``is_own`` knows the labels of the deployment."""
    if not is_ours(present, is_own):
        return f"{fields} cannot be changed in place, and the object belongs to somebody else"
    if _takes_data_along(present):
        why = "persistentVolumeClaimRetentionPolicy.whenDeleted is Delete: its data would go with it"
        return f"{fields} cannot be changed in place, and it is not replaced as its {why}"
    return ""


async def _get(client: KubeApi, *, piece: Piece) -> Json:
    return await client.get(piece.ref)


async def try_out(client: KubeApi, *, piece: Piece) -> Json | None:
    """Would the cluster take the new form? What it refuses is not worth deleting for. A dry run under another name;
    answers what would be there, ``None`` where only the present object keeps the cluster from saying."""
    name = f"{piece.ref.name[: _MAX_NAME - 6].rstrip('-.')}-emco"
    other = {**piece.obj, "metadata": {**piece.obj["metadata"], "name": name}}
    try:
        return await client.apply(other, manager=MANAGER, force=True, dry_run=True, namespace=piece.ref.namespace)
    except (errors.Invalid, errors.Forbidden) as refused:
        if not any(words in str(refused) for words in _TAKEN_UNTIL_GONE):
            raise
        return None


async def _delete(site: Site, item: Item, piece: Piece, *, uid: str) -> None:
    propagation = "Foreground" if piece.ref.kind.kind in _WITH_PODS else "Background"

    async def delete(client: KubeApi) -> Json:
        return await client.delete(piece.ref, propagation=propagation, uid=uid)

    try:
        await site.persist(item, delete, verdict=classify_removal)
        await until_gone(site, item, piece, uid=uid)
    except errors.NotFound:
        return


def _loss(kind: str) -> str:
    return f"{_IRREPLACEABLE[kind]} would be lost. Delete it by hand if that is what you want"


def _takes_data_along(present: Json) -> bool:
    if present.get("kind") != "StatefulSet":
        return False
    spec = present.get("spec")
    policy = spec.get("persistentVolumeClaimRetentionPolicy") if isinstance(spec, dict) else None
    return isinstance(policy, dict) and policy.get("whenDeleted") == "Delete"
