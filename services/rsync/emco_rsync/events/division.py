"""How the deployments are divided among the replicas that live: pure.

Rendezvous hashing: each replica has a rank for each deployment, the same wherever it is computed. When one comes or
goes, only what was first with it moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def ranking(name: str, replicas: Iterable[str]) -> list[str]:
    """Who is to have the deployment, the most preferred first."""
    return sorted(replicas, key=lambda replica: (_weight(name, replica), replica))


def _weight(name: str, replica: str) -> bytes:
    return hashlib.blake2b(f"{replica}\n{name}".encode(), digest_size=8).digest()
