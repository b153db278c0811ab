"""The operations of EMCO's published OpenAPI file, read from where it lies; nothing of it is kept here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("EMCO_SHARED") or ROOT.parent / "shared") / "emco"
OPENAPI = SHARED / "openapi.yaml"
_METHODS = ("post", "get", "put", "delete")
_GROUP = "/deployment-intent-groups/{}/"
_NOT_BUILT = (
    ("ca-certs", "ca-certs"),
    (f"{_GROUP}network-controller-intent", "ovnaction"),
    (f"{_GROUP}generic-k8s-intents", "gac"),
    (f"{_GROUP}traffic-group-intents", "dtc"),
    (f"{_GROUP}hpa-intents", "hpa"),
    (f"{_GROUP}network-chains", "sfc"),
    (f"{_GROUP}sfc-clients", "sfcclient"),
    (f"{_GROUP}temporal-action-controller", "tac"),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """``path`` is as published, below ``/v2``."""

    method: str
    path: str

    @property
    def id(self) -> str:
        """Method and path without the names of parameters, as routes are noted in the evidence of a run."""
        return f"{self.method} {normal('/v2' + self.path)}"

    @property
    def service(self) -> str:
        path = normal(self.path).rstrip("/")
        for part, service in _NOT_BUILT:
            if part in path:
                return service
        if path.startswith(("/cluster-providers", "/clm-controllers")):
            networks = path.removeprefix("/cluster-providers/{}/clusters/{}/").split("/")[0]
            ours = ("networks", "provider-networks", "apply", "terminate", "stop", "status")
            return "ncm" if networks in ours else "clm"
        return "dcm" if "/logical-clouds" in path else "orchestrator"


CORE = ("orchestrator", "clm", "ncm", "dcm")


def normal(path: str) -> str:
    """A path template whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def operations() -> list[Operation]:
    """All of them, in the order of the file."""
    with OPENAPI.open() as file:
        paths = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["paths"]
    return [Operation(method.upper(), path) for path, item in paths.items() for method in _METHODS if method in item]
