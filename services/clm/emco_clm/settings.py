"""What clm can be told beyond what every service can. Times in seconds."""

from __future__ import annotations

from pydantic import Field

from emco_common.kube.kubeconfig import Policy
from emco_common.settings import Port, Settings


class ClmSettings(Settings):
    http_port: Port = Field(9061, description="REST port, the published default.")
    event_timeout: float = Field(
        600.0, gt=0, description="How long a clm-controller may take over one event. The original's own deadline."
    )
    allow_http_clusters: bool = Field(False, description="Accept kubeconfigs whose server is http. For test rigs only.")
    allow_insecure_tls: bool = Field(
        False, description="Accept kubeconfigs that do not check the server's certificate."
    )
    allow_tls_server_name: bool = Field(False, description="Accept kubeconfigs that name the certificate's host.")
    unchecked_certificates: bool = Field(
        False, description="Accept certificates that cannot be read or have expired. For test rigs only."
    )

    @property
    def kubeconfigs(self) -> Policy:
        return Policy(
            allow_http=self.allow_http_clusters,
            allow_insecure_tls=self.allow_insecure_tls,
            allow_server_name=self.allow_tls_server_name,
            unchecked_certificates=self.unchecked_certificates,
        )
