"""Sealing of sensitive fields before they reach the store or the bus.

A sealed value is ``emco1:<key id>:<base64 of nonce and AES-256-GCM output>``. The nonce is random, and the associated
data names the record, so a value that is moved to another record does not open. Values of the original (lower-case hex,
fixed nonce, no associated data; spec orchestrator-api 7.8) open as well, and are never written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from emco_common.errors import EmcoError

_PREFIX = "emco1:"
_NONCE_BYTES = 12
_LEGACY_NONCE = b"emco nonce".ljust(_NONCE_BYTES, b"\n")


SealedChange = Callable[[str, str], str]
"""Of a sealed value and the record that it is sealed for, what is to be there instead."""


class SealBroken(EmcoError):
    """A sealed value cannot be opened: wrong or lost data key, or a tampered or moved record."""


class Sealer:
    """Seals and opens values under the data key (``EMCO_DATA_KEY``); ``retired`` keys still open what they sealed."""

    def __init__(
        self, data_key: str, *, retired: tuple[str, ...] = (), randomness: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._randomness = randomness
        self._active = key_id(data_key)
        self._ciphers = {key_id(key): AESGCM(_derive(key)) for key in (*retired, data_key)}
        self._legacy = [AESGCM(key.encode()[:32].ljust(32, b"\n")) for key in (data_key, *retired)]

    def __repr__(self) -> str:
        return f"Sealer(key id {self._active})"

    @property
    def active(self) -> str:
        """The id of the key that seals."""
        return self._active

    def seal(self, plain: bytes, *, record: str) -> str:
        """Seal for the place named by ``record``; the same bytes never look the same twice."""
        nonce = self._randomness(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self._active].encrypt(nonce, plain, record.encode())
        return f"{_PREFIX}{self._active}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, *, record: str) -> bytes:
        """The plain bytes. Raises ``SealBroken``, which names the record and never the value."""
        if not sealed.startswith(_PREFIX):
            return self._open_legacy(sealed, record)
        name, _, text = sealed.removeprefix(_PREFIX).partition(":")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealBroken(
                f"{record} was sealed with data key {name}, which is not configured; put it into "
                "EMCO_RETIRED_DATA_KEYS, or back into EMCO_DATA_KEY"
            )
        try:
            blob = base64.b64decode(text, validate=True)
            return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], record.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealBroken(f"the sealed value of {record} was changed or belongs to another record") from error

    def _open_legacy(self, sealed: str, record: str) -> bytes:
        try:
            blob = bytes.fromhex(sealed)
        except ValueError as error:
            raise SealBroken(f"the value of {record} is not sealed") from error
        for cipher in self._legacy:
            try:
                return cipher.decrypt(_LEGACY_NONCE, blob, None)
            except InvalidTag:
                continue
        raise SealBroken(f"{record} was sealed with a data key that is not configured")


def sealed_with(sealed: str) -> str:
    """The id of the data key that a value was sealed with, ``""`` for a value of the original, which does not tell."""
    return sealed.removeprefix(_PREFIX).partition(":")[0] if sealed.startswith(_PREFIX) else ""


def _derive(data_key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"emco data key 1").derive(data_key.encode())


def key_id(data_key: str) -> str:
    """How a data key is named where it is not to be told."""
    return hashlib.sha256(b"emco key id" + _derive(data_key)).hexdigest()[:8]
