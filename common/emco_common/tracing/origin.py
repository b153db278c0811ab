"""Who asked for something that is done later, or elsewhere: the id of the request, and the trace it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from emco_common.tracing.spans import trace_here

REQUEST_ID = "request_id"
"""Its name among the facts of a line."""
HEADER = "x-request-id"
_FIT = re.compile(r"[A-Za-z0-9._:=+/@~-]{1,128}")


@dataclass(frozen=True, slots=True)
class Origin:
    """``""`` for what is not known."""

    request: str = ""
    trace: str = ""


NOBODY = Origin()


def is_fit(request_id: str) -> bool:
    """Can it go into headers, logs and answers as it is?"""
    return _FIT.fullmatch(request_id) is not None


def request_here() -> str:
    return str(structlog.contextvars.get_contextvars().get(REQUEST_ID, ""))


def origin_here() -> Origin:
    return Origin(request_here(), trace_here())


@contextmanager
def on_behalf_of(request_id: str) -> Iterator[None]:
    """Lines that are written within tell this request; none if it is ``""``."""
    before = request_here()
    _tell(request_id)
    try:
        yield
    finally:
        _tell(before)


def _tell(request_id: str) -> None:
    if request_id:
        structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id})
    else:
        structlog.contextvars.unbind_contextvars(REQUEST_ID)
