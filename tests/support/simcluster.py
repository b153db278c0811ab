"""Fixtures: simulated Kubernetes clusters in the event loop of the test.

Blocking clients (the official ``kubernetes`` package, kubectl) run in a thread beside it: ``await asyncio.to_thread(…)``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from emco_simcluster import SimCluster

MakeSimCluster = Callable[..., Awaitable[SimCluster]]


@pytest_asyncio.fixture
async def make_sim_cluster() -> AsyncIterator[MakeSimCluster]:
    """A factory: ``await make_sim_cluster("edge", ready_after=0.01)``. All are stopped at the end of the test."""
    started: list[SimCluster] = []

    async def make(name: str = "edge", *, port: int = 0, **settings: Any) -> SimCluster:
        cluster = SimCluster(name, **{"ready_after": 0.02, "established_after": 0.02, **settings})
        await cluster.start(port=port)
        started.append(cluster)
        return cluster

    yield make
    for cluster in started:
        await cluster.stop()


@pytest_asyncio.fixture
async def sim_cluster(make_sim_cluster: MakeSimCluster) -> SimCluster:
    """One simulated cluster, started."""
    return await make_sim_cluster("edge")


@pytest_asyncio.fixture
async def sim_clusters(make_sim_cluster: MakeSimCluster) -> list[SimCluster]:
    """Two simulated clusters, ``edge`` and ``cloud``, started."""
    return [await make_sim_cluster("edge"), await make_sim_cluster("cloud")]
