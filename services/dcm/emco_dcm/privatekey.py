"""The private key of a logical cloud's user: made once, sealed, shown only inside a kubeconfig (spec dcm 3, 6.1).

It is made when it is first needed and beside the event loop, as an RSA key takes up to seconds (defect 24).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from emco_common.operations import Subject, Subjects
from emco_common.resources.declaration import Body
from emco_common.secrets import SealedChange, Sealer
from emco_common.store.api import Document, Key

KEY_TAG = "privatekey"


class KeyType(StrEnum):
    """What a cloud may ask for as ``spec.user.keyType``; nothing said means RSA, as it always was."""

    RSA = "rsa-4096"
    ECDSA = "ecdsa-p256"


MakeKey = Callable[[KeyType], bytes]
"""A new key as PEM; takes its time, so it is called in a thread."""


def new_key(kind: KeyType) -> bytes:
    """PEM in the traditional form (PKCS#1 for RSA), not encrypted."""
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind is KeyType.RSA:
        made = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    else:
        made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def public_key(key_pem: bytes) -> PublicKey:
    return _load(key_pem).public_key()


def signing_request(key_pem: bytes, *, user: str) -> bytes:
    """PKCS#10, PEM: the user's name and nothing else, so that the certificate is of no group (6.1)."""
    key = _load(key_pem)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _load(key_pem: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    # The key was made here and sealed since; validating an RSA key takes as long as a hundred other steps.
    key = serialization.load_pem_private_key(key_pem, password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


class PrivateKeys:
    """The keys of all clouds. ``make`` is ``new_key`` outside of tests."""

    def __init__(self, clouds: Subjects, sealer: Sealer, *, make: MakeKey = new_key) -> None:
        self._clouds = clouds
        self._sealer = sealer
        self._make = make
        self._spare: asyncio.Task[bytes] | None = None

    def prepare(self, cloud: Body) -> None:
        """A cloud has been made that will need a key: begin to make it, unless one is waiting already."""
        if _kind_of(cloud) is KeyType.RSA and self._spare is None:
            self._spare = asyncio.create_task(asyncio.to_thread(self._make, KeyType.RSA), name="a spare private key")

    def of(self, cloud: Subject) -> bytes | None:
        """The key as PEM, ``None`` before the first instantiation. Raises ``SealBroken``."""
        raw = cloud.document.tags.get(KEY_TAG)
        if raw is None:
            return None
        return base64.b64decode(self._sealer.open(raw["keyvalue"], record=_record(cloud.key)))

    async def ensure(self, cloud: Subject) -> bytes:
        """The key, made and stored if the cloud has none."""
        if (present := self.of(cloud)) is not None:
            return present
        made = await self._new(_kind_of(cloud.document.body))
        sealed = self._sealer.seal(base64.b64encode(made), record=_record(cloud.key))

        async def keyed(present: Subject) -> Subject | None:
            if KEY_TAG in present.document.tags:
                return None
            tags = {**present.document.tags, KEY_TAG: {"keyvalue": sealed}}
            return Subject(replace(present.document, tags=tags))

        return self.of(await self._clouds.change(cloud.key, keyed)) or made

    async def _new(self, kind: KeyType) -> bytes:
        spare = self._spare
        if kind is KeyType.RSA and spare is not None:
            self._spare = None
            return await asyncio.shield(spare)
        return await asyncio.to_thread(self._make, kind)


def with_sealed(document: Document, change: SealedChange) -> Document:
    """A logical cloud with its private key, if it has one, written anew."""
    raw = document.tags.get(KEY_TAG)
    if raw is None:
        return document
    sealed = change(raw["keyvalue"], _record(document.key))
    return replace(document, tags={**document.tags, KEY_TAG: {**raw, "keyvalue": sealed}})


def _kind_of(cloud: Body) -> KeyType:
    return KeyType(cloud["spec"]["user"].get("keyType") or KeyType.RSA)


def _record(key: Key) -> str:
    return f"private key of {key['project']}/{key['logicalCloud']}"
