"""A name for what a render depends on: equal digests, equal objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from emco_common.helm.api import RenderRequest

_VERSION = b"emco-render-1"


def request_digest(request: RenderRequest) -> str:
    """Hexadecimal SHA-256 over every input; the order of the overrides does not count, as they are applied sorted."""
    digest = hashlib.sha256()
    for part in _parts(request):
        # With its length before it no part can pass for the end of another.
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def _parts(request: RenderRequest) -> Iterator[bytes]:
    yield _VERSION
    yield request.app.encode()
    yield request.release.encode()
    yield request.namespace.encode()
    yield hashlib.sha256(request.chart).digest()
    yield b"" if request.profile is None else hashlib.sha256(request.profile).digest()
    for key, value in sorted(request.overrides):
        yield key.encode()
        yield value.encode()
