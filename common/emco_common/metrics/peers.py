"""How calls to controllers and to rsync go: by whom is called, what for, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import grpc
from prometheus_client import CollectorRegistry

from emco_common.errors import EmcoError
from emco_common.metrics.timings import Timings
from emco_common.rpc.channels import PeerUnreachable
from emco_common.tracing.spans import traced

MOST_SERIES = 500
"""Controllers come and go under names that users choose."""


class PeerCalls:
    """``emco_controller_call_seconds`` by controller, call and outcome.

    Outcomes: ok, refused, failed, unimplemented, unreachable.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._seconds = Timings(
            "emco_controller_call_seconds",
            "Time of a call to a controller or to rsync, and what came of it",
            ["controller", "call", "outcome"],
            registry=registry,
            most=MOST_SERIES,
        )

    @contextmanager
    def timed(self, controller: str, call: str) -> Iterator[None]:
        """Around one call; how it ends is told by what it raises. One that is given up by the caller is not counted."""
        started = perf_counter()
        try:
            with traced(f"{call} of {controller}", {"emco.controller": controller, "emco.call": call}):
                yield
        except (EmcoError, grpc.RpcError) as error:
            self._seconds.series(controller, call, _outcome(error)).observe(perf_counter() - started)
            raise
        else:
            self._seconds.series(controller, call, "ok").observe(perf_counter() - started)


def _outcome(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PeerUnreachable):
            return "unreachable"
        if isinstance(cause, grpc.RpcError):
            return "unimplemented" if cause.code() is grpc.StatusCode.UNIMPLEMENTED else "failed"
        cause = cause.__cause__
    return "refused"
