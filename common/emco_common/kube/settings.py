"""Which kubeconfigs the operator accepts: the same for the service that takes them and the one that uses them."""

from __future__ import annotations

from pydantic import Field

from emco_common.kube.kubeconfig import Policy
from emco_common.settings import Settings


class KubeconfigSettings(Settings):
    """All off: a server is authenticated, always."""

    allow_http_clusters: bool = Field(False, description="Accept kubeconfigs whose server is http. For test rigs only.")
    allow_insecure_tls: bool = Field(
        False, description="Accept kubeconfigs that do not check the server's certificate."
    )
    allow_tls_server_name: bool = Field(False, description="Accept kubeconfigs that name the certificate's host.")

    @property
    def kubeconfigs(self) -> Policy:
        return Policy(
            allow_http=self.allow_http_clusters,
            allow_insecure_tls=self.allow_insecure_tls,
            allow_server_name=self.allow_tls_server_name,
        )
