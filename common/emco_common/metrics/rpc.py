"""How long a service takes to answer over gRPC, and how many streams it serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from inspect import isasyncgenfunction
from time import perf_counter
from typing import Any

import grpc
from grpc import aio
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from emco_common.metrics.timings import Timings

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class MeasuredRpc(aio.ServerInterceptor, Collector):  # type: ignore[misc]  # grpc ships no types
    """Hand it to ``GrpcServer`` before all others. Methods that nobody serves are not counted."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._seconds = Timings(
            "emco_grpc_request_seconds", "Time to answer a gRPC call", ["method", "code"], registry=registry
        )
        self._open: Counter[str] = Counter()
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("emco_grpc_streams", "Streams that are open over gRPC", labels=["method"])
        for method, count in list(self._open.items()):
            family.add_metric([method], count)
        yield family

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method.strip("/")
        if not handler.response_streaming:
            return self._answering(handler, method)
        return self._streaming(handler, method)

    def _answering(self, handler: Any, method: str) -> Any:
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        answer = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def call(request: Any, context: Any) -> Any:
            started = perf_counter()
            code = "CANCELLED"
            try:
                answered = await answer(request, context)
                code = _code(context)
                return answered
            except Exception:
                code = _code(context, failed=True)
                raise
            finally:
                self._seconds.series(method, code).observe(perf_counter() - started)

        return make(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )

    def _streaming(self, handler: Any, method: str) -> Any:
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        stream = handler.stream_stream if handler.request_streaming else handler.unary_stream

        def begin(context: Any) -> None:
            self._open[method] += 1
            context.add_done_callback(lambda _: self._ended(method))

        async def produced(request: Any, context: Any) -> AsyncIterator[Any]:
            begin(context)
            async with aclosing(stream(request, context)) as answers:
                async for answer in answers:
                    yield answer

        async def written(request: Any, context: Any) -> Any:
            begin(context)
            return await stream(request, context)

        call = produced if isasyncgenfunction(stream) else written
        return make(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )

    def _ended(self, method: str) -> None:
        self._open[method] -= 1


def _code(context: Any, *, failed: bool = False) -> str:
    """The name of the status; a handler that raised without naming one is answered UNKNOWN."""
    code = context.code()
    name = code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(code or 0, "UNKNOWN")
    return "UNKNOWN" if failed and name == "OK" else str(name)
