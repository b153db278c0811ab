"""Every service in one process over one set of dependencies, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emco_allinone.catalogue import CATALOGUE
from emco_allinone.ingress import Ingress
from emco_allinone.safekeeping import keyfile
from emco_common.access.settings import Access, AccessSettings
from emco_common.runtime import Deps, Service, open_deps
from emco_common.settings import Settings
from emco_common.web.serving import HttpServer

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Suite:
    """A running suite. ``ingress_port`` is the one port in front of all."""

    services: Mapping[str, Service]
    deps: Deps
    ingress_port: int


@asynccontextmanager
async def running(
    data: Path, environment: Mapping[str, str], *, ingress_port: int, **defaults: Any
) -> AsyncIterator[Suite]:
    """Start everything on the embedded store and bus below ``data``; stop it at the end, callers first.

    Where people must prove who they are (``EMCO_INGRESS_OIDC_ISSUER``), the services' own ports are for this machine
    only, since what comes by them has not been asked. Raises ``BadSettings``, ``OSError`` naming a port that is taken,
    or ``Unavailable``.
    """
    embedded = await asyncio.to_thread(_embedded, data, environment) | defaults
    base = Settings.load("emco", environment, **embedded)
    access = Access.of(AccessSettings.load("ingress", environment, **embedded))
    async with open_deps(base) as deps:
        services: dict[str, Service] = {}
        try:
            for entry in CATALOGUE:
                settings = entry.settings.load(entry.name, environment, **embedded)
                if access is not None and f"EMCO_{entry.name.upper()}_HOST" not in environment:
                    settings = settings.model_copy(update={"host": _LOOPBACK})
                services[entry.name] = entry.create(settings, deps)
                await services[entry.name].start()
            apps = {name: service.app for name, service in services.items()}
            ingress = Ingress(apps)
            front = HttpServer(access.guarded(ingress) if access else ingress, base.host, ingress_port, name="ingress")
            await front.start()
            try:
                yield Suite(services, deps, front.port)
            finally:
                for service in services.values():
                    await service.leave()
                await front.stop()
                if access is not None:
                    await access.close()
        finally:
            for service in reversed(services.values()):
                await service.stop()


def _embedded(data: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    data.mkdir(parents=True, exist_ok=True)
    keyfile.ensure(data, environment)
    return keyfile.urls(data) | keyfile.data_keys(data, environment)
