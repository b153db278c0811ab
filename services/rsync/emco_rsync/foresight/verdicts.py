"""From what a cluster shows and answers to what would become of an object. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from emco_common.kube import Kind, KubeError, errors
from emco_rsync.apply.immutable import frozen_fields
from emco_rsync.apply.owned import is_leaving, is_ours, why_not_ours
from emco_rsync.apply.replacing import objection, objection_to
from emco_rsync.apply.sending import Sent
from emco_rsync.plan.differences import Difference, differences
from emco_rsync.plan.manifests import DEPLOYMENT_LABEL, Json
from emco_rsync.plan.plan import CRD_KIND, NAMESPACE_KIND, ClusterPlan, Item, Piece
from emco_rsync.reach.classify import describe, is_refusal

LATER = "(given when it is instantiated)"
_NOT_TRIED = "not tried out"
_OF_JOBS = frozenset(
    f"{group}{name}" for group in ("", "batch.kubernetes.io/") for name in ("controller-uid", "job-name")
)
"""Labels that a Job gets from its server, anew each time or by its name."""


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    """Deleted and made anew."""
    DELETE = "delete"
    UNCHANGED = "unchanged"
    RUN = "run"
    """A hook."""
    REFUSED = "refused"
    """It would fail."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one object (or of a resource that is none, whose ``kind`` and ``name`` its name tells)."""

    resource: str
    kind: Kind
    name: str
    namespace: str
    action: Action
    reason: str = ""
    fields: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What an app on a cluster stands on: whose labels are the deployment's, whether it consents to replacing, and what
    will be there by then."""

    label: str
    is_own: Callable[[str], bool]
    replace: bool
    fresh: bool = False
    """Is it a new deployment, whose label is only known when it is there?"""
    namespaces: frozenset[str] = frozenset()
    kinds: frozenset[tuple[str, str]] = frozenset()


def brought(clusters: Iterable[ClusterPlan]) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The namespaces, and the kinds (with group), that plans bring to a cluster."""
    objects = [piece.obj for one in clusters for item in (*one.crds, *one.regular) for piece in _special(item)]
    namespaces = {obj["metadata"]["name"] for obj in objects if obj["kind"] == NAMESPACE_KIND}
    specs = [obj.get("spec") for obj in objects if obj["kind"] == CRD_KIND]
    kinds = {
        (str(spec.get("group")), str(names.get("kind")))
        for spec in specs
        if isinstance(spec, dict) and isinstance(names := spec.get("names"), dict)
    }
    return frozenset(namespaces), frozenset(kinds)


def of_resource(item: Item, action: Action, reason: str = "") -> Foreseen:
    """Of what is not looked at, object by object."""
    name, _, kind = item.resource.rpartition("+")
    piece = item.pieces[0] if len(item.pieces) == 1 else None
    if piece is not None:
        return of_object(item, piece, action, reason)
    return Foreseen(item.resource, Kind("", kind), name, "", action, reason)


def of_object(
    item: Item,
    piece: Piece,
    action: Action,
    reason: str = "",
    *,
    seen: Json | None = None,
    fields: tuple[Difference, ...] = (),
) -> Foreseen:
    """``seen``: the object as the cluster tells of it, which says whether it has a namespace."""
    own = (seen or piece.obj)["metadata"].get("namespace") or ""
    return Foreseen(item.resource, piece.ref.kind, piece.ref.name, str(own), action, reason, fields)


def of_answer(item: Item, piece: Piece, present: Json | None, sent: Sent, ground: Ground) -> Foreseen:
    """The cluster would take it."""
    if present is None:
        return of_object(item, piece, Action.CREATE, sent.remark, seen=sent.answer)
    if waits := is_leaving(present):
        return of_object(item, piece, Action.CREATE, f"made anew when the present one is gone: {waits}", seen=present)
    changed = differences(present, sent.answer)
    if ground.fresh:
        changed = tuple(_later(one) for one in changed)
    taken = "" if is_ours(present, ground.is_own) or not changed else "taken over: it is there, and of somebody else"
    reason = "; ".join(filter(None, (taken, sent.remark)))
    action = Action.CHANGE if changed else Action.UNCHANGED
    return of_object(item, piece, action, reason, seen=present, fields=changed)


def of_refusal(item: Item, piece: Piece, present: Json | None, error: KubeError, ground: Ground) -> Foreseen:
    """It would not, or cannot be asked. (What cannot be changed in place is for ``of_replacing``.)"""
    why = describe(error, kind=item.kind)
    comes = ""
    if isinstance(error, errors.UnknownKind) and (piece.ref.kind.group, piece.ref.kind.kind) in ground.kinds:
        comes = "its kind"
    elif isinstance(error, errors.NotFound) and present is None and piece.ref.namespace in ground.namespaces:
        comes = "its namespace"
    if comes:
        return of_object(item, piece, Action.CREATE, f"{_NOT_TRIED}: {comes} comes with the deployment")
    untold = "does not support dry run" in str(error) or (
        isinstance(error, errors.Forbidden) and "cannot patch" in str(error)
    )
    action = Action.REFUSED if is_refusal(error) and not untold else Action.UNKNOWN
    return of_object(item, piece, action, why, seen=present)


def why_not_replaced(piece: Piece, present: Json, refused: errors.Invalid, ground: Ground) -> str:
    """What keeps an object from being replaced; ``""`` for nothing."""
    fields = ", ".join(frozen_fields(refused))
    return objection(piece, refused, allowed=ground.replace) or objection_to(present, fields, is_own=ground.is_own)


def of_replacing(item: Item, piece: Piece, present: Json, made: Json | None, refused: errors.Invalid) -> Foreseen:
    """``made``: what would be there, under another name; ``None`` where that cannot be tried out."""
    frozen = frozen_fields(refused)
    fields: tuple[Difference, ...] = ()
    if made is not None:
        same_name = {**made, "metadata": {**made["metadata"], "name": piece.ref.name}}
        found = (one for one in differences(present, same_name) if not _OF_JOBS.intersection(map(str, one.steps)))
        fields = tuple(one for one in found if _concerns(one.path, frozen))
    reason = f"{', '.join(frozen)} cannot be changed in place"
    return of_object(item, piece, Action.REPLACE, reason, seen=present, fields=fields)


def of_leftover(item: Item, piece: Piece, present: Json, ground: Ground) -> Foreseen:
    """It is there and is not wanted."""
    why = why_not_ours(piece.ref, present, label=ground.label, is_own=ground.is_own)
    return of_object(item, piece, Action.UNCHANGED if why else Action.DELETE, why, seen=present)


def _later(one: Difference) -> Difference:
    """The label as it will be is not known, be it new or all that is new of them."""
    if one.steps[-1:] == (DEPLOYMENT_LABEL,):
        return replace(one, after=LATER)
    if one.steps[-1:] == ("labels",) and isinstance(one.after, dict) and DEPLOYMENT_LABEL in one.after:
        return replace(one, after={**one.after, DEPLOYMENT_LABEL: LATER})
    return one


def _special(item: Item) -> Iterable[Piece]:
    return item.pieces if item.kind in (CRD_KIND, NAMESPACE_KIND) else ()


def _concerns(path: str, frozen: Iterable[str]) -> bool:
    """Fields that the server names are all, or those and what is in them."""
    return any(not one[0].islower() or " " in one or path.startswith(one) for one in frozen)
