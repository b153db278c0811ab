"""Whoever takes traces: OTLP over HTTP, decoded with the published protobuf, and Zipkin's JSON."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ARRIVED = 20.0
_FAILED = 2


@dataclass(frozen=True)
class Seen:
    """One span as it was sent; ids in hex, ``above`` is ``""`` for none."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    above: str
    failed: bool
    facts: Mapping[str, Any]


@dataclass
class Collector:
    """``bytes`` is all that was sent, unpacked; ``headers`` are those of the last request."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    zipkin: list[dict[str, Any]] = field(default_factory=list)
    bytes: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    answers: int = 200

    async def until(self, reached: Callable[[Sequence[Seen]], bool]) -> Sequence[Seen]:
        """The spans once that holds for them."""
        try:
            async with asyncio.timeout(ARRIVED):
                while not reached(self.spans):  # noqa: ASYNC110 - they come from outside
                    await asyncio.sleep(0.05)
        except TimeoutError:
            told = "\n".join(f"{span.trace} {span.service} {span.name} {span.facts}" for span in self.spans)
            raise AssertionError(f"these came:\n{told}") from None
        return self.spans

    def of(self, trace: str) -> list[Seen]:
        return [span for span in self.spans if span.trace == trace]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.headers, self.requests = {name.lower(): text for name, text in request.headers.items()}, self.requests + 1
        if self.answers == 200:
            self.bytes += body
            if request.path == "/api/v2/spans":
                self.zipkin += json.loads(body)
            else:
                self.spans += _decoded(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=self.answers)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/traces", made.take)
    app.router.add_post("/api/v2/spans", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def ancestors(span: Seen, spans: Sequence[Seen]) -> list[str]:
    """The names above it, the nearest first."""
    by_id = {one.id: one for one in spans}
    found = []
    while (above := by_id.get(span.above)) is not None:
        found.append(above.name)
        span = above
    return found


def _decoded(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    for resource in request.resource_spans:
        service = _facts(resource.resource.attributes)["service.name"]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Seen(
                service=service,
                name=span.name,
                kind=span.kind,
                trace=span.trace_id.hex(),
                id=span.span_id.hex(),
                above=span.parent_span_id.hex(),
                failed=span.status.code == _FAILED,
                facts=_facts(span.attributes),
            )


def _facts(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
