"""What is too big for any API server, told before it is sent: pure.

Such an object is no affair of the network's or of the cluster's: sent, it would be tried for minutes (etcd answers an
error of its own) and take room from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_OBJECT = 1_572_864
"""Bytes of a request that etcd takes by default, in which an object and its bookkeeping lie."""
MAX_DATA = 1_048_576
"""Bytes that the values of a ConfigMap or a Secret may have."""
_HOLDS_DATA = frozenset({("v1", "ConfigMap"), ("v1", "Secret")})


def excess(obj: Mapping[str, Any], *, encoded: bytes) -> str:
    """What is too big about it, with its size; ``""`` if nothing is."""
    if len(encoded) > MAX_OBJECT:
        return f"the object has {len(encoded)} bytes, more than the {MAX_OBJECT} that an API server can keep"
    if len(encoded) <= MAX_DATA or (obj.get("apiVersion"), obj.get("kind")) not in _HOLDS_DATA:
        return ""
    size = _size_of(obj)
    return f"its data has {size} bytes, more than the {MAX_DATA} allowed of a {obj['kind']}" if size > MAX_DATA else ""


def _size_of(obj: Mapping[str, Any]) -> int:
    data, binary = (obj.get(name) for name in ("data", "binaryData"))
    if obj["kind"] == "Secret":
        data, binary = None, data
    plain = data.values() if isinstance(data, dict) else ()
    coded = binary.values() if isinstance(binary, dict) else ()
    return sum(len(str(text).encode()) for text in plain) + sum(_decoded(str(text)) for text in coded)


def _decoded(text: str) -> int:
    """Bytes that Base64 stands for."""
    return len(text.rstrip("=")) * 3 // 4
