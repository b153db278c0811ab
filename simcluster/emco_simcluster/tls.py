"""The certificate authority of a simulated cluster: server and client certificates, and whom they name."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emco_common.kube.wire import READ_SIZE

_NOT_BEFORE = timedelta(days=1)
"""Certificates are valid for so long already: clocks of who looks at them may be behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class User:
    """Who sends a request."""

    name: str
    groups: tuple[str, ...] = ()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common: str, organizations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """An in-memory authority with an ECDSA key. Many clusters of one process may share one."""

    def __init__(self, name: str, *, now: datetime | None = None, valid: timedelta = timedelta(days=3650)) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, ["EMCO simulated cluster"])
        start = (now or datetime.now(UTC)) - _NOT_BEFORE
        certificate = (
            self._builder(self._name, self._key.public_key(), start, start + valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, *, hosts: Sequence[str]) -> Pair:
        """A certificate for these host names and addresses."""
        names: list[x509.GeneralName] = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.now(UTC) - _NOT_BEFORE
        certificate = (
            self._builder(_name("kube-apiserver (simulated)"), key.public_key(), start, start + timedelta(days=3650))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))

    def client(self, user: User, *, valid: timedelta = timedelta(days=365)) -> Pair:
        """A certificate that authenticates as ``user``."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(user.name, user.groups)
        return Pair(self._client_certificate(name, key.public_key(), valid=valid), _key_pem(key))

    def sign(self, request: bytes, *, valid: timedelta) -> bytes:
        """A client certificate for a PEM signing request. Raises ValueError if its signature is wrong."""
        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            raise ValueError("the signature of the signing request is wrong")
        return self._client_certificate(asked.subject, asked.public_key(), valid=valid)

    def _client_certificate(self, subject: x509.Name, key: Any, *, valid: timedelta) -> bytes:
        start = datetime.now(UTC) - _NOT_BEFORE
        certificate = (
            self._builder(subject, key, start, datetime.now(UTC) + valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject: x509.Name, key: Any, start: datetime, end: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not sign_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def server_context(authority: Authority, *, hosts: Sequence[str]) -> ssl.SSLContext:
    """A TLS context that asks clients for a certificate of the authority, and also lets in those without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_verify_locations(cadata=authority.certificate.decode())
    pair = authority.server(hosts=hosts)
    with tempfile.TemporaryDirectory(prefix="emco-simulated-") as folder:
        file = Path(folder, "server.pem")
        file.touch(mode=0o600)
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    return context


class Door:
    """What the servers of one process share: TLS contexts by host (25 KB and 5 ms each) and the buffer they read to."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.buffer = bytearray(READ_SIZE)
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            names = [host, "localhost", "kubernetes.default.svc"]
            self._contexts[host] = server_context(self.authority, hosts=names)
        return self._contexts[host]


def user_of(peer: Any) -> User | None:
    """The user a verified client certificate names (``ssl.SSLObject.getpeercert``): CN, and O as groups."""
    names = [pair for rdn in (peer or {}).get("subject", ()) for pair in rdn]
    common = next((v for k, v in names if k == "commonName"), "")
    if not common:
        return None
    return User(common, tuple(v for k, v in names if k == "organizationName"))
