"""What can go wrong between us and one cluster, built from the ``Status`` body the API server answers with.

::

    KubeError                     base; also raised for other refusals (400, 405, 413, 415 …)
    ├── Unreachable               no answer: refused, reset, name unknown, TLS, deadline. Retriable, soon
    ├── NoRoom                    no connection to be had: this process has as many open as it may. Retriable
    ├── Unauthorized              401: the credential is wrong or was revoked
    ├── Forbidden                 403: the credential may not do this
    │   └── NamespaceTerminating  403: the namespace is on its way out. Retriable, it will be gone
    ├── NotFound                  404: the object, or the namespace it should go to, is not there
    ├── UnknownKind               the cluster does not serve this kind (its CRD is missing or not yet established)
    ├── Conflict                  409: written by someone else since it was read. Retriable after a read
    │   ├── AlreadyExists         409: create, and the name is taken
    │   └── FieldConflict         409: server-side apply, another manager owns fields
    ├── Gone                      410: this resource version is too old. List again
    ├── Invalid                   422: well-formed, refused by validation
    ├── TooManyRequests           429: retriable after ``retry_after`` seconds
    ├── ServerError               5xx: the cluster's own trouble. Retriable, with back-off
    └── BadAnswer                 the answer is too big, no JSON, not what was asked for, or not an API server's

A reconciler retries what is ``retriable`` and reports the rest. The text may come from a hostile cluster, so it is
cut to a stated length and freed of control characters before anybody sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import grpc

from emco_common.errors import EmcoError

MAX_MESSAGE = 1_000
"""Characters of a cluster's message that are kept."""
MAX_CAUSES = 100

_UNPRINTABLE = re.compile(
    r"(?:\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff])+"
)
_MANAGER = re.compile(r'conflict with "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``details.causes``: what is wrong with which field."""

    type: str
    field: str
    message: str


class KubeError(EmcoError):
    """``http_status`` is 0 when there was no answer; ``reason`` is the API server's word for it, or ours."""

    status = 422
    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason: ClassVar[str] = "Unknown"
    retry_after: float = 0.0
    """Seconds that the server asks to be left alone, at most 300."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int = 0,
        reason: str = "",
        causes: tuple[Cause, ...] = (),
        subject_kind: str = "",
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.reason = reason or self.default_reason
        self.causes = causes
        self.subject_kind = subject_kind
        """``details.kind``: the resource the refusal is about, e.g. ``namespaces`` when that one is missing."""

    def about(self, circumstance: str) -> Self:
        """The same error, which tells also under which circumstance it came up."""
        other = copy(self)
        other.args = (f"{circumstance}: {self}",)
        return other


class Unreachable(KubeError):
    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True
    default_reason = "Unreachable"


class NoRoom(KubeError):
    """Says nothing of the cluster. A watch is not waited for: poll instead."""

    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True
    default_reason = "NoRoom"


class Unauthorized(KubeError):
    default_reason = "Unauthorized"


class Forbidden(KubeError):
    default_reason = "Forbidden"


class NamespaceTerminating(Forbidden):
    retriable = True
    default_reason = "NamespaceTerminating"


class NotFound(KubeError):
    default_reason = "NotFound"


class UnknownKind(KubeError):
    default_reason = "UnknownKind"


class Conflict(KubeError):
    retriable = True
    default_reason = "Conflict"


class AlreadyExists(Conflict):
    retriable = False
    default_reason = "AlreadyExists"


class FieldConflict(Conflict):
    """``fields`` are the disputed paths, ``managers`` who owns them."""

    retriable = False
    default_reason = "FieldConflict"

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(cause.field for cause in self.causes)

    @property
    def managers(self) -> tuple[str, ...]:
        found = (_MANAGER.search(cause.message) for cause in self.causes)
        return tuple(dict.fromkeys(match.group(1) for match in found if match))


class Gone(KubeError):
    default_reason = "Expired"


class Invalid(KubeError):
    default_reason = "Invalid"


class TooManyRequests(KubeError):
    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True
    default_reason = "TooManyRequests"
    retry_after: float = 1.0


class ServerError(KubeError):
    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True
    default_reason = "InternalError"


class BadAnswer(KubeError):
    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True
    default_reason = "BadAnswer"


_BY_STATUS: Mapping[int, type[KubeError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


_WITHOUT_STATUS = (Unauthorized, TooManyRequests, ServerError)
"""What an API server, or a proxy before it, may say in plain text. Else it is somebody else who speaks."""
_NO_SUCH_PATH = b"404 page not found"


def clean(text: str, *, limit: int = MAX_MESSAGE) -> str:
    """A foreign text made harmless: one line, no control or direction characters, at most ``limit`` characters.

    Of a longer one the end is kept as well: where a server quotes a whole object, what is wrong with it comes last.
    """
    if len(text) <= limit * 4:
        line = _UNPRINTABLE.sub(" ", text).strip()
        if len(line) <= limit:
            return line
    tail = limit // 4
    start, end = (_UNPRINTABLE.sub(" ", part).strip() for part in (text[: limit * 3], text[-limit:]))
    return start[: limit - tail - 1] + "…" + end[-tail:]


def error_from_answer(http_status: int, body: bytes, *, retry_after: str | None = None) -> KubeError:
    """The error that an answer with a failure code stands for. ``body`` may be anything."""
    status = _decode(body)
    details = _mapping(status.get("details"))
    reason = clean(_text(status.get("reason")), limit=100)
    causes = _causes(details)
    message = clean(_text(status.get("message")))
    is_status = status.get("kind") == "Status"
    kind = _class_of(http_status, reason=reason, causes=causes, is_status=is_status, message=message)
    if not is_status and kind not in _WITHOUT_STATUS and not (kind is UnknownKind and body.startswith(_NO_SUCH_PATH)):
        kind = BadAnswer
    error = kind(
        clean(_text(status.get("message")))
        or clean(body[:MAX_MESSAGE].decode(errors="replace"))
        or f"HTTP {http_status}",
        http_status=http_status,
        reason=reason,
        causes=causes,
        subject_kind=clean(_text(details.get("kind")), limit=100),
    )
    if isinstance(error, TooManyRequests) or (isinstance(error, ServerError) and retry_after):
        error.retry_after = _seconds(retry_after, details.get("retryAfterSeconds"))
    return error


def error_from_event(status: object) -> KubeError:
    """The error carried by a watch event of type ERROR."""
    body = _mapping(status)
    code = body.get("code")
    return error_from_answer(code if isinstance(code, int) else 500, json.dumps(body).encode())


def _class_of(
    http_status: int, *, reason: str, causes: tuple[Cause, ...], is_status: bool, message: str
) -> type[KubeError]:
    types = {cause.type for cause in causes}
    if http_status == 404 and not is_status:
        return UnknownKind  # a path nobody serves is answered in plain text
    if http_status == 409 and reason == "AlreadyExists":
        return AlreadyExists
    if http_status == 409 and "FieldManagerConflict" in types:
        return FieldConflict
    if http_status == 403 and "NamespaceTerminating" in types:
        return NamespaceTerminating
    if http_status >= 500:
        # Server-side apply answers 500 when a manifest does not fit the schema of its kind.
        return Invalid if message.startswith("failed to create typed patch object") else ServerError
    return _BY_STATUS.get(http_status, KubeError)


def _decode(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _causes(details: Mapping[str, Any]) -> tuple[Cause, ...]:
    causes = details.get("causes")
    entries = [_mapping(cause) for cause in causes[:MAX_CAUSES]] if isinstance(causes, list) else []
    return tuple(
        Cause(
            type=clean(_text(entry.get("reason")), limit=100),
            field=clean(_text(entry.get("field")), limit=300),
            message=clean(_text(entry.get("message"))),
        )
        for entry in entries
    )


def _seconds(header: str | None, detail: object) -> float:
    for value in (header, detail):
        if isinstance(value, (str, int)) and str(value).isdecimal():
            return float(min(max(int(str(value)[:6]), 1), 300))
    return 1.0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
