"""What all connections of a process to its clusters share: the budget of descriptors, TLS settings, a read buffer.

Handed in by who starts the process; a client without one makes its own.
"""

from __future__ import annotations

import ssl
from functools import partial

from emco_common.kube.certificates import tls_context
from emco_common.kube.descriptors import Descriptors
from emco_common.kube.kubeconfig import BadKubeconfig, Kubeconfig
from emco_common.kube.tls import Tls, bare_context
from emco_common.kube.wire import READ_SIZE

_LIMIT_ALONE = 10_000


class Network:
    """``shared`` false keeps to HTTP/1.1, one connection per watch."""

    def __init__(self, descriptors: Descriptors | None = None, *, shared: bool = True) -> None:
        self.descriptors = descriptors or Descriptors(_LIMIT_ALONE)
        self.shared = shared
        self.buffer = bytearray(READ_SIZE)
        self._bare: dict[bool, ssl.SSLContext] = {}

    def tls(self, kubeconfig: Kubeconfig) -> Tls | None:
        """With its server. ``BadKubeconfig``."""
        if not kubeconfig.server.startswith("https:"):
            return None
        bare = self._bare.get(kubeconfig.verify)
        if bare is None:
            bare = self._bare[kubeconfig.verify] = bare_context(verify=kubeconfig.verify)
        try:
            return Tls(
                bare,
                partial(
                    tls_context,
                    ca=kubeconfig.ca_data,
                    certificate=kubeconfig.client_certificate,
                    key=kubeconfig.client_key,
                    verify=kubeconfig.verify,
                ),
            )
        except (ssl.SSLError, ValueError, OSError):
            raise BadKubeconfig("kubeconfig: the certificate or key data cannot be used for TLS") from None
