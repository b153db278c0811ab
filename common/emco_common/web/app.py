"""The application factory: every service is the same shell around its routes.

It maps errors to answers, bounds bodies, names requests, measures them, writes one access line each, and serves
``/healthz``, ``/readyz``, ``/metrics`` and the OpenAPI description.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from emco_common.errors import EmcoError, Unavailable
from emco_common.web.answers import INTERNAL, empty, encoded, plain, problem
from emco_common.web.limits import Limits
from emco_common.web.requests import RequestRecorder, request_id_of

_log = structlog.get_logger()
READINESS_DEADLINE = 2.0

ReadyCheck = Callable[[], Awaitable[None]]
"""Returns when the dependency answers, raises otherwise."""


def create_app(
    service: str,
    routers: Iterable[APIRouter],
    *,
    version: str,
    max_body: int,
    max_upload: int,
    ready: Mapping[str, ReadyCheck] | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    metrics: CollectorRegistry | None = None,
) -> FastAPI:
    """The web application of one service. ``ready`` are the named dependencies that ``/readyz`` asks."""

    @asynccontextmanager
    async def around(_app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan():
                yield

    registry = metrics or CollectorRegistry()
    app = FastAPI(
        title=f"EMCO {service}",
        version=version,
        redirect_slashes=False,
        docs_url="/docs",
        redoc_url=None,
        lifespan=around,
        separate_input_output_schemas=False,
    )
    for router in routers:
        app.include_router(router)
    app.include_router(_housekeeping(ready or {}, registry))
    app.add_exception_handler(EmcoError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_routing)
    app.add_exception_handler(Exception, _answer_crash)
    app.add_middleware(Limits, max_body=max_body, max_upload=max_upload)
    app.add_middleware(RequestRecorder, service=service, registry=registry)
    return app


def _housekeeping(ready: Mapping[str, ReadyCheck], registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(
        "/readyz", summary="The service and what it needs answer", responses={503: {"description": "Not ready"}}
    )
    async def readyz() -> Response:
        verdicts = dict(zip(ready, await asyncio.gather(*(_ask(check) for check in ready.values())), strict=True))
        good = all(verdict == "ok" for verdict in verdicts.values())
        return encoded({"status": "ok" if good else "unavailable", "checks": verdicts}, 200 if good else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _ask(check: ReadyCheck) -> str:
    try:
        async with asyncio.timeout(READINESS_DEADLINE):
            await check()
    except TimeoutError:
        return f"no answer within {READINESS_DEADLINE:g} s"
    except EmcoError as error:
        return str(error)
    return "ok"


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EmcoError)
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, Unavailable) else None
    if error.status >= 500:
        cause = repr(error.__cause__) if error.__cause__ else None
        _log.error("request_failed", error=str(error), kind=type(error).__name__, cause=cause)
    return _shaped(request, error.status, str(error), detail=error.detail, headers=headers)


async def _answer_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return empty(405)
    message = "404 page not found" if error.status_code == 404 else str(error.detail)
    return _shaped(request, error.status_code, message)


async def _answer_crash(request: Request, error: Exception) -> Response:
    _log.error("request_crashed", method=request.method, path=request.url.path, exc_info=error)
    return _shaped(request, 500, INTERNAL)


def _shaped(
    request: Request, status: int, message: str, *, detail: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    if "application/problem+json" in request.headers.get("accept", ""):
        return problem(status, message, detail=detail, request_id=request_id_of(request.scope), headers=headers)
    return plain(status, message, headers=headers)
