"""What is made to go wrong, on purpose: rules per request, outages of the whole server, restarts.

Everything random comes from the cluster's seed, so a run can be repeated.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Protocol

from emco_simcluster.errors import ApiError

Json = dict[str, Any]


class Outage(StrEnum):
    """How the server is away: connections refused, accepted and never answered, cut in the middle of an answer, or
    answered by something else, which has a page for every request."""

    REFUSE = "refuse"
    HANG = "hang"
    CUT = "cut"
    NONSENSE = "nonsense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What happens to requests that match. Empty match fields match everything; patterns as in a shell.

    ``latency`` and ``jitter`` in seconds; ``status`` answers an error instead (with ``reason``, ``message`` and
    ``retry_after`` seconds); ``cut`` breaks the connection in the middle of the answer; ``hang`` never answers;
    ``bytes_per_second`` sends the body slowly; ``mute`` sends a watch its bookmarks only, and loses its events.
    ``share`` of the matching requests are hit, at most ``times`` of them.
    """

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    share: float = 1.0
    times: int | None = None
    latency: float = 0.0
    jitter: float = 0.0
    status: int = 0
    reason: str = ""
    message: str = ""
    retry_after: int | None = None
    after_write: bool = False
    cut: bool = False
    hang: bool = False
    bytes_per_second: int = 0
    mute: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("share lies between 0 and 1")
        if self.status and not 400 <= self.status <= 599:
            raise ValueError("status lies between 400 and 599")
        if min(self.latency, self.jitter, self.bytes_per_second) < 0:
            raise ValueError("latency, jitter and bytes_per_second are not negative")

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Rule:
        """From JSON; raises ValueError naming an unknown or wrong field."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(body) - known)
        if unknown:
            raise ValueError(f"unknown field {unknown[0]}; known are {', '.join(sorted(known))}")
        try:
            return cls(**body)
        except TypeError as error:
            raise ValueError(f"wrong type in {dict(body)}") from error

    def matches(self, *, verb: str, resource: str, namespace: str, name: str) -> bool:
        pairs = ((self.verb, verb), (self.resource, resource), (self.namespace, namespace), (self.name, name))
        return all(not pattern or fnmatchcase(value, pattern) for pattern, value in pairs)

    def error(self) -> ApiError:
        reason = self.reason or _REASONS.get(self.status, "InternalError")
        return ApiError(self.status, reason, self.message or "simulated fault", retry_after=self.retry_after)


_REASONS: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Server(Protocol):
    """What faults may do to the server."""

    def close(self) -> None:
        """Refuse connections and cut the open ones."""

    def open(self) -> None:
        """Accept connections again."""

    def deafen(self) -> None:
        """Let connections come, and never answer."""

    def cut(self) -> None:
        """Break all open connections."""


class Faults:
    """The faults of one cluster. Change them at any time from its event loop, or over ``/simulated/faults``."""

    def __init__(
        self, server: Server, chance: random.Random, *, forget_history: Callable[[], None], wipe: Callable[[], None]
    ) -> None:
        self._server, self._chance = server, chance
        self._forget_history, self._wipe = forget_history, wipe
        self._rules: dict[int, tuple[Rule, int]] = {}
        self._next = 1
        self._outage: Outage | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.resumed = asyncio.Event()
        """Set while the server answers."""
        self.resumed.set()

    @property
    def outage(self) -> Outage | None:
        return self._outage

    def add(self, rule: Rule) -> int:
        """Let a rule take effect; returns its number."""
        number, self._next = self._next, self._next + 1
        self._rules[number] = (rule, 0)
        return number

    def remove(self, number: int) -> None:
        """End one rule; an unknown number is no error."""
        self._rules.pop(number, None)

    def clear(self) -> None:
        """End all rules and any outage."""
        self._rules.clear()
        self.end_outage()

    def hit(self, *, verb: str, resource: str, namespace: str, name: str) -> list[Rule]:
        """The rules that hit this request; counts them."""
        hits = []
        for number, (rule, used) in list(self._rules.items()):
            if rule.times is not None and used >= rule.times:
                continue
            if not rule.matches(verb=verb, resource=resource, namespace=namespace, name=name):
                continue
            if rule.share >= 1 or self._chance.random() < rule.share:
                self._rules[number] = (rule, used + 1)
                hits.append(rule)
        return hits

    def delay(self, rule: Rule) -> float:
        """Seconds this rule holds a request up."""
        return rule.latency + (self._chance.random() * rule.jitter if rule.jitter else 0.0)

    def begin_outage(self, outage: Outage | str, *, seconds: float | None = None) -> None:
        """Go away, for some seconds or until ``end_outage``."""
        self.end_outage()
        self._outage = Outage(outage)
        if self._outage is Outage.REFUSE:
            self._server.close()
        elif self._outage is Outage.HANG:
            self.resumed.clear()
            self._server.deafen()
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.end_outage)

    def end_outage(self) -> None:
        """Come back; what hung is cut."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        before, self._outage = self._outage, None
        if before is Outage.HANG:
            self._server.cut()
        if before in (Outage.HANG, Outage.REFUSE):
            self._server.open()
        self.resumed.set()

    def restart(self, *, seconds: float = 0.0, lose_history: bool = False, lose_state: bool = False) -> None:
        """Cut everything and come back after some seconds, with or without the watch history, or all state, lost."""
        if lose_state:
            self._wipe()
        elif lose_history:
            self._forget_history()
        if seconds > 0:
            self.begin_outage(Outage.REFUSE, seconds=seconds)
        else:
            self.end_outage()
            self._server.cut()

    def state(self) -> Json:
        """What is in effect, as ``/simulated/faults`` shows it."""
        rules = [{"number": n, "hits": used, **asdict(rule)} for n, (rule, used) in self._rules.items()]
        return {"simulated": True, "outage": self._outage, "rules": rules}
