"""The answer to Prometheus: what is read for it first, within a deadline, and then written out beside the work."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

_log = structlog.get_logger()
OK = "ok"
READ_SECONDS = 5.0
"""Prometheus waits ten by default: what cannot be read until then is left out, and the rest is told."""

Scraped = Callable[[], Awaitable[None]]
"""Reads what its metrics tell. Raises nothing: what is not known has no series."""
Verdicts = Callable[[], Awaitable[Mapping[str, str]]]
"""By what is needed, ``OK`` or what is wrong with it."""


class Scrape(Collector):
    """``emco_ready`` and whatever ``registry`` has, after each of ``before`` was called."""

    def __init__(self, registry: CollectorRegistry, verdicts: Verdicts, before: Iterable[Scraped]) -> None:
        self._registry = registry
        self._verdicts = verdicts
        self._before = tuple(before)
        self._ready: Mapping[str, str] = {}
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        text = "1 if what the service needs answers, as /readyz says"
        family = GaugeMetricFamily("emco_ready", text, labels=["check"])
        for name, verdict in self._ready.items():
            family.add_metric([name], float(verdict == OK))
        yield family

    async def answer(self, accepted: str = "") -> Response:
        """The text, compressed where that is accepted (as Prometheus does): series are very much alike.

        Written in a thread, as ten thousand clusters take a while.
        """
        await asyncio.gather(self._look(), *(self._in_time(read) for read in self._before))
        packed = "gzip" in accepted
        headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
        text = await asyncio.to_thread(self._written, packed)
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers=headers)

    def _written(self, packed: bool) -> bytes:
        text = generate_latest(self._registry)
        return gzip.compress(text, compresslevel=1) if packed else text

    async def _look(self) -> None:
        self._ready = await self._verdicts()

    async def _in_time(self, read: Scraped) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                await read()
        except TimeoutError:
            _log.warning("metrics_not_read", waited=READ_SECONDS)
