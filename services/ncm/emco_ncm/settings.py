"""What ncm can be told beyond what every service can."""

from __future__ import annotations

from pydantic import Field

from emco_common.settings import Port, Settings


class NcmSettings(Settings):
    http_port: Port = Field(9081, description="REST port, the published default.")
    grpc_port: Port = Field(9082, description="Status notification port, the published default.")
