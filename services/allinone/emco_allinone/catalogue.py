"""Which services there are, with their published default ports (spec deployment 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import emco_clm.app
import emco_dcm.app
import emco_ncm.app
import emco_orchestrator.app
import emco_rsync.app
from emco_clm.settings import ClmSettings
from emco_common.runtime import Deps, Service
from emco_common.settings import Settings
from emco_dcm.settings import DcmSettings
from emco_ncm.settings import NcmSettings
from emco_orchestrator.settings import OrchestratorSettings
from emco_rsync.settings import RsyncSettings


@dataclass(frozen=True, slots=True)
class Entry:
    """``owns`` decides whether the ingress sends a path to this service; the first that owns it gets it."""

    name: str
    settings: type[Settings]
    create: Callable[[Any, Deps], Service]
    owns: Callable[[str], bool] = lambda _path: False


def _is_clm(path: str) -> bool:
    return path.startswith(("/v2/cluster-providers", "/v2/clm-controllers"))


def _is_ncm(path: str) -> bool:
    parts = path.split("/")
    own = {"networks", "provider-networks", "networks-rendered", "apply", "update", "terminate", "stop", "status"}
    of_a_cluster = parts[2:3] == ["cluster-providers"] and parts[4:5] == ["clusters"] and parts[6:7] != []
    return path.startswith("/v2/ncm-controllers") or (of_a_cluster and parts[6] in own)


def _is_dcm(path: str) -> bool:
    parts = path.split("/")
    return len(parts) > 4 and parts[2] == "projects" and parts[4] == "logical-clouds"


CATALOGUE = (
    Entry("ncm", NcmSettings, emco_ncm.app.create_service, _is_ncm),
    Entry("clm", ClmSettings, emco_clm.app.create_service, _is_clm),
    Entry("dcm", DcmSettings, emco_dcm.app.create_service, _is_dcm),
    Entry(
        "orchestrator",
        OrchestratorSettings,
        emco_orchestrator.app.create_service,
        lambda path: path.startswith("/v2/"),
    ),
    Entry("rsync", RsyncSettings, emco_rsync.app.create_service),
)
