"""One object is sent: applied beside its other owners, whose fields are left to them, taken over, or disputed.

It is sent without force first, which costs nothing where nobody else owns a field that would change.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import structlog

from emco_common.kube import Kind, KubeApi, KubeError, Ref, errors
from emco_common.kube.csr import CSR, approve
from emco_common.kube.versions import successors
from emco_rsync.apply.conflicts import Disputed, Looked, decide, disputed, without
from emco_rsync.apply.owned import carries, is_leaving
from emco_rsync.apply.site import ApplySettings, Site
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL, Json
from emco_rsync.plan.plan import NAMESPACE_KIND, Item, Piece
from emco_rsync.watch.drift import MANAGER, ignored_fields

_log = structlog.get_logger()
NAMESPACE = Kind("v1", NAMESPACE_KIND)
_ROUNDS = 8
"""In which others may come to own further fields while we look."""
_SHOWN = 5


class BeingDeleted(KubeError):
    """What was applied is on its way out: it will be gone, and has to be made anew then."""

    status = 503
    retriable = True
    default_reason = "BeingDeleted"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the cluster acknowledged. ``left`` are fields that were left to their owners, ``taken`` such that were taken
    over; ``version`` is there if the cluster serves the kind under another one than the manifest's."""

    answer: Json
    left: tuple[Disputed, ...] = ()
    taken: tuple[Disputed, ...] = ()
    version: str = ""

    @property
    def remark(self) -> str:
        """For who looks at the status; ``""`` if there was nothing to it."""
        version = f"sent as {self.version}" if self.version else ""
        taken = f"taken over: {_named(self.taken)}" if self.taken else ""
        return "; ".join(filter(None, (version, taken)))


async def send(client: KubeApi, *, site: Site, item: Item, piece: Piece, looked: Looked | None = None) -> Sent:
    """Any ``KubeError``; ``FieldConflict`` names what nobody may take from its owner. ``looked``: what was just seen of
    the object."""
    obj: Json = piece.obj
    encoded: bytes | None = piece.encoded
    if piece.ref.kind == NAMESPACE and await _is_foreign(client, piece.ref, site.plan.label):
        obj, encoded = without_label(obj), None
    restored = await _restore(client, obj, looked, site=site, piece=piece) if looked is not None else None
    sent = restored or await settle(client, obj, encoded, settings=site.settings, piece=piece)
    _tell(site, item, left=sent.left, taken=sent.taken)
    if waits := is_leaving(sent.answer):
        raise BeingDeleted(waits)
    if item.approval is not None and piece.ref.kind == CSR:
        condition = {name.replace("_u", "U").replace("_t", "T"): text for name, text in asdict(item.approval).items()}
        await approve(client, piece.ref.name, condition={name: text for name, text in condition.items() if text})
    return sent


async def _restore(client: KubeApi, obj: Json, looked: Looked, *, site: Site, piece: Piece) -> Sent | None:
    """Nobody has to be asked who owns what. ``None`` if the object has changed since, or nothing may be taken over."""
    if looked.taken and not site.settings.force:
        return None
    just_so = {**obj, "metadata": {**obj["metadata"], "resourceVersion": looked.version}}
    try:
        answer = await client.apply(just_so, manager=MANAGER, force=True, namespace=piece.ref.namespace)
    except errors.Conflict:
        return None
    return Sent(answer, taken=looked.taken, version=_stand_in(piece.ref.kind, answer))


async def settle(
    client: KubeApi,
    obj: Json,
    encoded: bytes | None,
    *,
    settings: ApplySettings,
    piece: Piece,
    dry_run: bool = False,
) -> Sent:
    """Apply ``obj``, the piece or most of it, without the fields that are left to others. Any ``KubeError``."""
    left: dict[str, Disputed] = {}
    taken: tuple[Disputed, ...] = ()
    for _ in range(_ROUNDS):
        try:
            answer = await client.apply(
                obj,
                manager=MANAGER,
                force=bool(taken),
                dry_run=dry_run,
                namespace=piece.ref.namespace,
                encoded=encoded,
            )
        except errors.FieldConflict as conflict:
            fields = disputed(conflict)
            decision = decide(fields, leave_alone=settings.leave_alone, ignored=ignored_fields(piece.obj))
            left.update((one.path, one) for one in decision.left)
            obj, unknown = without(obj, [one.path for one in decision.left])
            encoded = None
            contested = (*decision.contested, *(one for one in decision.left if one.path in unknown))
            if (contested or not fields) and not settings.force:
                raise _refusal(conflict, contested) from conflict
            taken = contested if fields else (Disputed("", ""),)
        else:
            return Sent(answer, tuple(left.values()), taken, version=_stand_in(piece.ref.kind, answer))
    raise errors.Conflict(f"its fields change hands all the time: {_named([*left.values(), *taken])}")


def _stand_in(kind: Kind, answer: Json) -> str:
    """The version that stands for the kind's own on this cluster; ``""`` where it is the manifest's."""
    served = str(answer.get("apiVersion"))
    if served == kind.api_version:
        return ""
    group, _, version = served.rpartition("/")
    return served if group == kind.group and successors(kind.version, [version]) else ""


def _refusal(conflict: errors.FieldConflict, contested: tuple[Disputed, ...]) -> errors.FieldConflict:
    remedy = (
        "leave them out of the manifest, give them free by its annotation emco/ignore-fields, or let rsync take fields "
        "over (EMCO_RSYNC_FORCE_CONFLICTS)"
    )
    return errors.FieldConflict(
        f"others own fields of it: {_named(contested) or conflict}; {remedy}",
        http_status=conflict.http_status,
        reason=conflict.reason,
        causes=conflict.causes,
    )


def _tell(site: Site, item: Item, *, left: tuple[Disputed, ...], taken: tuple[Disputed, ...]) -> None:
    place = {"app": site.plan.app, "cluster": site.plan.cluster, "resource": item.resource}
    if left:
        _log.info("fields_left_to_others", fields=_named(left), **place)
    if taken:
        _log.warning("fields_taken_over", fields=_named(taken), **place)


def _named(fields: tuple[Disputed, ...] | list[Disputed]) -> str:
    more = len(fields) - _SHOWN
    return ", ".join(map(str, fields[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


async def _is_foreign(client: KubeApi, ref: Ref, label: str) -> bool:
    """Was it there before us? Such a namespace never gets our label, and so is never deleted by us."""
    try:
        present = await client.get(ref)
    except errors.NotFound:
        return False
    return not carries(present, label)


def without_label(obj: Json) -> Json:
    """As a namespace of others is applied."""
    metadata = obj["metadata"]
    labels = {name: value for name, value in metadata["labels"].items() if name != DEPLOYMENT_LABEL}
    return {**obj, "metadata": {**metadata, "labels": labels}}
