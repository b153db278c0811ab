"""A span for every REST request: ``<METHOD> <route template>``, its names, its status. Never a query or a body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emco_common.tracing.spans import Fact, Facts, Kind, Tracing, within
from emco_common.tracing.wire import caller_of

_QUIET = ("/healthz", "/readyz", "/metrics")


class TracedRequests:
    """The layer around all others, so that the access line knows the trace."""

    def __init__(self, app: ASGIApp, *, service: str, tracing: Tracing) -> None:
        self._app = app
        self._service = service
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            return await self._app(scope, receive, send)
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method: str = scope["method"]
        facts = {"http.request.method": method, "emco.service": self._service}
        caller = caller_of(lambda name: given.get(name, ""))
        with within(self._tracing.begin(method, Kind.SERVER, caller=caller, facts=facts)) as span:
            try:
                await self._app(scope, receive, noted)
            finally:
                if span.open:
                    route = str(getattr(scope.get("route"), "path", ""))
                    span.named(f"{method} {route}" if route else method)
                    names: Facts = {f"emco.{name}": str(value) for name, value in scope.get("path_params", {}).items()}
                    request = str(scope.get("state", {}).get("request_id", ""))
                    told: dict[str, Fact] = {"http.response.status_code": status, "emco.request_id": request, **names}
                    if route:
                        told["http.route"] = route
                    span.note(told)
                    if status >= 500:
                        span.fail(str(status))
        return None
