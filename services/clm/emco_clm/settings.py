"""What clm can be told beyond what every service can. Times in seconds."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from emco_common.kube.kubeconfig import Policy
from emco_common.kube.settings import KubeconfigSettings
from emco_common.settings import Port


class ClmSettings(KubeconfigSettings):
    http_port: Port = Field(9061, description="REST port, the published default.")
    event_timeout: float = Field(
        600.0, gt=0, description="How long a clm-controller may take over one event. The original's own deadline."
    )
    event_retry: float = Field(
        5.0, gt=0, description="Pause before a clm-controller that was away is told what it has missed."
    )
    mask_sync_objects: bool = Field(
        False,
        description="Answer `***` for tokens and secrets in sync objects, unless one is asked for by `?key=`. Off, as "
        "the original answers them.",
    )
    unchecked_certificates: bool = Field(
        False, description="Accept certificates that cannot be read or have expired. For test rigs only."
    )

    @property
    def kubeconfigs(self) -> Policy:
        return replace(super().kubeconfigs, unchecked_certificates=self.unchecked_certificates)
