"""Clusters that nobody waits for any more, named while or before something is to happen there (lifecycle defect 33)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

UNKNOWN = "given up: the cluster did not answer, so whether this is still there is not known"

NOT_BROUGHT = "given up: the cluster did not answer, so whether this has come is not known; the next update tries again"

GRACE_SECONDS = 10.0
"""What a cluster that was given up and seems to be there still gets."""


class GivenUp:
    """Grows while the work goes on; what was named stays named.

    ``left_out`` are the apps and clusters where for that something was not brought.
    """

    def __init__(self, clusters: Iterable[str] = ()) -> None:
        self.left_out: list[tuple[str, str]] = []
        self._named: dict[str, asyncio.Event] = {}
        self.add(clusters)

    def add(self, clusters: Iterable[str]) -> None:
        for cluster in clusters:
            self._event(cluster).set()

    @property
    def remarks(self) -> list[str]:
        return [f"{app} on {cluster}: {NOT_BROUGHT}" for app, cluster in self.left_out]

    async def named(self, cluster: str) -> None:
        """Wait until this cluster is given up."""
        await self._event(cluster).wait()

    def _event(self, cluster: str) -> asyncio.Event:
        return self._named.setdefault(cluster, asyncio.Event())
