"""What the work on clusters tells of itself, counted where it is done; ``metrics`` shows it.

Of one cluster a few plain numbers are kept, and histograms over all of them together: there may be ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from emco_common.metrics import Counts, Timings
from emco_common.metrics.timings import LONG_SECONDS

TRANSIENT = ("away", "retry", "wait")
"""The verdicts after which something is tried again (``reach.classify``)."""
SORTS = ("read", "write")
DRIFT = ("seen", "gone", "healed", "not_healed")


class Measures:
    """Without a registry for who works without being watched: tests."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.calls = Timings(
            "emco_rsync_call_seconds",
            "Time of a call to a cluster, without waiting for its turn",
            ["sort", "outcome"],
            registry=registry,
        )
        self.objects = Timings(
            "emco_rsync_apply_seconds",
            "Time of a round of attempts at an object: applied, failed, or put off until others are done",
            ["outcome"],
            registry=registry,
            bounds=LONG_SECONDS,
        )
        self.events = Timings(
            "emco_rsync_event_seconds",
            "Time from the start of an event of a context to its end",
            ["event"],
            registry=registry,
            bounds=LONG_SECONDS,
        )
        self.told = Timings(
            "emco_rsync_status_told_seconds",
            "Time from when a change on a cluster was seen until its status was handed on to the bus",
            registry=registry,
        )
        self._retries = Counts(
            "emco_rsync_retries",
            "Attempts at an object after which it is tried again: the cluster is away, could not, or lacks something",
            ["class"],
            registry=registry,
            known=[(verdict,) for verdict in TRANSIENT],
        )
        self._drift = Counts(
            "emco_rsync_drift",
            "Objects that others have changed: seen to be changed, found as they should be again, healed or not",
            ["what"],
            registry=registry,
            known=[(what,) for what in DRIFT],
        )

    def retried(self, verdict: str) -> None:
        self._retries.add(verdict)

    def drift(self, what: str) -> None:
        """One of ``DRIFT``."""
        self._drift.add(what)


class Tally:
    """Of one cluster, as long as anything is done or watched there.

    ``waiting`` are objects that were asked for and are not settled; the seconds are those of calls that change
    something.
    """

    __slots__ = ("calls", "last_seconds", "seconds", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.calls = 0
        self.seconds = 0.0
        self.last_seconds = 0.0

    def wrote(self, seconds: float) -> None:
        self.calls += 1
        self.seconds += seconds
        self.last_seconds = seconds


class Outstanding:
    """What one app still waits for on one cluster, by resource; part of the cluster's ``tally``."""

    __slots__ = ("_resources", "_tally")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._resources: set[str] = set()

    def add(self, resources: Iterable[str]) -> None:
        new = set(resources) - self._resources
        self._resources |= new
        self._tally.waiting += len(new)

    def settle(self, resource: str) -> None:
        if resource in self._resources:
            self._resources.discard(resource)
            self._tally.waiting -= 1

    def end(self) -> None:
        """Nobody waits for the rest any more."""
        self._tally.waiting -= len(self._resources)
        self._resources.clear()
