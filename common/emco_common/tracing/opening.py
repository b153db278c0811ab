"""The traces of a process as its settings ask for them; the SDK is imported only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emco_common.settings import Settings
from emco_common.tracing.spans import Tracing


@asynccontextmanager
async def tracing_of(settings: Settings) -> AsyncIterator[Tracing | None]:
    """``None`` where they are off."""
    endpoint = settings.trace_endpoint or settings.zipkin_endpoint
    if not endpoint:
        yield None
        return
    from emco_common.tracing.process import open_tracing

    service, headers = settings.trace_service or "unknown.default", settings.trace_headers.get_secret_value()
    tracing = open_tracing(endpoint, service=service, sample=settings.trace_sample, headers=pairs(headers))
    try:
        yield tracing
    finally:
        await tracing.close()


def pairs(text: str) -> dict[str, str]:
    """``name=value,name=value``."""
    found = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in found}
