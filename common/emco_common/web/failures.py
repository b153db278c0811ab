"""From an error to its answer, the same wherever in a service it is caught."""

from __future__ import annotations

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from emco_common.errors import EmcoError, Unavailable
from emco_common.tracing.spans import failed
from emco_common.web.answers import INTERNAL, NO_SUCH_PATH, empty, refusal
from emco_common.web.requests import request_id_of

_log = structlog.get_logger()


def answer_error(scope: Scope, error: EmcoError) -> Response:
    """The refusal with the status, the text and the headers that the error stands for."""
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, Unavailable) else {}
    if error.status == 415:
        headers["Accept-Encoding"] = "identity"
    if error.status >= 500:
        failed(error)
        cause = repr(error.__cause__) if error.__cause__ else None
        _log.error("request_failed", error=str(error), kind=type(error).__name__, cause=cause)
    return _shaped(scope, error.status, str(error), detail=error.detail, headers=headers)


def answer_routing(scope: Scope, error: HTTPException) -> Response:
    """What the framework refuses: no such path, no such method."""
    if error.status_code == 405:
        return empty(405, headers=error.headers)
    message = NO_SUCH_PATH if error.status_code == 404 else str(error.detail)
    return _shaped(scope, error.status_code, message)


def answer_crash(scope: Scope, error: Exception) -> Response:
    """Our own mistake: logged in full, answered without a word of it."""
    _log.error("request_crashed", method=scope["method"], path=scope["path"], exc_info=error)
    return _shaped(scope, 500, INTERNAL)


def _shaped(
    scope: Scope, status: int, message: str, *, detail: str = "", headers: dict[str, str] | None = None
) -> Response:
    accept = ",".join(Headers(scope=scope).getlist("accept"))
    return refusal(accept, status, message, detail=detail, request_id=request_id_of(scope), headers=headers)
