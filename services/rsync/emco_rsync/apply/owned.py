"""Whose a live object is: this deployment's, another's, or nobody's we know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from emco_common.kube import Kind, Ref
from emco_common.kube.errors import clean
from emco_rsync.plan.manifests import Json, deployment_of
from emco_rsync.plan.plan import NAMESPACE_KIND
from emco_rsync.watch.drift import MANAGER

_NAMESPACE = Kind("v1", NAMESPACE_KIND)
_SHOWN = 300
"""Characters of what a cluster names."""


def carries(obj: Json, label: str) -> bool:
    """Does the live object belong to this app of the deployment?"""
    return deployment_of(obj) == label


def was_brought_by_us(obj: Json) -> bool:
    """Some EMCO applied it, whatever has become of its label since."""
    managers = (obj.get("metadata") or {}).get("managedFields") or []
    return any(isinstance(entry, dict) and entry.get("manager") == MANAGER for entry in managers)


def is_ours(obj: Json, is_own: Callable[[str], bool]) -> bool:
    """Does it bear the label of one of the deployment's apps, or no such label but fields that we applied?

    ``is_own`` knows the labels of the deployment.
    Somebody may have taken the label off; one of another deployment says that it has gone over to that.
    """
    label = deployment_of(obj)
    return is_own(label) if label else was_brought_by_us(obj)


def why_not_ours(ref: Ref, present: Json, *, label: str, is_own: Callable[[str], bool]) -> str:
    """Why an object that is there is none of our business; ``""`` if it is ours. ``label``: the app's."""
    if ref.kind == _NAMESPACE:  # one that was there before never got our label, whatever fields of it we set
        return "" if carries(present, label) else "left in place: the namespace was there before"
    if is_ours(present, is_own):
        return ""
    if deployment_of(present):
        return "left in place: it belongs to another deployment"
    return "left in place: it is not what this deployment brought"


def uid_of(obj: Json) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""


def is_leaving(obj: Json) -> str:
    """What an object that is being deleted waits for, in words; ``""`` for one that is not."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("deletionTimestamp"):
        return ""
    return leaving(obj)


def leaving(obj: Json) -> str:
    """The same for an object that is known to be on its way out."""
    metadata = obj.get("metadata")
    finalizers = metadata.get("finalizers") if isinstance(metadata, dict) else None
    names = clean(", ".join(map(str, finalizers)), limit=_SHOWN) if isinstance(finalizers, list) else ""
    inside = clean("; ".join(_held_inside(obj)), limit=_SHOWN)
    waits = f" and waits for its finalizers: {names}" if names else ""
    return f"it is being deleted{waits}" + (f": {inside}" if inside else "")


def _held_inside(obj: Json) -> Iterator[str]:
    """What a namespace says of the objects in it that keep it from going."""
    status = obj.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("status") == "True" and str(one.get("type")).startswith("Namespace"):
            yield str(one.get("message") or one.get("reason"))
