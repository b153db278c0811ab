"""The ingress on a port of its own, in front of a suite that runs elsewhere in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from emco_common.access.routes import OWN
from emco_ingress.app import create_service
from emco_ingress.settings import IngressSettings
from tests.support.suite import RunningSuite


def upstreams_of(suite: RunningSuite) -> dict[str, str]:
    return {name: f"http://127.0.0.1:{suite.port(name)}" for name in OWN}


@asynccontextmanager
async def ingress(upstreams: dict[str, str], **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started ingress."""
    service = create_service(IngressSettings.load("ingress", {}, http_port=0, upstreams=upstreams, **settings))
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=30) as client:
            yield client
    finally:
        await service.stop()
