"""What a small deployment asks of the bus, and that asking for little loses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from grpc import RpcError

from emco_common.contextbus.api import BusUnavailable, Compare, ContextBus, Delete, Put
from emco_rsync.events.ownership import OWNERS
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import config_map, context, running

CALLS = ("get", "range", "read", "transact")


class Counted:
    """A bus that counts what it is asked for."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bus, name)
        if name not in CALLS:
            return method

        async def counted(*args: Any, **more: Any) -> Any:
            self.calls[name] += 1
            return await method(*args, **more)

        return counted


class LosesTheAnswer:
    """A bus that does the next claim of a deployment, when it is asked to, and says that it could not be reached."""

    def __init__(self, bus: ContextBus) -> None:
        self._bus = bus
        self.losing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def transact(self, operations: Sequence[Put | Delete], *, when: Sequence[Compare] = ()) -> int | None:
        done = await self._bus.transact(operations, when=when)
        if self.losing and len(operations) > 1 and any(one.key.startswith(OWNERS) for one in operations):
            self.losing = False
            raise BusUnavailable("the answer is lost")
        return done


def four(name: str) -> dict[str, dict[str, list[str]]]:
    return {"web": {"edge": [config_map(f"{name}-{number}") for number in range(4)]}}


@pytest.mark.parametrize(("handed_over", "reads"), [(1000, 1), (3, 2)])
async def test_a_small_deployment_asks_the_bus_for_little(
    tmp_path: Path, sim_cluster: SimCluster, monkeypatch: pytest.MonkeyPatch, handed_over: int, reads: int
) -> None:
    monkeypatch.setattr("emco_rsync.events.sharing.MOST_HANDED_OVER", handed_over)
    buses: list[Counted] = []

    def wrap(bus: ContextBus) -> Counted:
        buses.append(Counted(bus))
        return buses[0]

    async with running(tmp_path, [sim_cluster], wrap_bus=wrap) as rig:
        await rig.install(context("71", four("a")))
        await rig.until("71", lambda status: status.cluster("web", "p+edge").ready is True)
        buses[0].calls.clear()
        await rig.install(context("72", four("b")))
        await rig.until_state("72", "Instantiated")
        asked = dict(buses[0].calls)
        assert len(rig.labelled("edge", "ConfigMap")) == 8
    assert asked.get("range", 0) + asked.get("read", 0) + asked.get("get", 0) == reads
    assert asked["transact"] <= 5  # queued, begun, acknowledged, finished; and perhaps what the watch has seen


async def test_a_claim_whose_answer_is_lost_is_taken_up(tmp_path: Path, sim_cluster: SimCluster) -> None:
    buses: list[LosesTheAnswer] = []

    def wrap(bus: ContextBus) -> LosesTheAnswer:
        buses.append(LosesTheAnswer(bus))
        return buses[0]

    async with running(tmp_path, [sim_cluster], wrap_bus=wrap) as rig:
        await rig.install(context("71", four("a")))
        await rig.until_state("71", "Instantiated")
        buses[0].losing = True
        with pytest.raises(RpcError):
            await rig.install(context("72", four("b")))
        await rig.until_state("72", "Instantiated")
        assert not buses[0].losing
        assert len(rig.labelled("edge", "ConfigMap")) == 8


async def test_a_terminate_that_follows_at_once_is_not_overlooked(tmp_path: Path, sim_cluster: SimCluster) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        for number in range(71, 76):
            await rig.install(context(str(number), four(f"a{number}")))
            await rig.uninstall(str(number))
        for number in range(71, 76):
            await rig.until_state(str(number), "Terminated")
        assert rig.labelled("edge") == []
