"""The application factory: every service is the same shell around its routes.

It maps errors to answers, bounds bodies, names requests, measures them, writes one access line each, and serves
``/v2``, ``/healthz``, ``/readyz``, ``/metrics`` and the OpenAPI description.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry, ProcessCollector
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from emco_common.errors import EmcoError
from emco_common.tracing.requests import TracedRequests
from emco_common.tracing.spans import Tracing
from emco_common.web.answers import encoded
from emco_common.web.description import completed
from emco_common.web.discovery import discovery_router
from emco_common.web.dispatch import Direct, Dispatcher, Route, Table
from emco_common.web.failures import answer_crash, answer_error, answer_routing
from emco_common.web.limits import Limits
from emco_common.web.requests import RequestRecorder
from emco_common.web.scraping import OK, Scrape, Scraped, Verdicts

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
    before_scrape: Iterable[Scraped] = (),
    layers: Iterable[Callable[[ASGIApp], ASGIApp]] = (),
    tracing: Tracing | None = None,
    behind: Iterable[str] = (),
) -> FastAPI:
    """The web application of one service.

    ``ready`` are the named dependencies that ``/readyz`` asks; ``before_scrape`` bring ``metrics`` up to date.
    ``layers`` are what a request goes through after it was named and bounded, innermost first; ``behind`` are the
    services that it stands in front of.
    """

    @asynccontextmanager
    async def around(_app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan():
                yield

    registry = metrics or CollectorRegistry()
    ProcessCollector(registry=registry)
    app = _Application(
        title=f"EMCO {service}",
        version=version,
        redirect_slashes=False,
        docs_url="/docs",
        redoc_url=None,
        lifespan=around,
        separate_input_output_schemas=False,
    )
    # not ``include_router``, which works every route out a second time: a third of a service's start
    for router in routers:
        app.router.routes.extend(router.routes)
    ask = _asking(ready or {})
    app.router.routes.extend(discovery_router(service, version, behind=behind).routes)
    app.router.routes.extend(_housekeeping(ask, Scrape(registry, ask, before_scrape)).routes)
    app.add_exception_handler(EmcoError, _on_error)
    app.add_exception_handler(HTTPException, _on_routing)
    app.add_exception_handler(Exception, _on_crash)
    app.add_middleware(Dispatcher, table=Table(_routes(app)))
    for layer in layers:
        app.add_middleware(layer)
    app.add_middleware(Limits, max_body=max_body, max_upload=max_upload)
    app.add_middleware(RequestRecorder, service=service, registry=registry)
    if tracing is not None:
        app.add_middleware(TracedRequests, service=service, tracing=tracing)
    return app


class _Application(FastAPI):
    """FastAPI, whose description of itself is completed by what all our operations have in common."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def _routes(app: FastAPI) -> Iterator[Route]:
    """All routes in their order. A ``Direct`` endpoint below a router with dependencies of its own is not called past
    them."""
    for route in iter_route_contexts(app.routes):
        if route.path is None:
            continue
        dependant = getattr(route, "dependant", None)
        direct = isinstance(route.endpoint, Direct) and dependant is not None and not dependant.dependencies
        yield Route(
            route.path,
            frozenset(route.methods or ()),
            route.endpoint.direct if direct and isinstance(route.endpoint, Direct) else None,
        )


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """``checks`` says of each dependency ``ok`` or what is wrong with it."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


def _housekeeping(ask: Verdicts, scrape: Scrape) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="The process lives")
    async def healthz() -> Alive:
        return Alive()

    @router.get(
        "/readyz",
        summary="The service and what it needs answer",
        response_model=Readiness,
        responses={503: {"description": "Not ready", "model": Readiness}},
    )
    async def readyz() -> Response:
        verdicts = await ask()
        good = all(verdict == OK for verdict in verdicts.values())
        answer = Readiness(status="ok" if good else "unavailable", checks=dict(verdicts))
        return encoded(answer.model_dump(), 200 if good else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        return await scrape.answer(request.headers.get("accept-encoding", ""))

    return router


def _asking(ready: Mapping[str, ReadyCheck]) -> Verdicts:
    """What asks all of them at once, and answers their verdicts."""

    async def ask_all() -> dict[str, str]:
        return dict(zip(ready, await asyncio.gather(*(_ask(check) for check in ready.values())), strict=True))

    return ask_all


async def _ask(check: ReadyCheck) -> str:
    try:
        async with asyncio.timeout(READINESS_DEADLINE):
            await check()
    except TimeoutError:
        return f"no answer within {READINESS_DEADLINE:g} s"
    except EmcoError as error:
        return str(error)
    return OK


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EmcoError)
    return answer_error(request.scope, error)


async def _on_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer_routing(request.scope, error)


async def _on_crash(request: Request, error: Exception) -> Response:
    return answer_crash(request.scope, error)
