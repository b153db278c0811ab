"""Spans as Zipkin takes them: version 2, JSON (deployment 7.3), from the thread that sends them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_KINDS = {
    trace.SpanKind.SERVER: "SERVER",
    trace.SpanKind.CLIENT: "CLIENT",
    trace.SpanKind.PRODUCER: "PRODUCER",
    trace.SpanKind.CONSUMER: "CONSUMER",
}


class ZipkinExporter(SpanExporter):
    """``timeout`` in seconds. A batch that is not taken is lost."""

    def __init__(self, url: str, *, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url
        self._headers = {**headers, "Content-Type": "application/json"}
        self._timeout = timeout

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        request = urllib.request.Request(self._url, orjson.dumps([told(span) for span in spans]), self._headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                taken = 200 <= answer.status < 300
        except (OSError, ValueError):  # what is refused is an ``OSError`` as well
            taken = False
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def told(span: ReadableSpan) -> dict[str, Any]:
    """One span; what is not known is not said."""
    own = span.get_span_context()
    assert own is not None
    begun, ended = span.start_time or 0, span.end_time or 0
    tags = {str(name): _text(value) for name, value in (span.attributes or {}).items()}
    if span.status.status_code is trace.StatusCode.ERROR:
        tags["error"] = tags.get("error.type", "true")
    shown: dict[str, Any] = {
        "traceId": f"{own.trace_id:032x}",
        "id": f"{own.span_id:016x}",
        "name": span.name,
        "timestamp": begun // 1000,
        "duration": max(1, (ended - begun) // 1000),
        "localEndpoint": {"serviceName": str(span.resource.attributes.get("service.name", ""))},
        "tags": tags,
    }
    if span.parent is not None:
        shown["parentId"] = f"{span.parent.span_id:016x}"
    if span.kind in _KINDS:
        shown["kind"] = _KINDS[span.kind]
    return shown


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
