"""Clusters that nobody waits for any more, named while or before a context is removed (lifecycle defect 33)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

UNKNOWN = "given up: the cluster did not answer, so whether this is still there is not known"

GRACE_SECONDS = 10.0
"""What a cluster that was given up and seems to be there still gets."""


class GivenUp:
    """Grows while the work goes on; what was named stays named."""

    def __init__(self, clusters: Iterable[str] = ()) -> None:
        self._named: dict[str, asyncio.Event] = {}
        self.add(clusters)

    def add(self, clusters: Iterable[str]) -> None:
        for cluster in clusters:
            self._event(cluster).set()

    async def named(self, cluster: str) -> None:
        """Wait until this cluster is given up."""
        await self._event(cluster).wait()

    def _event(self, cluster: str) -> asyncio.Event:
        return self._named.setdefault(cluster, asyncio.Event())
