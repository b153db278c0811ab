"""Certificates in files: read, looked at before they are used, and read again when they have changed.

What cannot be used at the start is a ``BadSettings`` that names setting, file and reason. Later it is a line in the
log, and what was there before goes on being used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from emco_common.settings import BadSettings

_log = structlog.get_logger()
WARNED_BEFORE = timedelta(days=14)
"""So long before its end a certificate is spoken of, once a day."""
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_USES = {SERVER: "server", CLIENT: "client"}
_DAY = timedelta(days=1)
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A PEM file, and the setting that names it."""

    setting: str
    path: str


@dataclass(frozen=True, slots=True)
class Files:
    """``pair`` is the chain of one's own certificate and its private key; ``authorities`` is who is believed.
    ``uses`` are what one's own certificate must be good for."""

    pair: tuple[File, File] | None = None
    authorities: File | None = None
    uses: frozenset[ObjectIdentifier] = frozenset()

    @property
    def every(self) -> tuple[File, ...]:
        return (*(self.pair or ()), *((self.authorities,) if self.authorities else ()))


@dataclass(frozen=True, slots=True)
class Material:
    """What is in the files, as gRPC wants it. ``ends`` by setting is when a certificate is over."""

    chain: bytes | None
    key: bytes | None
    authorities: bytes | None
    ends: Mapping[str, datetime]

    def __repr__(self) -> str:
        return f"Material(ends={dict(self.ends)})"  # a private key is no text for anybody


def read(files: Files, *, now: datetime) -> Material:
    """Raises ``BadSettings`` for what nobody could use: not there, not PEM, not belonging together, over."""
    content = {file.setting: _content(file) for file in files.every}
    ends: dict[str, datetime] = {}
    chain = key = authorities = None
    if files.pair is not None:
        first, second = files.pair
        chain, key = content[first.setting], content[second.setting]
        leaf = _certificates(first, chain)[0]
        _check_key(second, key, leaf, first.path)
        _check_uses(first, leaf, files.uses)
        _check_time(first, [leaf], now=now)
        ends[first.setting] = leaf.not_valid_after_utc
    if files.authorities is not None:
        authorities = content[files.authorities.setting]
        every = _certificates(files.authorities, authorities)
        _check_time(files.authorities, every, now=now)
        ends[files.authorities.setting] = max(one.not_valid_after_utc for one in every)
    return Material(chain, key, authorities, ends)


class Kept:
    """The material of some files. ``version`` goes up when other files have been taken. Safe to use from any thread."""

    def __init__(self, files: Files, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self.material = read(files, now=clock())
        self.version = 0
        self._spoken = datetime.min.replace(tzinfo=UTC)
        self._speak_of_the_end()

    def look(self) -> Material:
        """As the files are now, or as they were when they could last be used."""
        with self._lock:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                self._take(stamp)
            self._speak_of_the_end()
            return self.material

    def _take(self, stamp: _Stamp) -> None:
        self._stamp = stamp  # what is wrong with these files is said once
        try:
            self.material = read(self._files, now=self._clock())
        except BadSettings as error:
            _log.error("grpc_certificates_not_taken", reason=str(error), used="those that were there before")
        else:
            self.version += 1
            _log.info("grpc_certificates_changed", until={name: str(end) for name, end in self.material.ends.items()})

    def _speak_of_the_end(self) -> None:
        now = self._clock()
        if now - self._spoken < _DAY:
            return
        paths = {file.setting: file.path for file in self._files.every}
        for setting, end in self.material.ends.items():
            if end - now < WARNED_BEFORE:
                self._spoken = now
                _log.warning("grpc_certificate_ends", setting=setting, file=paths[setting], days=(end - now).days)


def _stamp(files: Files) -> _Stamp:
    return tuple(_stamp_of(file.path) for file in files.every)


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _content(file: File) -> bytes:
    try:
        return Path(file.path).read_bytes()
    except OSError as error:
        raise BadSettings(f"setting {file.setting}: {file.path} cannot be read: {error.strerror}") from error


def _certificates(file: File, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise BadSettings(f"setting {file.setting}: there is no certificate in PEM in {file.path}") from error


def _check_key(file: File, content: bytes, leaf: x509.Certificate, beside: str) -> None:
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise BadSettings(f"setting {file.setting}: {file.path} is encrypted; give a key that is not") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSettings(f"setting {file.setting}: there is no private key in PEM in {file.path}") from error
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise BadSettings(f"setting {file.setting}: the key in {file.path} is not that of the certificate in {beside}")


def _check_uses(file: File, leaf: x509.Certificate, wanted: frozenset[ObjectIdentifier]) -> None:
    try:
        allowed = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed:
        return
    for use in sorted(wanted - allowed, key=lambda one: one.dotted_string):
        what = f"the certificate in {file.path} is not made for a {_USES[use]} (extended key usage)"
        raise BadSettings(f"setting {file.setting}: {what}")


def _check_time(file: File, certificates: list[x509.Certificate], *, now: datetime) -> None:
    """At least one is valid."""
    if any(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in certificates):
        return
    ended = max(one.not_valid_after_utc for one in certificates)
    if ended <= now:
        raise BadSettings(
            f"setting {file.setting}: the certificate in {file.path} expired on {ended:%Y-%m-%d %H:%M} UTC"
        )
    begins = min(one.not_valid_before_utc for one in certificates)
    raise BadSettings(
        f"setting {file.setting}: the certificate in {file.path} is valid from {begins:%Y-%m-%d %H:%M} UTC only; "
        "is the clock right?"
    )
