"""Renderers for the contract suite: every way to render that this machine has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from emco_common.helm.factory import EngineChoice, make_renderer
from emco_common.helm.pool import PooledRenderer
from tests.support.controlplane import REMEDY, helm_binary
from tests.support.realserver import skip_or_fail

ENGINES: tuple[EngineChoice, ...] = ("sdk", "cli")


@asynccontextmanager
async def renderer_of(engine: EngineChoice, **options: Any) -> AsyncIterator[PooledRenderer]:
    """A running renderer; the test is skipped by name where there is no ``helm``."""
    helm = helm_binary()
    if engine == "cli" and helm is None:
        skip_or_fail("no helm binary to render with", remedy=f"{REMEDY}, or put helm on the PATH")
    renderer = make_renderer(engine=engine, helm=str(helm), concurrency=options.pop("concurrency", 2), **options)
    try:
        yield renderer
    finally:
        await renderer.close()
