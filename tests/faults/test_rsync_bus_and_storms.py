"""The bus goes away between any two calls; a cluster changes faster than anybody reads (robustness 63)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext import keys
from emco_common.contextbus.api import BusUnavailable, Compare, ContextBus, Delete, EventType, Put
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import config_map, context, deployment, running


class Unsteady:
    """A bus that fails some calls, before or after they took effect."""

    def __init__(self, bus: ContextBus, chance: random.Random) -> None:
        self._bus = bus
        self._chance = chance
        self.share = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def get(self, key: str) -> Any:
        self._fail()
        return await self._bus.get(key)

    async def range(self, prefix: str, *, keys_only: bool = False, limit: int = 0) -> Any:
        self._fail()
        return await self._bus.range(prefix, keys_only=keys_only, limit=limit)

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Any:
        self._fail()
        return await self._bus.read(keys=keys, prefixes=prefixes)

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        self._fail()
        done = await self._bus.transact(operations, when=when)
        self._fail()
        return done

    def _fail(self) -> None:
        if self._chance.random() < self.share:
            raise BusUnavailable("away")


@pytest.mark.parametrize("seed", range(3))
async def test_a_bus_that_comes_and_goes_changes_nothing_about_the_result(
    tmp_path: Path, sim_cluster: SimCluster, seed: int
) -> None:
    unsteady: list[Unsteady] = []

    def wrap(bus: ContextBus) -> Any:
        unsteady.append(Unsteady(bus, random.Random(seed)))
        return unsteady[0]

    async with running(tmp_path, [sim_cluster], wrap_bus=wrap) as rig:
        await rig.install(context("71", {"web": {"edge": [config_map("a"), deployment("d")]}}))
        unsteady[0].share = 0.2
        await rig.until_state("71", "Instantiated")
        unsteady[0].share = 0.0
        await rig.uninstall("71")
        unsteady[0].share = 0.2
        status = await rig.until_state("71", "Terminated")
        assert {resource.status for resource in status.resources.values()} == {"Deleted"}
        assert rig.labelled("edge") == []


@pytest.mark.robustness(63)
async def test_a_storm_of_changes_is_told_in_few_writes_and_ends_with_the_newest(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    ref = Ref(Kind("apps/v1", "Deployment"), "d", "default")
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install(context("71", {"web": {"edge": [deployment("d")]}}))
        await rig.until("71", lambda s: s.cluster("web", "p+edge").ready is True)
        key = keys.cluster_status("71", "web", "p+edge")
        writes = 0
        watch: Any = rig.bus.watch(key)
        async with aclosing(watch), KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as somebody:
            await anext(watch)
            for number in range(200):
                await somebody.patch(ref, {"metadata": {"annotations": {"round": f"no. {number}"}}})
            newest = ""
            async with asyncio.timeout(10):
                while "no. 199" not in newest:
                    for event in await anext(watch):
                        assert event.type is EventType.PUT
                        writes += 1
                        newest = event.entry.value.decode()
        assert writes < 60
