"""What dcm can be told beyond what every service can."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emco_common.settings import Port, Settings


class DcmSettings(Settings):
    http_port: Port = Field(9077, description="REST port, the published default.")
    grpc_port: Port = Field(9078, description="Status notification port, the published default.")
    level0: Literal["allowed", "forbidden"] = Field(
        "allowed",
        description="Whether logical clouds of level 0 can be made, which use clusters with all the rights that they "
        "are registered with. Allowed, as the original does; forbid them where projects have users of their own.",
    )
