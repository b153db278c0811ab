"""What ``git`` says when it fails, as errors of the tree that everything spoken to a cluster has: pure.

Its words are shown to users, so whatever is secret is taken out of them first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from emco_common.kube import errors

_HIDDEN = "***"
_CREDENTIALS_IN_URL = re.compile(r"//[^/@\s]+@")
_NOISE = re.compile(r"^(?:hint|warning|To|Total|Writing|Counting|Compressing|Delta)\b")
_UNKNOWN_TO_IT = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|returned error: 401", re.I
)
_NOT_ALLOWED = re.compile(r"returned error: 403|access denied|permission denied", re.I)
_NO_REPOSITORY = re.compile(r"repository '.*' not found|returned error: 404", re.I)
_BEHIND = re.compile(
    r"\((?:fetch first|non-fast-forward|stale info|incorrect old value provided)\)|cannot lock ref"
    r"|failed to update ref|failed to lock|reference already exists",
    re.I,
)
_REFUSED = re.compile(r"\[(?:remote )?rejected\]")


class Behind(errors.Conflict):
    """Somebody else has pushed since."""

    default_reason = "Behind"


class GitMissing(errors.Unreachable):
    """There is no ``git`` program here."""

    default_reason = "GitMissing"


class NotReported(errors.KubeError):
    """Nothing has been told of the cluster yet."""

    default_reason = "NotReported"
    retriable = True


def without(text: str, secrets: Iterable[str]) -> str:
    """A text of strangers, on one line and without what must not be seen."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _CREDENTIALS_IN_URL.sub(f"//{_HIDDEN}@", text)


def error_of(told: str, *, server: str) -> errors.KubeError:
    """The error that ``git`` has told of, freed of secrets before."""
    lines = [line.strip() for line in told.splitlines()]
    words = errors.clean("; ".join(line for line in lines if line and not _NOISE.match(line)), limit=500)
    message = f"{server}: {words or 'git failed without a word'}"
    if _BEHIND.search(told):
        return Behind(message, http_status=409)
    if _UNKNOWN_TO_IT.search(told):
        return errors.Unauthorized(
            f"{server}: Authentication failed: userName and gitToken are not accepted", http_status=401
        )
    if _REFUSED.search(told):
        return errors.Forbidden(message, http_status=403)
    if _NOT_ALLOWED.search(told):
        return errors.Unauthorized(message, http_status=403)
    if _NO_REPOSITORY.search(told):
        return errors.Unauthorized(f"{message}; or its credentials do not let it be seen", http_status=404)
    return errors.Unreachable(message)
