"""What dcm can be told beyond what every service can. Times in seconds."""

from __future__ import annotations

from pydantic import Field

from emco_common.settings import Port, Settings


class DcmSettings(Settings):
    http_port: Port = Field(9077, description="REST port, the published default.")
    grpc_port: Port = Field(9078, description="Status notification port, the published default.")
    rsync_timeout: float = Field(10.0, gt=0, description="How long rsync may take to queue work.")
