"""Kubeconfigs for tests. Every secret in them begins with or contains ``CANARY``."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.support.certificates import Authority

CANARY = "CANARY-7f3a"


def document(**user: Any) -> dict[str, Any]:
    """A good kubeconfig with a token; ``user`` replaces the user's fields."""
    authority = base64.b64encode(Authority.new("test").certificate).decode()
    return {
        "users": [{"name": "u", "user": user or {"token": CANARY}}],
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {"name": "k", "cluster": {"server": "https://203.0.113.1", "certificate-authority-data": authority}},
        ],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }


def kubeconfig(text: dict[str, Any] | None = None) -> bytes:
    return json.dumps(text or document()).encode()
