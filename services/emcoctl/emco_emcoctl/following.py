"""``--wait``: after an accepted action the status of its object is read until it has come to rest (emcoctl, wanted 1).

What an action is expected to lead to, and where that is told, is decided here; reading and showing is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from emco_emcoctl.errors import CtlError, TransportError
from emco_emcoctl.planning import Call
from emco_emcoctl.reading import Reader, RefusedReadError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 3.0
GATEWAY_ANSWERS = frozenset({502, 503, 504})

_UP = frozenset({"Instantiated", "Updated"})
_EXPECTED: Mapping[str, frozenset[str]] = {
    "instantiate": _UP,
    "update": _UP,
    "rollback": _UP,
    "migrate": _UP,
    "apply": _UP | {"Applied"},
    "terminate": frozenset({"Terminated"}),
    "stop": frozenset({"InstantiateStopped", "TerminateStopped", "Stopped"}),
    "give-up": _UP | {"Terminated"},
}
_OWNERS = ("deployment-intent-groups", "logical-clouds", "clusters", "enrollment", "distribution")
_DONE = frozenset({"Applied", "Deleted", "Ready"})


class NotReachedError(CtlError):
    """What was waited for did not come: it failed, or it took too long."""

    exit_code = 5


@dataclass(frozen=True)
class Target:
    """``anchor`` is the object that changes, ``status`` where its status is read."""

    anchor: str
    expected: frozenset[str]

    @property
    def status(self) -> str:
        group = "/deployment-intent-groups/" in self.anchor
        return f"{self.anchor}/status" + ("?status=deployed" if group else "")


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` objects are where they should be; ``total`` is 0 where that is not told."""

    state: str
    reason: str = ""
    done: int = 0
    total: int = 0


class Showing(Protocol):
    def following(self, anchor: str, progress: Progress) -> None:
        """The object has come so far."""

    def followed(self, anchor: str, progress: Progress, *, reached: bool) -> None:
        """The object has come to rest, or is not waited for any more."""


def target_of(call: Call) -> Target | None:
    """What an accepted call sets in motion; ``None`` for what is done when it is answered."""
    if call.method != "POST":
        return None
    anchor = call.address.path.removeprefix("/v2/").partition("?")[0]
    stem, _, verb = anchor.rpartition("/")
    segments = stem.split("/")
    if verb not in _EXPECTED or not set(segments[-2:]) & set(_OWNERS):
        return None
    if verb == "migrate":
        stem = _migrated_to(segments, call.body) or stem
    return Target(stem, _EXPECTED[verb])


def _migrated_to(segments: list[str], body: str | None) -> str:
    spec = json.loads(body or "{}").get("spec") or {}
    version, group = spec.get("targetCompositeAppVersion"), spec.get("targetDeploymentIntentGroup")
    return "/".join([*segments[:-3], version, segments[-2], group]) if version and group else ""


def progress_of(status: Any) -> Progress:
    """How far a status says that its object has come."""
    if not isinstance(status, Mapping):
        return Progress("")
    counts = status.get("deployedCounts") or status.get("rsyncStatus") or {}
    counts = {key: value for key, value in counts.items() if isinstance(value, int)}
    state = str(status.get("deployedStatus") or status.get("status") or "")
    deleting = state.startswith("Terminat")
    done = sum(value for key, value in counts.items() if key in ({"Deleted"} if deleting else _DONE))
    return Progress(state, str(status.get("reason") or ""), done, sum(counts.values()))


@dataclass(frozen=True)
class Follower:
    """``timeout`` is in seconds, for each object; ``clock`` counts them."""

    reader: Reader
    showing: Showing
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    timeout: float

    def after(self, call: Call) -> None:
        """Waits for what the call set in motion; raises ``NotReachedError``, or as the reader does."""
        target = target_of(call)
        if target is None:
            return
        progress = Progress("")
        try:
            progress = self._rested(target)
        finally:
            self.showing.followed(target.anchor, progress, reached=progress.state in target.expected)
        if progress.state not in target.expected:
            reason = f": {progress.reason}" if progress.reason else f"; look with 'emcoctl status {target.anchor}'"
            raise NotReachedError(f"{target.anchor} is {progress.state}{reason}")

    def _rested(self, target: Target) -> Progress:
        until, pause = self.clock() + self.timeout, FIRST_PAUSE
        progress = Progress("")
        looks = failures = 0
        while True:
            try:
                progress = progress_of(self.reader.json(target.status))
            except (TransportError, RefusedReadError) as error:
                if isinstance(error, RefusedReadError) and error.status not in GATEWAY_ANSWERS:
                    raise
            self.showing.following(target.anchor, progress)
            looks += 1
            failures = failures + 1 if progress.state.endswith(("Failed", "Stopped")) else 0
            # a failure that is there at the first look may be that of the attempt before
            if progress.state in target.expected or failures > 1 or looks > failures > 0:
                return progress
            if self.clock() + pause > until:
                raise NotReachedError(
                    f"{target.anchor} is {progress.state or 'in an unknown state'} after {self.timeout:g} s;"
                    f" look with 'emcoctl status {target.anchor}', or wait longer with --wait-timeout"
                )
            self.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)
