"""What has become of a signing request on a cluster, and which certificate its user is to have (spec dcm 8). Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from emco_dcm.privatekey import PublicKey

RENEWED_IN_LAST = 3
"""The last third of its life, the way kubelets do it: months for a year, and time enough to notice that it fails."""


class Stage(StrEnum):
    """How far a request is; the values complete "the certificate …"."""

    NO_STATUS = "the cluster has not reported yet"
    UNREADABLE = "the report of the cluster cannot be read"
    NO_REQUEST = "the signing request is not on the cluster"
    DENIED = "the signing request was denied"
    FAILED = "the cluster could not sign the request"
    NOT_APPROVED = "the signing request is not approved"
    NOT_ISSUED = "the certificate has not been issued"
    ISSUED = "the certificate is issued"


REFUSED = frozenset({Stage.DENIED, Stage.FAILED})
"""No certificate comes of it any more."""


@dataclass(frozen=True, slots=True)
class Observed:
    """``message`` is what the cluster says of a refusal, ``certificate`` the issued one as PEM."""

    stage: Stage
    certificate: bytes = b""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.message}" if self.message else str(self.stage)


def observed(status: str | None, name: str) -> Observed:
    """What the status of a cluster (appcontext 4.2) says of the request ``name`` (defect 22)."""
    if not status:
        return Observed(Stage.NO_STATUS)
    try:
        document = json.loads(status)
    except (ValueError, RecursionError):
        return Observed(Stage.UNREADABLE)
    listed = _member(document, "csrStatuses")
    for request in listed if isinstance(listed, list) else ():
        if _member(_member(request, "metadata"), "name") == name:
            return _stage_of(_member(request, "status"))
    return Observed(Stage.NO_REQUEST)


def _stage_of(status: object) -> Observed:
    conditions = _member(status, "conditions")
    listed = [one for one in (conditions if isinstance(conditions, list) else ()) if isinstance(one, dict)]
    by_type = {str(one.get("type")): one for one in listed}
    for kind, stage in (("Denied", Stage.DENIED), ("Failed", Stage.FAILED)):
        if kind in by_type:
            return Observed(stage, message=str(by_type[kind].get("message") or ""))
    if "Approved" not in by_type:
        return Observed(Stage.NOT_APPROVED)
    encoded = _member(status, "certificate")
    try:
        certificate = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        return Observed(Stage.UNREADABLE)
    return Observed(Stage.ISSUED, certificate) if certificate else Observed(Stage.NOT_ISSUED)


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that was issued for the cloud's own key."""

    pem: bytes
    since: datetime
    until: datetime

    def is_due(self, now: datetime) -> bool:
        """Whether it is time for the next one."""
        return now >= self.until - self.lifetime / RENEWED_IN_LAST

    @property
    def lifetime(self) -> timedelta:
        return self.until - self.since


def read_certificate(pem: bytes, *, key: PublicKey | None) -> Certificate | None:
    """``None`` unless it is a certificate (PEM) and belongs to ``key``."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        if certificate.public_key() != key:
            return None
    except (ValueError, UnsupportedAlgorithm):
        return None
    return Certificate(pem, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def best(candidates: Iterable[bytes], *, key: PublicKey | None, now: datetime) -> Certificate | None:
    """Of those that can be used now, the one that lasts longest; on a tie the first."""
    read = (read_certificate(pem, key=key) for pem in candidates if pem)
    usable = [certificate for certificate in read if certificate is not None and certificate.until > now]
    return max(usable, key=lambda certificate: certificate.until, default=None)
