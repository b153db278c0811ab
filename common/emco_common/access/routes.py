"""Which service answers a path: THE table (spec deployment 6.2, made complete). The first pattern that matches counts.

It names every published service, whether or not it is part of an installation. ``tests/unit/access`` holds it against
the OpenAPI description of each service that there is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from emco_common.access.patterns import Pattern

_CLUSTER = "/v2/cluster-providers/*/clusters/*"
_GROUP = "/v2/projects/*/composite-apps/*/*/deployment-intent-groups/*"
_OF_NCM = ("networks", "provider-networks", "networks-rendered", "apply", "update", "terminate", "stop", "status")


@dataclass(frozen=True)
class Route:
    service: str
    pattern: Pattern


def _to(service: str, *patterns: str) -> Iterator[Route]:
    return (Route(service, Pattern(pattern)) for pattern in patterns)


ROUTES: tuple[Route, ...] = (
    *_to("ca-certs", "/v2/cluster-providers/*/ca-certs/**", "/v2/projects/*/ca-certs/**"),
    *_to("ncm", *(f"{_CLUSTER}/{word}/**" for word in _OF_NCM), "/v2/ncm-controllers/**"),
    *_to("clm", "/v2/cluster-providers/**", "/v2/clm-controllers/**"),
    *_to("dtc", "/v2/dtc-controllers/**", f"{_GROUP}/traffic-group-intents/**"),
    *_to("policy", "/v2/policy/**", "/v2/projects/*/policy/**", f"{_GROUP}/policy-intents/**"),
    *_to("dcm", "/v2/projects/*/logical-clouds/**"),
    *_to("gac", f"{_GROUP}/generic-k8s-intents/**"),
    *_to("ovnaction", f"{_GROUP}/network-controller-intent/**"),
    *_to("sfc", f"{_GROUP}/network-chains/**"),
    *_to("sfcclient", f"{_GROUP}/sfc-clients/**"),
    *_to("hpaplc", f"{_GROUP}/hpa-intents/**"),
    *_to("workflowmgr", f"{_GROUP}/temporal-workflow-intents/**"),
    *_to("tac", f"{_GROUP}/temporal-action-controller/**"),
    *_to("orchestrator", "/v2/controllers/**", "/v2/projects/**"),
)

HTTP_PORTS = {
    "orchestrator": 9015,
    "clm": 9061,
    "ncm": 9081,
    "dcm": 9077,
    "ca-certs": 9036,
    "dtc": 9018,
    "policy": 9060,
    "gac": 9020,
    "ovnaction": 9051,
    "sfc": 9055,
    "sfcclient": 9057,
    "hpaplc": 9091,
    "workflowmgr": 9095,
    "tac": 9064,
}
"""The published REST port of each service that the table names (spec deployment 1)."""

OWN = ("clm", "dcm", "ncm", "orchestrator")
"""The services of this distribution that people speak to."""


class RouteTable:
    """Looks a path up, by its first two words at once."""

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self._by_word: dict[str, tuple[Route, ...]] = {}
        for route in routes:
            word = route.pattern.segments[1]
            self._by_word[word] = (*self._by_word.get(word, ()), route)

    def find(self, path: Sequence[str]) -> Route | None:
        """``path`` in segments; ``None`` for a path of nobody."""
        candidates = self._by_word.get(path[1], ()) if len(path) > 1 else ()
        return next((route for route in candidates if route.pattern.matches(path)), None)


def routes_to(services: Collection[str]) -> tuple[Route, ...]:
    """The table of an installation that has these services only.

    A path of another service goes to the next route that matches, and gets its 404 there.
    """
    return tuple(route for route in ROUTES if route.service in services)
