"""What a failed call to etcd means: try again, log in again, or an error for the caller. Pure."""

from __future__ import annotations

from enum import Enum

import grpc
from grpc import aio

from emco_common.contextbus.api import BusLoginRefused, BusUnavailable, Compacted, LeaseLost
from emco_common.errors import BadRequest, EmcoError, TooLarge


class Remedy(Enum):
    RETRY = "retry"
    LOGIN = "login"


_RETRIED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,  # by a server that shuts down; our own cancellation never comes as an error
        grpc.StatusCode.INTERNAL,  # a stream reset under the call
    }
)

_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,  # so etcd calls a wrong password
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)

_LOGIN_TEXTS = ("invalid auth token", "revision of auth store is old", "user name is empty")
_TOO_LARGE_TEXTS = ("request is too large", "too many operations", "larger than max")


def remedy_of(error: aio.AioRpcError) -> Remedy | EmcoError:
    """What to do about a failed call."""
    code, text = error.code(), str(error.details() or "")
    if code is grpc.StatusCode.UNAUTHENTICATED or any(part in text for part in _LOGIN_TEXTS):
        return Remedy.LOGIN
    if any(part in text for part in _TOO_LARGE_TEXTS):
        return TooLarge(f"etcd refuses the request: {text}")
    if "lease not found" in text:
        return LeaseLost("the lease has expired or was revoked")
    if code is grpc.StatusCode.OUT_OF_RANGE:
        return Compacted(f"etcd has compacted that revision: {text}")
    if code in _RETRIED:
        return Remedy.RETRY
    if code is grpc.StatusCode.INVALID_ARGUMENT and "authentication failed" not in text:
        return BadRequest(f"etcd refuses the request: {text}")
    kind = BusLoginRefused if is_refusal(error) else BusUnavailable
    return kind(f"etcd refuses the call: {text or code.name}")


def remedy_of_cancelled_watch(reason: str, *, compact_revision: int) -> Remedy | EmcoError:
    """What to do when the server ended a watch.

    After a restart the server does not know the token of the stream and says ``permission denied``; logging in again
    heals that, and does no harm where the permission is truly missing.
    """
    if compact_revision:
        return Compacted(f"etcd has compacted the history before revision {compact_revision}")
    if "permission denied" in reason or any(part in reason for part in _LOGIN_TEXTS):
        return Remedy.LOGIN
    return Remedy.RETRY


def is_refusal(error: aio.AioRpcError) -> bool:
    """Whether the server has answered, and does not take who we are."""
    return error.code() in _REFUSALS


def without_login(error: aio.AioRpcError) -> bool:
    """Whether a login failed because the server asks for none."""
    return "authentication is not enabled" in str(error.details() or "")
