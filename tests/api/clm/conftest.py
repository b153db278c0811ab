"""A running clm over real HTTP, on the embedded store and bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from emco_clm.app import create_service
from emco_clm.settings import ClmSettings
from emco_common.runtime import Deps, open_deps
from pydantic import SecretStr


@dataclass
class Clm:
    """``data`` is where everything that clm keeps lies on disk."""

    client: httpx.AsyncClient
    deps: Deps
    data: Path
    settings: ClmSettings

    async def post(self, path: str, body: Any, *, expect: int = 201) -> httpx.Response:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == expect, answer.text
        return answer


def settings_in(folder: Path, **given: Any) -> ClmSettings:
    return ClmSettings(
        http_port=0,
        database_url=SecretStr(f"sqlite://{folder}/store.db"),
        bus_url=SecretStr(f"embedded://{folder}/bus.db"),
        data_key=SecretStr("test key"),
        **given,
    )


@pytest.fixture
async def clm(tmp_path: Path) -> AsyncIterator[Clm]:
    settings = settings_in(tmp_path)
    async with open_deps(settings) as deps:
        service = create_service(settings, deps)
        await service.start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=30) as client:
            yield Clm(client, deps, tmp_path, settings)
        await service.stop()
