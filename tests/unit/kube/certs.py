"""Builders of certificates and kubeconfigs for these tests."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, *, passphrase: bytes | None = None) -> bytes:
    encryption: Any = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate_pem(
    key: ec.EllipticCurvePrivateKey, *, name: str = "test", until: datetime = NOW + timedelta(days=30)
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=60))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def config(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    """A good kubeconfig document; ``cluster`` and ``user`` change or (with ``None``) remove fields."""
    key = new_key()
    whole_cluster = {
        "server": "https://203.0.113.10:6443",
        "certificate-authority-data": b64(certificate_pem(new_key(), name="ca")),
        **(cluster or {}),
    }
    whole_user = {
        "client-certificate-data": b64(certificate_pem(key)),
        "client-key-data": b64(key_pem(key)),
        **(user or {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {k: v for k, v in whole_cluster.items() if v is not None}}],
        "users": [{"name": "u", "user": {k: v for k, v in whole_user.items() if v is not None}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
        "current-context": "x",
    }


def text(document: dict[str, Any]) -> bytes:
    return yaml.safe_dump(document).encode()
