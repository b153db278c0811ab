"""What all connections of a process to its clusters share: the budget of descriptors, TLS contexts, a read buffer.

Handed in by who starts the process; a client without one makes its own.
"""

from __future__ import annotations

import hashlib
import ssl
from weakref import WeakValueDictionary

from emco_common.kube.certificates import tls_context
from emco_common.kube.descriptors import Descriptors
from emco_common.kube.kubeconfig import BadKubeconfig, Kubeconfig
from emco_common.kube.wire import READ_SIZE

_LIMIT_ALONE = 10_000


class Network:
    """``shared`` false keeps to HTTP/1.1, one connection per watch."""

    def __init__(self, descriptors: Descriptors | None = None, *, shared: bool = True) -> None:
        self.descriptors = descriptors or Descriptors(_LIMIT_ALONE)
        self.shared = shared
        self.buffer = bytearray(READ_SIZE)
        self._contexts: WeakValueDictionary[bytes, ssl.SSLContext] = WeakValueDictionary()

    def context(self, kubeconfig: Kubeconfig) -> ssl.SSLContext | None:
        """For its server, one for all that use the same certificates (25 KB each). ``BadKubeconfig``."""
        if not kubeconfig.server.startswith("https:"):
            return None
        parts = (kubeconfig.ca_data, kubeconfig.client_certificate, kubeconfig.client_key)
        digest = hashlib.sha256(b"verify" if kubeconfig.verify else b"trust")
        for part in parts:
            digest.update(hashlib.sha256(part).digest() if part is not None else bytes(32))
        key = digest.digest()
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = _context(kubeconfig)
        return context


def _context(kubeconfig: Kubeconfig) -> ssl.SSLContext:
    try:
        return tls_context(
            ca=kubeconfig.ca_data,
            certificate=kubeconfig.client_certificate,
            key=kubeconfig.client_key,
            verify=kubeconfig.verify,
        )
    except (ssl.SSLError, ValueError, OSError):
        raise BadKubeconfig("kubeconfig: the certificate or key data cannot be used for TLS") from None
