"""What is to be put in front of EMCO, as an operator says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from emco_common.access.roles import grants_of_projects
from emco_common.access.routes import HTTP_PORTS, Route, routes_to

Json = dict[str, object]


@dataclass(frozen=True)
class Issuer:
    """An identity provider; ``jwks`` is where its keys are, ``""`` where that is to be found out by discovery."""

    url: str
    jwks: str = ""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ValueError(f"the issuer {self.url!r} is no URL")

    @property
    def keys(self) -> str:
        """Where the keys are; Keycloak's are where they always are."""
        return self.jwks or (f"{self.url}/protocol/openid-connect/certs" if "/realms/" in self.url else "")


@dataclass(frozen=True)
class Wanted:
    """``hosts`` is where each installed service listens, ``host:port`` by its name; ``leeway`` in seconds, by which
    clocks may differ (Istio has one of its own)."""

    hosts: Mapping[str, str]
    issuers: Sequence[Issuer] = ()
    audience: str = "emco"
    claim: str = "role"
    projects: Sequence[str] = ()
    leeway: int = 30

    @property
    def routes(self) -> tuple[Route, ...]:
        return routes_to(self.hosts)

    @property
    def grants(self) -> tuple[str, ...]:
        """Raises ``ValueError`` for a name that no project has."""
        return grants_of_projects(self.projects)

    @property
    def claim_path(self) -> list[str]:
        return self.claim.split(".")


def in_cluster(services: Sequence[str], namespace: str) -> dict[str, str]:
    """Where services are in Kubernetes. Raises ``ValueError`` for one that the table does not know."""
    if unknown := next((name for name in services if name not in HTTP_PORTS), None):
        raise ValueError(f"there is no service {unknown!r}; the table has {', '.join(sorted(HTTP_PORTS))}")
    return {name: f"{name}.{namespace}.svc.cluster.local:{HTTP_PORTS[name]}" for name in services}
