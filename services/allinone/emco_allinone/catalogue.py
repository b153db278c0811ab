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
    name: str
    settings: type[Settings]
    create: Callable[[Any, Deps], Service]


CATALOGUE = (
    Entry("ncm", NcmSettings, emco_ncm.app.create_service),
    Entry("clm", ClmSettings, emco_clm.app.create_service),
    Entry("dcm", DcmSettings, emco_dcm.app.create_service),
    Entry("orchestrator", OrchestratorSettings, emco_orchestrator.app.create_service),
    Entry("rsync", RsyncSettings, emco_rsync.app.create_service),
)
