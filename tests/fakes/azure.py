"""Azure's token endpoint and its management API as far as Arc is concerned: records what it is asked. The real one
cannot be run here, so what it would say to these requests is not known by test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

TOKEN = "azure-CANARY-token"


@dataclass
class FakeAzure:
    """``refuse`` answers requests whose path contains the key with status and body."""

    url: str = ""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse: dict[str, tuple[int, Any]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        is_form = request.content_type == "application/x-www-form-urlencoded"
        body: Any = {name: values[0] for name, values in parse_qs(text).items()} if is_form else None
        if text and not is_form:
            body = await request.json()
        self.requests.append((request.method, str(request.rel_url), body))
        self.headers.append(dict(request.headers))
        for part, (status, said) in self.refuse.items():
            if part in request.path:
                return web.json_response(said, status=status)
        if request.path.endswith("/oauth2/token"):
            return web.json_response({"access_token": TOKEN})
        return web.json_response({}, status=200 if request.method == "DELETE" else 201)


@asynccontextmanager
async def fake_azure() -> AsyncIterator[FakeAzure]:
    azure = FakeAzure()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", azure.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    azure.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield azure
    finally:
        await runner.cleanup()
