"""Approval of certificate signing requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emco_common.kube.api import KubeApi, Ref
from emco_common.kube.discovery import Kind
from emco_common.kube.errors import Conflict

CSR = Kind("certificates.k8s.io/v1", "CertificateSigningRequest")
_ATTEMPTS = 5


async def approve(client: KubeApi, name: str, *, condition: Mapping[str, Any]) -> None:
    """Give the request the condition (``type``, ``status``, ``reason``, ``message``) unless it has one of that type.

    Safe to repeat (rsync D14). Any ``KubeError``.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        request = await client.get(Ref(CSR, name))
        status = request.get("status") or {}
        conditions = status.get("conditions") or []
        if any(present.get("type") == condition["type"] for present in conditions):
            return
        approved = {**request, "status": {**status, "conditions": [*conditions, dict(condition)]}}
        try:
            await client.replace(approved, subresource="approval")
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return
