"""What an error from a cluster means for the object it came up with: pure."""

from __future__ import annotations

from enum import Enum

from emco_common.kube import errors

SECRET_KINDS = frozenset({"Secret"})


class Verdict(Enum):
    AWAY = "away"
    """The cluster cannot be reached or does not know us any more; the object is not to blame. Wait for the cluster."""
    RETRY = "retry"
    """The cluster is there and could not do it now. Try again, with back-off."""
    WAIT = "wait"
    """Something the object needs (its kind, its namespace) is not there yet. Try again, with back-off."""
    CONFLICT = "conflict"
    """Another manager owns fields of the object."""
    GONE = "gone"
    """The object is not there."""
    REFUSED = "refused"
    """The cluster will never take it as it is."""

    @property
    def transient(self) -> bool:
        return self in (Verdict.AWAY, Verdict.RETRY, Verdict.WAIT)


def classify(error: errors.KubeError) -> Verdict:
    """For an apply or any write that needs the object's surroundings to exist."""
    match error:
        case errors.Unreachable() | errors.Unauthorized():
            return Verdict.AWAY
        case errors.UnknownKind():
            return Verdict.WAIT
        case errors.NotFound():
            return Verdict.WAIT if error.subject_kind in ("namespaces", "") else Verdict.GONE
        case errors.FieldConflict():
            return Verdict.CONFLICT
        case errors.KubeError(retriable=True):
            return Verdict.RETRY
        case _:
            return Verdict.REFUSED


def classify_removal(error: errors.KubeError) -> Verdict:
    """For a read or a delete: what is not served or not found is gone."""
    if isinstance(error, errors.NotFound | errors.UnknownKind):
        return Verdict.GONE
    return classify(error)


def is_refusal(error: errors.KubeError) -> bool:
    """Did the server itself say no, for good?"""
    return error.http_status != 0 and classify_removal(error) is Verdict.REFUSED


def describe(error: errors.KubeError, *, kind: str) -> str:
    """The reason a user is shown. For kinds that hold secrets only fields are named, as messages may quote values."""
    if kind not in SECRET_KINDS:
        return f"{error.reason}: {error}"
    fields = ", ".join(dict.fromkeys(cause.field for cause in error.causes if cause.field))
    if isinstance(error, errors.Invalid | errors.FieldConflict):
        return f"{error.reason}: {fields or 'the object was refused'}"
    if isinstance(error, errors.BadAnswer):
        return f"{error.reason}: the answer was not what an API server answers"
    return f"{error.reason}: {error}"
