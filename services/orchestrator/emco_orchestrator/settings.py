"""What the orchestrator can be told beyond what every service can."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emco_common.helm.factory import DEFAULT_KUBE_VERSION
from emco_common.settings import Port, Settings


class OrchestratorSettings(Settings):
    http_port: Port = Field(9015, description="REST port, the published default.")
    grpc_port: Port = Field(9016, description="Status notification port, the published default.")
    helm: Literal["auto", "cli", "sdk"] = Field(
        "auto", description="Renderer: `helm` if it is on the PATH, else the SDK."
    )
    kube_version: str = Field(
        DEFAULT_KUBE_VERSION,
        pattern=r"^v?\d+\.\d+(\.\d+)?([-+][0-9A-Za-z.+-]+)?$",
        description="Kubernetes version that charts see as `.Capabilities.KubeVersion`: that of your oldest clusters.",
    )
    revisions_kept: int = Field(
        10,
        ge=2,
        le=1000,
        description="Revisions of a deployment that a rollback can reach; each keeps its manifests on the context bus.",
    )
    removal_guard: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of its clusters above which an update, rollback or migration that leaves them, if they are "
        "at least 3, is refused unless it says how many (`removeClusters`); 1 never asks.",
    )
    plan_timeout: float = Field(
        300.0,
        gt=0,
        description="How long all clusters together may take to say what a plan would change, in seconds. One that is "
        "away is not waited for.",
    )
