"""The traces of one process: made from the settings, sent by a thread of the SDK's own, ended in time.

Nobody waits for whoever takes them. One that is away is told of once; what does not fit into the queue meanwhile is
lost. Imports the SDK, so it is imported only where traces are on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased

from emco_common import __version__
from emco_common.tracing.spans import Facts, Kind, Span
from emco_common.tracing.wire import Caller

_log = structlog.get_logger()
QUEUED = 8_192
"""Spans that wait to be sent: a deployment to thousands of clusters ends in one burst."""
EVERY_SECONDS = 2.0
SEND_SECONDS = 5.0
"""How long whoever takes the spans may need for some hundred of them."""
CLOSING_SECONDS = 1.5
"""How long a process that ends waits until its last spans are sent."""
LONGEST_FACT = 512
ZIPKIN_PATH = "/api/v2/spans"
OTLP_PATH = "/v1/traces"


class SdkTracing:
    """A ``Tracing``. ``sample`` is the share of traces that are recorded, of those where no caller has decided."""

    def __init__(self, exporter: SpanExporter, *, service: str, sample: float, every: float = EVERY_SECONDS) -> None:
        self._exporter = exporter
        self._batches = BatchSpanProcessor(exporter, max_queue_size=QUEUED, schedule_delay_millis=every * 1000)
        resource = Resource(
            {
                "service.name": service,
                "service.version": __version__,
                "service.instance.id": str(uuid.uuid4()),
                "host.name": socket.gethostname(),
                "process.pid": os.getpid(),
            }
        )
        self._provider = TracerProvider(
            sampler=_CallerFirst(sample),
            resource=resource,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=LONGEST_FACT),
        )
        self._provider.add_span_processor(self._batches)
        self._tracer = self._provider.get_tracer("emco", __version__)

    def begin(self, name: str, kind: Kind, *, caller: Caller | None = None, facts: Facts | None = None) -> Span:
        context = Context({_DECIDED: caller.sampled if caller is not None else None})
        if caller is not None and caller.trace_id:
            flags = trace.TraceFlags(1 if caller.sampled else 0)
            above = trace.SpanContext(caller.trace_id, caller.span_id, is_remote=True, trace_flags=flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(above), context)
        return self._begun(name, kind, context, facts or {})

    def _begun(self, name: str, kind: Kind, context: Context, facts: Facts) -> Span:
        made = self._tracer.start_span(name, context, _KINDS[kind], dict(facts))
        return _Made(self, made)

    def below(self, span: trace.Span, name: str, kind: Kind, facts: Facts) -> Span:
        return self._begun(name, kind, trace.set_span_in_context(span, Context({_DECIDED: True})), facts)

    async def close(self) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]
            try:
                loop.call_soon_threadsafe(ended.set)
            except RuntimeError:
                return  # nobody waits any more, and the loop is gone

        threading.Thread(target=end, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await ended.wait()
        except TimeoutError:
            _log.warning("traces_left_behind", waited=CLOSING_SECONDS)
            # it wakes from its pause and ends; one that waits for an answer ends with the process
            threading.Thread(target=self._exporter.shutdown, name="no more spans", daemon=True).start()


class _Made:
    """A ``Span`` of the SDK."""

    def __init__(self, tracing: SdkTracing, made: trace.Span) -> None:
        self._tracing = tracing
        self._made = made
        self._counts: Counter[str] = Counter()
        found = made.get_span_context()
        self.caller = Caller(found.trace_id, found.span_id, found.trace_flags.sampled)

    @property
    def open(self) -> bool:
        return self._made.is_recording()

    def note(self, facts: Facts) -> None:
        self._made.set_attributes(dict(facts))

    def count(self, name: str, by: int) -> None:
        self._counts[name] += by

    def named(self, name: str) -> None:
        self._made.update_name(name)

    def fail(self, kind: str) -> None:
        self._made.set_attribute("error.type", kind)
        self._made.set_status(trace.Status(trace.StatusCode.ERROR))

    def begin(self, name: str, kind: Kind, facts: Facts) -> Span:
        return self._tracing.below(self._made, name, kind, facts)

    def end(self) -> None:
        if self._counts:
            self._made.set_attributes(dict(self._counts))
        self._made.end()


class _CallerFirst(Sampler):
    """What the caller has decided, else a share by trace id, so that every process decides alike."""

    def __init__(self, share: float) -> None:
        self._share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Mapping[str, object] | None = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        decided = (parent_context or Context()).get(_DECIDED)
        by_share = trace_id & self._share.TRACE_ID_LIMIT < self._share.bound
        recorded = by_share if decided is None else bool(decided)
        return SamplingResult(Decision.RECORD_AND_SAMPLE if recorded else Decision.DROP, attributes)  # type: ignore[arg-type]

    def get_description(self) -> str:
        return f"the caller, else {self._share.get_description()}"


class Telling(SpanExporter):
    """Says once that the spans are not taken, and once that they are again."""

    def __init__(self, inner: SpanExporter, *, where: str) -> None:
        self._inner = inner
        self._where = where
        self._lost = 0
        self._over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("traces_taken_again", endpoint=self._where, lost=self._lost)
            self._lost = 0
        elif not self._over:
            if not self._lost:
                _log.warning("traces_not_taken", endpoint=self._where)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._over = True
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def open_tracing(endpoint: str, *, service: str, sample: float, headers: Mapping[str, str]) -> SdkTracing:
    """``endpoint`` is a URL: of Zipkin if its path is ``/api/v2/spans``, else of OTLP over HTTP."""
    parts = urlsplit(endpoint)
    where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    exporter = _zipkin(endpoint, headers) if is_zipkin(endpoint) else _otlp(endpoint, headers)
    _log.info("traces_sent", endpoint=where, service=service, sample=sample)
    return SdkTracing(Telling(exporter, where=where), service=service, sample=sample)


def is_zipkin(endpoint: str) -> bool:
    return urlsplit(endpoint).path.rstrip("/").endswith(ZIPKIN_PATH)


def _otlp(endpoint: str, headers: Mapping[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint.rstrip("/")
    url = base if base.endswith(OTLP_PATH) else base + OTLP_PATH
    return OTLPSpanExporter(url, headers=dict(headers), timeout=SEND_SECONDS, compression=Compression.Gzip)


def _zipkin(endpoint: str, headers: Mapping[str, str]) -> SpanExporter:
    from emco_common.tracing.zipkin import ZipkinExporter

    return ZipkinExporter(endpoint, headers=headers, timeout=SEND_SECONDS)


_DECIDED = "emco decided"
_KINDS = {
    Kind.INTERNAL: trace.SpanKind.INTERNAL,
    Kind.SERVER: trace.SpanKind.SERVER,
    Kind.CLIENT: trace.SpanKind.CLIENT,
    Kind.CONSUMER: trace.SpanKind.CONSUMER,
}
