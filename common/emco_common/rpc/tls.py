"""TLS for gRPC, from the settings: what a server shows and asks for, and whom a client believes (spec deployment 6.4).

``grpc_tls`` is one setting for both sides and all peers: ``tls`` means that servers show a certificate, ``mtls`` that
clients do as well. Files may be exchanged at any time; nothing has to be restarted.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import grpc

from emco_common.rpc.certificates import CLIENT, SERVER, File, Files, Kept, Material
from emco_common.rpc.handshake import trouble
from emco_common.settings import GRPC_MTLS, GRPC_OFF, BadSettings, Settings


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How servers are connected to. ``name`` is expected in the certificates of all of them; ``""``: what each is
    called by. Without authorities those of the system are believed."""

    kept: Kept
    files: Files
    name: str = ""

    @classmethod
    def made(cls, files: Files, *, name: str = "") -> Self:
        """Raises ``BadSettings``."""
        return cls(Kept(files), files, name)

    def version(self) -> int:
        """Another number when the files are others."""
        self.kept.look()
        return self.kept.version

    def credentials(self) -> grpc.ChannelCredentials:
        """Of the files as they are now."""
        found = self.kept.look()
        return grpc.ssl_channel_credentials(found.authorities or _of_the_system(), found.key, found.chain)

    async def trouble(self, host: str, port: int) -> str:
        """See ``handshake``."""
        ours = self.files.pair[0].path if self.files.pair else ""
        try:
            context = self._context()
        except OSError:  # of which ssl.SSLError is one
            return ""  # the files are being exchanged
        return await trouble(host, port, context=context, name=self.name, ours=ours)

    def _context(self) -> ssl.SSLContext:
        found = self.kept.look()
        context = ssl.create_default_context(cadata=found.authorities.decode() if found.authorities else None)
        context.set_alpn_protocols(["h2"])
        if self.files.pair:
            context.load_cert_chain(*(file.path for file in self.files.pair))
        return context


def client_tls(settings: Settings) -> ClientTls | None:
    """How this process calls others; ``None`` in plain text. Raises ``BadSettings``."""
    if settings.grpc_tls == GRPC_OFF:
        return None
    authorities = _named(settings, "grpc_ca_file", "it says whom to believe")
    pair = _pair(settings) if settings.grpc_tls == GRPC_MTLS else None
    return ClientTls.made(Files(pair, authorities, frozenset({CLIENT})), name=settings.grpc_server_name)


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What a gRPC server of this process shows and asks for; ``None`` for plain text. Raises ``BadSettings``."""
    if settings.grpc_tls == GRPC_OFF:
        return None
    mutual = settings.grpc_tls == GRPC_MTLS
    authorities = _named(settings, "grpc_ca_file", "it says which clients to believe") if mutual else None
    return credentials_of(Files(_pair(settings), authorities, frozenset({SERVER})))


def credentials_of(files: Files) -> grpc.ServerCredentials:
    """What a server shows; with authorities clients need a certificate of theirs. Raises ``BadSettings``."""
    kept = Kept(files)
    asked_for = files.authorities is not None
    return grpc.dynamic_ssl_server_credentials(_configuration(kept.material), _fetcher(kept), asked_for)


def _fetcher(kept: Kept) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Asked by gRPC's own threads before each handshake; ``None``: nothing is new."""
    lock = threading.Lock()
    given = kept.version

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        with lock:
            found = kept.look()
            if kept.version == given:
                return None
            given = kept.version
            return _configuration(found)

    return fetch


def _configuration(found: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(found.key, found.chain)], root_certificates=found.authorities)


def _pair(settings: Settings) -> tuple[File, File]:
    why = "a client needs a certificate as well as a server" if settings.grpc_tls == GRPC_MTLS else "a server needs it"
    return _named(settings, "grpc_cert_file", why), _named(settings, "grpc_key_file", why)


def _of_the_system() -> bytes | None:
    """Whom this machine believes; gRPC would take a list of its own instead."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None


def _named(settings: Settings, name: str, why: str) -> File:
    path: str = getattr(settings, name)
    if not path:
        raise BadSettings(f"setting {name}: it is not set, and with grpc_tls={settings.grpc_tls} {why}")
    return File(name, path)
