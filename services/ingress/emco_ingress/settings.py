"""What the ingress can be told, in the environment as ``EMCO_INGRESS_<NAME>``. Times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from yarl import URL

from emco_common.access.routes import HTTP_PORTS, OWN
from emco_common.access.settings import AccessSettings


def _mapped(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    pairs = (part.partition("=") for part in given.split(",") if part.strip())
    return {name.strip(): url.strip() for name, _, url in pairs}


class IngressSettings(AccessSettings):
    """Store, bus and data key are not for it."""

    upstreams: Annotated[Mapping[str, str], BeforeValidator(_mapped)] = Field(
        {name: f"http://{name}:{HTTP_PORTS[name]}" for name in OWN},
        description="Where the services are, `name=http://host:port,…`; those of the table that are not named are not "
        "installed. The default are EMCO's own, by their published names and ports.",
    )
    connect_timeout: float = Field(5.0, gt=0, description="How long a service may take to take a connection.")
    answer_timeout: float = Field(
        300.0, gt=0, description="How long a service may be silent. Event streams say something every few seconds."
    )

    @field_validator("upstreams")
    @classmethod
    def _known(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        if unknown := sorted(given.keys() - HTTP_PORTS.keys()):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(sorted(HTTP_PORTS))}")
        for name, url in given.items():
            _check(name, url)
        return given


def _check(name: str, url: str) -> None:
    try:
        parsed = URL(url)
        good = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.path in ("", "/")
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{name}: {url!r} is not http://host:port")
