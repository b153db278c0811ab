"""The one error tree. Every error knows its HTTP status, its gRPC code and whether trying again can heal it.

::

    EmcoError                 500  UNKNOWN              our mistake, or the base of everything
    ├── BadRequest            400  INVALID_ARGUMENT     malformed body, schema, query
    ├── Forbidden             403  PERMISSION_DENIED    this installation does not allow it to anybody
    ├── NotFound              404  NOT_FOUND            an object of the path is missing
    ├── Conflict              409  FAILED_PRECONDITION  wrong state, name taken, children or references in the way
    ├── PreconditionFailed    412  ABORTED              stale If-Match
    ├── TooLarge              413  RESOURCE_EXHAUSTED   a stated limit was passed
    ├── UnsupportedMedia      415  INVALID_ARGUMENT     wrong media type
    ├── Unprocessable         422  INVALID_ARGUMENT     well-formed, but cannot be done
    └── Unavailable           503  UNAVAILABLE          store, bus or another service is away; retriable
        └── LoginRefused      503  UNAVAILABLE          it answers, and does not take our credentials

Layers below HTTP raise these (or subclasses that live beside the code that raises them); ``emco_common.web`` turns them
into answers. The message is for the user: it names field, value and remedy, and never holds a secret.
"""

from __future__ import annotations

from typing import ClassVar

import grpc


class EmcoError(Exception):
    """Base of all errors raised on purpose.

    ``str(error)`` is the text every user sees, and clients of the original match. ``detail`` is what those see in
    addition who ask for problem details: which object, which field.
    """

    status: ClassVar[int] = 500
    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    retriable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class BadRequest(EmcoError):
    status = 400
    code = grpc.StatusCode.INVALID_ARGUMENT


class Forbidden(EmcoError):
    """Switched off by a setting. Who may do what is not asked here, but in front of the services."""

    status = 403
    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(EmcoError):
    status = 404
    code = grpc.StatusCode.NOT_FOUND


class Conflict(EmcoError):
    status = 409
    code = grpc.StatusCode.FAILED_PRECONDITION


class PreconditionFailed(EmcoError):
    status = 412
    code = grpc.StatusCode.ABORTED


class TooLarge(EmcoError):
    status = 413
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnsupportedMedia(EmcoError):
    status = 415
    code = grpc.StatusCode.INVALID_ARGUMENT


class Unprocessable(EmcoError):
    status = 422
    code = grpc.StatusCode.INVALID_ARGUMENT


class Unavailable(EmcoError):
    """The other side is away. ``retry_after`` is the pause, in seconds, to propose to the caller."""

    status = 503
    code = grpc.StatusCode.UNAVAILABLE
    retriable = True

    def __init__(self, message: str, *, retry_after: float = 1.0, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class LoginRefused(Unavailable):
    """The other side answers and does not take our credentials: waiting for it alone heals nothing."""
