"""Structured logs: one JSON object a line, with the request id where there is one, and never a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from emco_common.tracing.spans import names_here

_SECRET_WORDS = (
    "password",
    "token",
    "secret",
    "kubeconfig",
    "private",
    "credential",
    "authorization",
    "cookie",
    "data_key",
)
_MASK = "***"


def configure_logging(level: str = "info", *, stream: TextIO | None = None, human: bool = False) -> None:
    """Set up logging for the process; ``level`` is one of EMCO's words (``panic`` … ``trace``)."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold secrets
            mask_secrets,
            structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer(serializer=_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_threshold(level)),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def name_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say in which trace and span it was, where there is one."""
    event.update(names_here())
    return event


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every fact whose name speaks of a secret, at any depth."""
    for name, value in event.items():
        event[name] = _masked(name, value)
    return event


def _line(event: Any, *, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(event, default=default).decode()
    except orjson.JSONEncodeError:  # wide integers, half characters
        return json.dumps(event, default=default)


@lru_cache(maxsize=4096)  # facts have few names, but a dictionary among them may have any
def _speaks_of_a_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)


def _masked(name: str, value: Any) -> Any:
    if _speaks_of_a_secret(name):
        return _MASK
    if isinstance(value, dict):
        return {key: _masked(str(key), inner) for key, inner in value.items()}
    return value


def _threshold(level: str) -> int:
    words = {"panic": 50, "fatal": 50, "error": 40, "warn": 30, "warning": 30, "info": 20, "debug": 10, "trace": 10}
    if level.lower() not in words:
        raise ValueError(f"log level {level!r} is none of {', '.join(words)}")
    return words[level.lower()]
