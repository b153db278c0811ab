"""How a trace goes from one process to the next: W3C Trace Context and B3, single and multi header. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

HEADERS = (
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
)
"""Whatever of these a request had is not true any more of a request that is made for it."""

_W3C = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
_SPAN = re.compile(r"[0-9a-f]{16}")
_SAMPLED = {"1": True, "true": True, "d": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Caller:
    """Below which span something is done, and whether that is recorded. Ids are 0 where no trace has begun, ``sampled``
    is ``None`` where that is left to whoever comes next."""

    trace_id: int = 0
    span_id: int = 0
    sampled: bool | None = None


def caller_of(header: Callable[[str], str]) -> Caller | None:
    """From headers by their names in small letters, ``""`` for one that is not there, as is what makes no sense."""
    return _w3c(header("traceparent")) or _b3_single(header("b3")) or _b3_multi(header)


def caller_in(traceparent: str) -> Caller | None:
    """From the value of the one header."""
    return _w3c(traceparent)


def traceparent(caller: Caller) -> str:
    return f"00-{caller.trace_id:032x}-{caller.span_id:016x}-{1 if caller.sampled else 0:02x}"


def headers_of(caller: Caller) -> dict[str, str]:
    """W3C, and B3 in several headers, which meshes and the original know."""
    return {
        "traceparent": traceparent(caller),
        "x-b3-traceid": f"{caller.trace_id:032x}",
        "x-b3-spanid": f"{caller.span_id:016x}",
        "x-b3-sampled": "1" if caller.sampled else "0",
    }


def _w3c(value: str) -> Caller | None:
    found = _W3C.fullmatch(value.strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    return _known(found[2], found[3], bool(int(found[4], 16) & 1))


def _b3_single(value: str) -> Caller | None:
    parts = value.strip().lower().split("-")
    if len(parts) == 1:
        return Caller(sampled=_SAMPLED[parts[0]]) if parts[0] in _SAMPLED else None
    if len(parts) > 4 or not _TRACE.fullmatch(parts[0]) or not _SPAN.fullmatch(parts[1]):
        return None
    return _known(parts[0], parts[1], _SAMPLED.get(parts[2]) if len(parts) > 2 else None)


def _b3_multi(header: Callable[[str], str]) -> Caller | None:
    sampled = True if header("x-b3-flags") == "1" else _SAMPLED.get(header("x-b3-sampled").lower())
    trace, span = header("x-b3-traceid").lower(), header("x-b3-spanid").lower()
    if _TRACE.fullmatch(trace) and _SPAN.fullmatch(span) and (found := _known(trace, span, sampled)):
        return found
    return Caller(sampled=sampled) if sampled is not None else None


def _known(trace: str, span: str, sampled: bool | None) -> Caller | None:
    caller = Caller(int(trace, 16), int(span, 16), sampled)
    return caller if caller.trace_id and caller.span_id else None
