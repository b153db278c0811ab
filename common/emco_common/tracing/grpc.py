"""Traces and request ids through gRPC: a call tells them to the other side, where what it does is theirs.

The id of the request goes along also where traces are off. Only calls with one request are followed, answered at once
or bit by bit; streams in both directions outlive all requests.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
import structlog
from grpc import aio

from emco_common.tracing.origin import HEADER, REQUEST_ID, is_fit, on_behalf_of, request_here
from emco_common.tracing.spans import NOTHING, Facts, Kind, Span, Tracing, enter, headers_here, here, traced, within
from emco_common.tracing.wire import caller_of


def calling() -> Sequence[aio.ClientInterceptor]:
    """For channels: what a call tells of the request that it is made for."""
    return _Unary(), _Stream()


def serving(tracing: Tracing | None) -> Sequence[aio.ServerInterceptor]:
    """For servers: what is done for a call is done for the caller's request, and is part of its trace."""
    return (_Served(tracing),)


class _Unary(aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc ships no types
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        name, facts = _said_of(details.method)
        with traced(name, facts, kind=Kind.CLIENT) as span:
            call = await continuation(_telling(details), request)
            if span is NOTHING:
                return call
            try:
                _ended(span, await call.code())
            except asyncio.CancelledError:
                call.cancel()
                raise
            return call


class _Stream(aio.UnaryStreamClientInterceptor):  # type: ignore[misc]  # as above
    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if not here().open:
            return await continuation(_telling(details), request)
        outer = here()
        name, facts = _said_of(details.method)
        span = outer.begin(name, Kind.CLIENT, facts)
        enter(span)
        try:
            call = await continuation(_telling(details), request)
        except BaseException as error:
            span.fail(type(error).__name__)
            span.end()
            raise
        finally:
            enter(outer)
        call.add_done_callback(lambda over: _over(span, over))
        return call


def _over(span: Span, call: Any) -> None:
    if call.cancelled():
        span.note({"rpc.grpc.status_code": "CANCELLED"})  # whoever listens to a stream ends it so
    span.end()


def _telling(details: Any) -> Any:
    """The call with what is to be told."""
    told = headers_here()
    request_id = request_here()
    if request_id:
        told[HEADER] = request_id
    if not told:
        return details
    metadata = aio.Metadata(*(details.metadata or ()))
    for name, value in told.items():
        metadata.add(name, value)
    return aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)


class _Served(aio.ServerInterceptor):  # type: ignore[misc]  # as above
    def __init__(self, tracing: Tracing | None) -> None:
        self._tracing = tracing

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or handler.request_streaming:
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streamed(handler.unary_stream, details),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._answered(handler.unary_unary, details),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _answered(self, method: Callable[..., Awaitable[Any]], details: Any) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, context: Any) -> Any:
            told = _told(details)
            with on_behalf_of(_request_of(told)), within(self._span(details.method, told)) as span:
                try:
                    return await method(request, context)
                finally:
                    _ended(span, context.code())

        return call

    def _streamed(self, method: Callable[..., Any], details: Any) -> Callable[..., Any]:
        """The task of the call is its own, so nothing of this is put back at the end, which another task may bring."""

        @contextmanager
        def begun() -> Iterator[None]:
            told = _told(details)
            structlog.contextvars.bind_contextvars(**{REQUEST_ID: _request_of(told)})
            span = self._span(details.method, told)
            enter(span)
            try:
                yield
            finally:
                span.end()

        async def generated(request: Any, context: Any) -> AsyncIterator[Any]:
            with begun():
                async with aclosing(method(request, context)) as answers:
                    async for answer in answers:
                        yield answer

        async def written(request: Any, context: Any) -> None:
            with begun():
                await method(request, context)

        return generated if inspect.isasyncgenfunction(method) else written

    def _span(self, method: str, told: dict[str, str]) -> Span:
        if self._tracing is None:
            return NOTHING
        name, facts = _said_of(method)
        return self._tracing.begin(name, Kind.SERVER, caller=caller_of(lambda key: told.get(key, "")), facts=facts)


def name_of(method: str | bytes) -> str:
    """Clients of the library name it in bytes, servers as a text."""
    return (method.decode() if isinstance(method, bytes) else method).removeprefix("/")


def _said_of(method: str | bytes) -> tuple[str, Facts]:
    name = name_of(method)
    service, _, short = name.partition("/")
    return name, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": short}


def _told(details: Any) -> dict[str, str]:
    return {name: value for name, value in details.invocation_metadata or () if isinstance(value, str)}


def _request_of(told: dict[str, str]) -> str:
    given = told.get(HEADER, "")
    return given if is_fit(given) else uuid.uuid4().hex


def _ended(span: Span, code: Any) -> None:
    """``code`` is none where the server itself makes it up of the answer."""
    if not span.open:
        return
    status = code if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0, grpc.StatusCode.UNKNOWN)
    span.note({"rpc.grpc.status_code": status.name})
    if status is not grpc.StatusCode.OK:
        span.fail(status.name)


_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
