"""The span that is open here, and spans below it. Where traces are off, or this one is not recorded, it is nothing.

A span is found by the context of the task, so nothing needs to be handed through; it is made by the ``Tracing`` that
made the one above it. Facts are names, counts and kinds: never contents, which may be secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar
from enum import Enum
from typing import Protocol

import structlog

from emco_common.tracing.wire import Caller, headers_of, traceparent

Fact = str | int | float | bool
Facts = Mapping[str, Fact]


class Kind(Enum):
    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """Something that was done. After its end nothing is noted any more."""

    @property
    def caller(self) -> Caller:
        """For what is done below it elsewhere."""
        ...

    @property
    def open(self) -> bool:
        """Is it recorded, and not over yet?"""
        ...

    def note(self, facts: Facts) -> None: ...

    def count(self, name: str, by: int) -> None:
        """One more fact, a sum of what is told."""
        ...

    def named(self, name: str) -> None:
        """What it is called, known only now."""
        ...

    def fail(self, kind: str) -> None:
        """It has failed. Why is said by the log: words may repeat what is secret."""
        ...

    def begin(self, name: str, kind: Kind, facts: Facts) -> Span:
        """One below it."""
        ...

    def end(self) -> None: ...


class Tracing(Protocol):
    """The traces of one process; handed in where they begin, ``None`` where they are off."""

    def begin(self, name: str, kind: Kind, *, caller: Caller | None = None, facts: Facts | None = None) -> Span:
        """The first span of this process in a trace, below ``caller`` if there is one."""
        ...

    async def close(self) -> None:
        """Send what is left, for as long as there is time."""
        ...


class _Nothing:
    """The span of what is not recorded."""

    caller = Caller()
    open = False

    def note(self, facts: Facts) -> None: ...

    def count(self, name: str, by: int) -> None: ...

    def named(self, name: str) -> None: ...

    def fail(self, kind: str) -> None: ...

    def begin(self, name: str, kind: Kind, facts: Facts) -> Span:
        return self

    def end(self) -> None: ...


NOTHING: Span = _Nothing()
_SILENT: AbstractContextManager[Span] = nullcontext(NOTHING)
_here: ContextVar[Span | None] = ContextVar("span", default=None)


def here() -> Span:
    return _here.get() or NOTHING


def traced(name: str, facts: Facts | None = None, *, kind: Kind = Kind.INTERNAL) -> AbstractContextManager[Span]:
    """What is done within is a span below the present one; an exception that leaves it is its failure."""
    above = _here.get()
    if above is None or not above.open:
        return _SILENT
    return within(above.begin(name, kind, facts or {}))


@contextmanager
def within(span: Span) -> Iterator[Span]:
    """The span is the present one, and ends with this."""
    token = _here.set(None if span is NOTHING else span)
    try:
        yield span
    except BaseException as error:
        span.fail(type(error).__name__)
        raise
    finally:
        _here.reset(token)
        span.end()


def enter(span: Span) -> None:
    """The span is the present one for the rest of the task."""
    _here.set(None if span is NOTHING else span)


def counted(name: str, by: int = 1) -> None:
    """One more of them, said by the present span."""
    span = _here.get()
    if span is not None and span.open:
        span.count(name, by)


def failed(error: Exception) -> None:
    """The present span has come to this."""
    span = _here.get()
    if span is not None and span.open:
        span.fail(type(error).__name__)


def headers_here() -> dict[str, str]:
    """What a request made here tells of the trace."""
    span = _here.get()
    return headers_of(span.caller) if span is not None else {}


def trace_here() -> str:
    """The trace as one text, ``""`` for none."""
    span = _here.get()
    return traceparent(span.caller) if span is not None else ""


def names_here() -> dict[str, str]:
    """Under which the trace and the span are found, for logs."""
    span = _here.get()
    if span is None:
        return {}
    caller = span.caller
    return {"trace_id": f"{caller.trace_id:032x}", "span_id": f"{caller.span_id:016x}"}


def untraced(context: Context) -> Context:
    """The context, for what is repeated as long as something goes on: of no span."""
    context.run(_here.set, None)
    return context


def nobodys(context: Context) -> Context:
    """The context, for what goes on longer than who began it: of no span, and of no request."""
    context.run(structlog.contextvars.clear_contextvars)
    return untraced(context)
