"""What the orchestrator can be told beyond what every service can."""

from __future__ import annotations

import socket
from typing import Literal

from pydantic import Field

from emco_common.settings import Port, Settings


class OrchestratorSettings(Settings):
    http_port: Port = Field(9015, description="REST port, the published default.")
    grpc_port: Port = Field(9016, description="Status notification port, the published default.")
    replica: str = Field(
        default_factory=socket.gethostname,
        description="Name of this process among those on one store; it takes up what its earlier life left unfinished.",
    )
    helm: Literal["auto", "cli", "sdk"] = Field(
        "auto", description="Renderer: `helm` if it is on the PATH, else the SDK."
    )
