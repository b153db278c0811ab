"""Who is asked to end does, whatever stands still just then; what was begun is finished by the next (robustness 64)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from emco_simcluster import Rule, SimCluster
from tests.support.etcd import EtcdServer
from tests.support.process import Command
from tests.support.replicas import replicas
from tests.unit.rsync.rig import config_map, context

pytestmark = pytest.mark.robustness(64)
MakeEtcd = Callable[..., EtcdServer]
GIVEN_UP = "background_work_not_stopped"
"""What a process says that did not wait any longer for its own work to end."""


@pytest.mark.parametrize("name", ["orchestrator", "dcm", "rsync"])
async def test_a_service_whose_bus_stands_still_ends_its_work_itself(
    tmp_path: Path, etcd_server: MakeEtcd, name: str
) -> None:
    server = etcd_server()
    environment = {
        "EMCO_BUS_URL": f"etcd://{server.endpoints[0]}",
        "EMCO_DATABASE_URL": f"sqlite://{tmp_path}/store.db",
        "EMCO_DATA_KEY": "test key",
        "EMCO_HTTP_PORT": "0",
        "EMCO_GRPC_PORT": "0",
    }
    command = Command("serve", name, log=tmp_path / "log", environment=environment)
    await command.start()
    await command.says(f"{name} is up")
    server.freeze()
    try:
        assert await command.end() == 0
    finally:
        server.thaw()
    assert "service_stopped" in command.output
    assert GIVEN_UP not in command.output


async def test_a_process_in_the_middle_of_calls_that_are_not_answered_ends_and_another_finishes(
    tmp_path: Path, etcd_server: MakeEtcd, sim_cluster: SimCluster
) -> None:
    sim_cluster.faults.add(Rule(verb="apply", hang=True))
    async with replicas(tmp_path, etcd_server(), [sim_cluster]) as made:
        (first,) = await made.start(1)
        apps = {app: {"edge": [config_map(f"{app}-{number}") for number in range(20)]} for app in ("web", "db")}
        await made.write(context("71", apps))
        await first.install("71")
        async with asyncio.timeout(20):
            while sim_cluster.counts["apply", "configmaps"] < 4:  # noqa: ASYNC110 - the test looks from outside
                await asyncio.sleep(0.02)
        assert await first.command.end() == 0
        assert GIVEN_UP not in first.output
        sim_cluster.faults.clear()
        await made.start(1)
        status = await made.until("71", "Instantiated")
        assert {resource.status for resource in status.resources.values()} == {"Applied"}
