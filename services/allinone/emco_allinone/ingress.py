"""One port in front of all services of the process: the path decides which one answers, without another hop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from emco_common.web.answers import encoded, plain

Route = tuple[Callable[[str], bool], ASGIApp]


class Ingress:
    """An ASGI application over others; their life is managed elsewhere."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        path = scope["path"]
        for owns, app in self._routes:
            if owns(path):
                return await app(scope, receive, send)
        if path == "/healthz":
            return await encoded({"status": "ok"})(scope, receive, send)
        return await plain(404, "404 page not found")(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
