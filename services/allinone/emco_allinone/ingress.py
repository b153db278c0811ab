"""One port in front of all services of the process: the path decides which one answers, without another hop."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from emco_common import __version__
from emco_common.access.routes import HTTP_PORTS, RouteTable, routes_to
from emco_common.web.answers import NO_SUCH_PATH, encoded, refusal
from emco_common.web.discovery import OPENAPI, PATH, discovery, service_behind
from emco_common.web.limits import cleaned


class Ingress:
    """An ASGI application over others, by the names of their services; their life is managed elsewhere."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps
        self._table = RouteTable(routes_to(apps))
        self._discovery = discovery("ingress", __version__, behind=(name for name in apps if name in HTTP_PORTS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        path: str = scope["path"]
        route = self._table.find(path.split("/")[1:])
        if route is not None:
            return await self._apps[route.service](scope, receive, send)
        if path == PATH:
            return await encoded(self._discovery.model_dump())(scope, receive, send)
        if (described := self._apps.get(service_behind(path))) is not None:
            return await described({**scope, "path": OPENAPI, "raw_path": OPENAPI.encode()}, receive, send)
        if path == "/healthz":
            return await encoded({"status": "ok"})(scope, receive, send)
        accept = ",".join(Headers(scope=scope).getlist("accept"))
        answer = cleaned(scope) or refusal(accept, 404, NO_SUCH_PATH)
        return await answer(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
