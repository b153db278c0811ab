"""Around every request: an id that goes through all logs and answers, an access line, a latency figure."""

from __future__ import annotations

import time
import uuid

import structlog
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.courtesy import waited_for
from emco_common.metrics.counts import Counts
from emco_common.metrics.timings import OTHER, Series, Timings
from emco_common.tracing.origin import is_fit

_log = structlog.get_logger()
_HEADER = b"x-request-id"
_QUIET = ("/healthz", "/readyz", "/metrics")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others are counted together: a caller can think of any number of them."""


class RequestRecorder:
    """Outermost ASGI layer of a service."""

    def __init__(self, app: ASGIApp, *, service: str, registry: CollectorRegistry) -> None:
        self._app = app
        self._service = service
        self._seconds = Timings(
            "emco_http_request_seconds",
            "Time until the answer to a request began, by the template of its path and the class of the status",
            ["service", "method", "route", "status"],
            registry=registry,
        )
        self._answers = Counts(
            "emco_http_responses", "Requests that were answered, by status", ["service", "status"], registry=registry
        )
        self._series: dict[tuple[str, str, int], Series] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = given_id(scope) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500  # what the server answers when nothing below did
        started, begun = time.perf_counter(), 0.0

        async def named(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], time.perf_counter()
                message["headers"] = [*message["headers"], (_HEADER, request_id.encode())]
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id, service=self._service)
        try:
            with waited_for():
                await self._app(scope, receive, named)
        finally:
            ended = time.perf_counter()
            self._series_of(scope, status).observe((begun or ended) - started)
            self._record(scope, status, ended - started)
            structlog.contextvars.reset_contextvars(**bound)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        self._answers.add(self._service, str(status))
        if scope["path"] not in _QUIET:
            _log.info(
                "request_answered",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 2),
                client=(scope.get("client") or ("",))[0],
            )

    def _series_of(self, scope: Scope, status: int) -> Series:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        known = (method, getattr(scope.get("route"), "path", "unknown"), status // 100)
        series = self._series.get(known)
        if series is None:
            series = self._seconds.series(self._service, *known[:2], f"{known[2]}xx")
            self._series[known] = series
        return series


def given_id(scope: Scope) -> str:
    """The id that the caller gave the request, ``""`` for none that is fit."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            given: str = value.decode("latin-1")
            return given if is_fit(given) else ""
    return ""


def request_id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))
