"""Are these PEM texts certificates and a key that can be used now? And the TLS context made of them.

Knows nothing of kubeconfigs. Problems come back as text without any of the data in it.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from emco_common.kube.tls import bare_context


@dataclass(frozen=True, slots=True)
class PairProblem:
    """``field`` is the kubeconfig's name of the half that is at fault."""

    field: str
    problem: str


def check_ca(pem: bytes, *, now: datetime) -> str:
    """What is wrong with a bundle of CA certificates, or ``""``."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return "not a PEM certificate"
    if all(certificate.not_valid_after_utc <= now for certificate in certificates):
        newest = max(certificate.not_valid_after_utc for certificate in certificates)
        return f"expired on {newest:%Y-%m-%d}; export a kubeconfig with the present CA"
    return ""


def check_pair(certificate_pem: bytes, key_pem: bytes, *, now: datetime) -> PairProblem | None:
    """What is wrong with a client certificate and its key, or ``None``."""
    certificate_field, key_field = "client-certificate-data", "client-key-data"
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
    except ValueError:
        return PairProblem(certificate_field, "not a PEM certificate")
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        return PairProblem(key_field, "the key is encrypted; give it without a pass phrase")
    except (ValueError, UnsupportedAlgorithm):
        return PairProblem(key_field, "not a PEM private key")
    if certificate.not_valid_after_utc <= now:
        expiry = certificate.not_valid_after_utc
        return PairProblem(certificate_field, f"expired on {expiry:%Y-%m-%d}; issue a new client certificate")
    encoding = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*encoding) != key.public_key().public_bytes(*encoding):
        return PairProblem(key_field, "does not belong to client-certificate-data")
    return None


def end_of(certificate_pem: bytes) -> datetime | None:
    """When a certificate ends; ``None`` if that is not one."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
    except ValueError:
        return None


def tls_context(
    *, ca: bytes | None, certificate: bytes | None = None, key: bytes | None = None, verify: bool = True
) -> ssl.SSLContext:
    """A client context that trusts ``ca`` alone. ``ssl.SSLError`` or ``ValueError`` if the texts are unusable.

    Python loads a client certificate from a file only: it is an anonymous one in memory (``memfd``) where the system
    has that, else a private temporary file that is gone before this returns.
    """
    context = bare_context(verify=verify)
    if verify:
        context.load_verify_locations(cadata=(ca or b"").decode("ascii"))
    if certificate is not None and key is not None:
        with _private_file(certificate + b"\n" + key + b"\n") as path:
            # Without a password callback OpenSSL would ask for the pass phrase on the terminal.
            context.load_cert_chain(path, password=lambda: "")
    return context


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
