"""Fixture: the whole suite in this process, on the embedded store and bus and on free ports."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_allinone.suite import Suite, running


class RunningSuite:
    """``client`` speaks to all services through the ingress."""

    def __init__(self, suite: Suite, client: httpx.AsyncClient) -> None:
        self.suite = suite
        self.client = client

    def port(self, service: str) -> int:
        return self.suite.services[service].http_port

    async def post(self, path: str, body: Any = None, *, expect: int = 201, **form: Any) -> httpx.Response:
        answer = await self.client.post(path, **({"json": body} if body is not None else {}), **form)
        assert answer.status_code == expect, f"POST {path}: {answer.status_code} {answer.text}"
        return answer

    async def register_rsync(self) -> None:
        spec = {"host": "127.0.0.1", "port": self.suite.services["rsync"].grpc_port}
        await self.post("/v2/controllers", {"metadata": {"name": "rsync"}, "spec": spec})


@asynccontextmanager
async def running_suite(
    data: Path, *, environment: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[RunningSuite]:
    async with AsyncExitStack() as stack:
        started = running(data, environment or {}, ingress_port=0, http_port=0, grpc_port=0, **settings)
        suite = await stack.enter_async_context(started)
        base = f"http://127.0.0.1:{suite.ingress_port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base, timeout=30))
        yield RunningSuite(suite, client)


@pytest.fixture
async def suite(tmp_path: Path) -> AsyncIterator[RunningSuite]:
    async with running_suite(tmp_path / "data") as started:
        yield started
