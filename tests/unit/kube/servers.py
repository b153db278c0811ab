"""A loopback server whose answers the test scripts, for what no well-behaved API server does.

It speaks HTTP/1.1, or HTTP/2 to tests that have the fixture ``carrier``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from emco_common.kube import KubeClient, Kubeconfig
from emco_simcluster.tls import Authority
from tests.unit.kube.front import fronted

SPEAKS: ContextVar[str] = ContextVar("SPEAKS", default="HTTP/1.1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scripted:
    """Answers by path; ``seen`` are the requests in order as ``METHOD path``."""

    def __init__(self) -> None:
        self.answers: dict[str, Handler] = {}
        self.seen: list[str] = []
        self.kubeconfig = Kubeconfig(server="")

    def json(self, path: str, body: Any, *, status: int = 200) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status)

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        handler = self.answers.get(request.path)
        if handler is None:
            return web.Response(status=404, text="404 page not found\n")
        return await handler(request)


@asynccontextmanager
async def scripted_cluster(*, timeout: float = 5.0, **config: Any) -> AsyncIterator[tuple[Scripted, KubeClient]]:
    """A server that knows only core v1 ConfigMaps and Namespaces until the test scripts more, and its client."""
    script = Scripted()
    script.json("/api", {"kind": "APIVersions", "versions": ["v1"]})
    script.json("/apis", {"kind": "APIGroupList", "groups": []})
    script.json(
        "/api/v1",
        {
            "kind": "APIResourceList",
            "resources": [
                {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
                {"name": "configmaps/status", "kind": "ConfigMap", "namespaced": True},
                {"name": "namespaces", "kind": "Namespace", "namespaced": False},
            ],
        },
    )
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        server = f"http://127.0.0.1:{port}"
        if SPEAKS.get() == "HTTP/2":
            authority = Authority("scripted")
            server = await stack.enter_async_context(fronted(server, authority))
            config = {"ca_data": authority.certificate, **config}
        script.kubeconfig = Kubeconfig(server=server, **config)
        yield script, await stack.enter_async_context(KubeClient(script.kubeconfig, timeout=timeout))
