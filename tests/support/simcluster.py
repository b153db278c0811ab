"""Fixtures: simulated Kubernetes clusters, in the event loop of the test or in one of their own.

Beside clusters in its own loop a test runs blocking clients (the official ``kubernetes`` package, kubectl) in a thread:
``await asyncio.to_thread(…)``. For tests that are blocking as a whole there is ``SimClusterThread``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

import pytest_asyncio

from emco_simcluster import SimCluster

MakeSimCluster = Callable[..., Awaitable[SimCluster]]
T = TypeVar("T")
QUICK = {"ready_after": 0.02, "established_after": 0.02}
_SECONDS = 30


@pytest_asyncio.fixture
async def make_sim_cluster() -> AsyncIterator[MakeSimCluster]:
    """A factory: ``await make_sim_cluster("edge", ready_after=0.01)``. All are stopped at the end of the test."""
    started: list[SimCluster] = []

    async def make(name: str = "edge", *, port: int = 0, **settings: Any) -> SimCluster:
        cluster = SimCluster(name, **{**QUICK, **settings})
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


class SimClusterThread:
    """A simulated cluster with a thread and event loop of its own, for blocking tests. A context manager."""

    def __init__(self, name: str = "edge", **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"simulated-{name}", daemon=True)
        self.cluster = SimCluster(name, **{**QUICK, **settings})

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.cluster.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.cluster.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the cluster's loop, e.g. one that sets faults."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def call(self, work: Callable[[], T]) -> T:
        """Call a function in the cluster's loop."""

        async def called() -> T:
            return work()

        return self.run(called())
