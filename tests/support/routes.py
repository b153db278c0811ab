"""Every operation of every service, from the services' own OpenAPI descriptions, with names filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emco_allinone.catalogue import CATALOGUE
from emco_common.runtime import Deps, open_deps
from emco_common.settings import Settings

OWN = ("/v2", "/healthz", "/readyz", "/metrics")
_METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Operation:
    """``template`` as it is described, with names in braces."""

    service: str
    method: str
    template: str

    def path(self, *, project: str = "alpha") -> str:
        named = self.template.replace("{project}", project)
        return re.sub(r"\{(\w+)\}", lambda name: f"some-{name[1]}", named)

    def __str__(self) -> str:
        return f"{self.method} {self.template} of {self.service}"


async def operations(folder: str) -> list[Operation]:
    """Of each service of the catalogue that answers people; ``folder`` is for an empty store."""
    given = {"database_url": f"sqlite://{folder}/s.db", "bus_url": f"embedded://{folder}/b.db", "data_key": "key"}
    async with open_deps(Settings.load("emco", {}, **given)) as deps:
        return [one for name in _names() for one in _of(name, deps)]


def _names() -> list[str]:
    return [entry.name for entry in CATALOGUE if entry.name != "rsync"]


def _of(name: str, deps: Deps) -> Iterator[Operation]:
    entry = next(entry for entry in CATALOGUE if entry.name == name)
    document = entry.create(entry.settings.load(name, {}, data_key="key"), deps).app.openapi()
    for path, item in document["paths"].items():
        if path not in OWN:
            yield from (Operation(name, method.upper(), path) for method in _METHODS if method in item)
