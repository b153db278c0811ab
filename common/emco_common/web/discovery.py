"""``GET /v2``: who answers here, in which version, and where the API is described (spec deployment, beyond 6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

PATH = "/v2"
OPENAPI = "/openapi.json"
BEHIND = "/v2/openapi/"
"""Below this, a port in front of several services gives each one's own description, by its name."""


class Described(BaseModel):
    name: str = Field(description="A service behind this port.")
    openapi: str = Field(description="Path of its description.")


class Discovery(BaseModel):
    name: str = Field(description="The service that answers.")
    version: str = Field(description="Its version.")
    apiVersion: Literal["v2"] = Field(default="v2", description="The version of the API, the first word of its paths.")
    openapi: str | None = Field(
        default=None,
        description="Path of the description of what it answers itself.",
        exclude_if=lambda path: path is None,
    )
    services: list[Described] = Field(default=[], description="Where it stands in front of others, these.")


def discovery(service: str, version: str, *, behind: Iterable[str] = ()) -> Discovery:
    """What ``service`` says of itself and of those ``behind`` it."""
    services = [Described(name=name, openapi=f"{BEHIND}{name}") for name in sorted(behind)]
    return Discovery(name=service, version=version, openapi=None if services else OPENAPI, services=services)


def discovery_router(service: str, version: str, *, behind: Iterable[str] = ()) -> APIRouter:
    router = APIRouter(tags=["operations"])
    answer = discovery(service, version, behind=behind)

    @router.get(PATH, summary="Who answers here, and where the API is described")
    async def discover() -> Discovery:
        return answer

    return router


def service_behind(path: str) -> str:
    """The service whose description is asked for, ``""`` where none is."""
    return path.removeprefix(BEHIND) if path.startswith(BEHIND) else ""
