"""A running clm over real HTTP, on the embedded store and bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from emco_clm.app import create_service
from emco_clm.settings import ClmSettings
from emco_common.runtime import Deps, Service, open_deps, wall_clock

PROVIDERS = "/v2/cluster-providers"
CLUSTERS = f"{PROVIDERS}/p/clusters"


@dataclass
class Clm:
    """``data`` is where everything that clm keeps lies on disk."""

    client: httpx.AsyncClient
    deps: Deps
    data: Path
    service: Service

    async def post(self, path: str, body: Any, *, expect: int = 201) -> httpx.Response:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == expect, answer.text
        return answer

    async def background_done(self) -> None:
        """Returns when the sweep that clm begins with is done."""
        async with asyncio.timeout(10):
            await self.service._tasks[0]

    async def provider(self, name: str = "p") -> None:
        await self.post(PROVIDERS, {"metadata": {"name": name}})

    async def register(
        self, name: str, kubeconfig: bytes | None, *, provider: str = "p", git_ops: dict[str, str] | None = None
    ) -> httpx.Response:
        body = {"metadata": {"name": name}, "spec": {"gitOps": git_ops or {}}}
        files: dict[str, Any] = {"metadata": (None, json.dumps(body))}
        if kubeconfig is not None:
            files["file"] = ("kubeconfig", kubeconfig)
        return await self.client.post(f"{PROVIDERS}/{provider}/clusters", files=files)


@asynccontextmanager
async def serving_clm(
    folder: Path, *, clock: Callable[[], datetime] = wall_clock, **settings: Any
) -> AsyncIterator[Clm]:
    given = ClmSettings(
        http_port=0,
        database_url=SecretStr(f"sqlite://{folder}/store.db"),
        bus_url=SecretStr(f"embedded://{folder}/bus.db"),
        data_key=SecretStr("test key"),
        grpc_connect_timeout=0.3,
        **settings,
    )
    async with open_deps(given) as opened:
        deps = replace(opened, clock=clock)
        service = create_service(given, deps)
        await service.start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=30) as client:
            yield Clm(client, deps, folder, service)
        await service.stop()


@pytest.fixture
async def clm(tmp_path: Path) -> AsyncIterator[Clm]:
    async with serving_clm(tmp_path) as started:
        yield started
