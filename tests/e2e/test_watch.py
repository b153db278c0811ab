"""Watching a deployment from before its first instantiation to its end: ``emcoctl watch``, and server-sent events."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from emco_simcluster import SimCluster
from tests.support.process import Command
from tests.support.shop import Shop
from tests.support.suite import RunningSuite, running_suite

DEADLINE = 60.0
CLOUD = "projects/p/logical-clouds/lc"


@pytest.fixture
async def suite(tmp_path: Path) -> AsyncIterator[RunningSuite]:
    async with running_suite(tmp_path / "data", status_window=0.05) as started:
        yield started


@pytest.fixture
async def shop(suite: RunningSuite) -> AsyncIterator[Shop]:
    """Onboarded on a simulated cluster whose pods take a while."""
    async with SimCluster("edge", ready_after=0.5) as cluster:
        made = Shop(suite.client, rsync_port=suite.suite.services["rsync"].grpc_port)
        await made.onboard({"edge": cluster.kubeconfig})
        yield made


class Emcoctl:
    """``emcoctl watch`` as a program."""

    def __init__(self, suite: RunningSuite, folder: Path) -> None:
        services = suite.suite.services
        self._config = folder / "emco.yaml"
        watched = ("orchestrator", "dcm", "ncm")
        ends = {name: {"host": "127.0.0.1", "statusPort": services[name].grpc_port} for name in watched}
        self._config.write_text(json.dumps(ends))
        self._folder = folder

    @asynccontextmanager
    async def watch(self, anchor: str, *filters: str) -> AsyncIterator[Command]:
        """Interrupted at the end, by which it deregisters."""
        log = self._folder / f"{anchor.replace('/', '-')}-{'-'.join(filters)}.log"
        command = Command(
            *("--config", str(self._config), "watch", f"{anchor}/status", *filters),
            log=log,
            module="emco_emcoctl",
            environment={"HOME": str(self._folder)},
        )
        await command.start()
        try:
            yield command
        finally:
            await command.end(signal.SIGINT)


@pytest.fixture
def emcoctl(suite: RunningSuite, tmp_path: Path) -> Emcoctl:
    return Emcoctl(suite, tmp_path)


def notifications(command: Command) -> list[Any]:
    return [json.loads(line) for line in command.output.splitlines() if line.startswith("{")]


def values(command: Command) -> list[str]:
    return [one["statusValue"] for one in notifications(command)]


async def shows(command: Command, value: str, *, times: int = 1) -> None:
    async with asyncio.timeout(DEADLINE):
        while values(command).count(value) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_deployment_is_watched_through_its_life(suite: RunningSuite, shop: Shop, emcoctl: Emcoctl) -> None:
    group = await shop.group()
    anchor = group.removeprefix("/v2/")
    async with (
        emcoctl.watch(anchor, "status=deployed") as deployed,
        emcoctl.watch(anchor, "status=ready", "format=all", "app=web", "cluster=acme+edge") as ready,
    ):
        await shows(deployed, "NOT_DEPLOYED")
        await shows(ready, "NOT_READY")
        await shop.post(f"{group}/instantiate", expect=202)
        await shows(deployed, "DEPLOYED")
        await shows(ready, "READY")
        await shop.post(f"{group}/terminate", expect=202)
        await shows(deployed, "NOT_DEPLOYED", times=2)
        await shows(ready, "NOT_READY", times=2)
        await shop.gone(group)
        await shop.post(f"{group}/instantiate", expect=202)
        await shows(deployed, "DEPLOYED", times=2)
        await shows(ready, "READY", times=2)
        assert [command.runs for command in (deployed, ready)] == [True, True]

    assert values(deployed) == ["NOT_DEPLOYED", "DEPLOYED", "NOT_DEPLOYED", "DEPLOYED"]
    full = next(one for one in notifications(ready) if one["statusValue"] == "READY")
    (detail,) = full["details"]
    assert detail["app"]["app"] == "web"
    (cluster,) = detail["app"]["clusters"]
    assert (cluster["clusterProvider"], cluster["cluster"], cluster["statusValue"]) == ("acme", "edge", "READY")
    kinds = {resource["gvk"]["kind"] for resource in cluster["resources"]}
    assert {"Deployment", "Service", "Pod"} <= kinds
    assert "broke" not in deployed.output


async def test_a_logical_cloud_is_watched(suite: RunningSuite, shop: Shop, emcoctl: Emcoctl) -> None:
    async with emcoctl.watch(CLOUD) as command:
        await shows(command, "READY")
        await shop.post(f"/v2/{CLOUD}/terminate", expect=202)
        await shows(command, "NOT_READY")
        await shop.gone(f"/v2/{CLOUD}")
        await shop.post(f"/v2/{CLOUD}/instantiate", expect=202)
        await shows(command, "READY", times=2)


async def test_the_networks_of_a_cluster_are_watched(suite: RunningSuite, shop: Shop, emcoctl: Emcoctl) -> None:
    cluster = "cluster-providers/acme/clusters/edge"
    async with emcoctl.watch(cluster, "status=deployed") as command:
        await shows(command, "NOT_DEPLOYED")
        await shop.post(f"/v2/{cluster}/apply", expect=204)
        await shows(command, "DEPLOYED")


async def test_the_same_comes_as_server_sent_events_through_the_one_port(suite: RunningSuite, shop: Shop) -> None:
    group = await shop.group()
    seen: list[tuple[str, Any]] = []

    async def listen() -> None:
        async with suite.client.stream("GET", f"{group}/status/stream?status=ready", timeout=DEADLINE) as answer:
            assert answer.status_code == 200
            name = ""
            async for line in answer.aiter_lines():
                field, _, text = line.partition(": ")
                if field == "event":
                    name = text
                elif field == "data":
                    seen.append((name, json.loads(text)))

    async def until(reached: Any) -> None:
        async with asyncio.timeout(DEADLINE):
            while not any(reached(name, data) for name, data in seen):
                assert not listening.done(), listening.result()
                await asyncio.sleep(0.02)

    listening = asyncio.create_task(listen())
    await until(lambda name, data: name == "status")
    await shop.post(f"{group}/instantiate", expect=202)
    await until(lambda name, data: data.get("readyStatus") == "Ready")
    await shop.post(f"{group}/terminate", expect=202)
    await until(lambda name, data: data.get("deployedStatus") == "Terminated")
    assert (await suite.client.delete(f"{group}/intents/i")).status_code == 204
    for app in ("web", "config"):
        assert (
            await suite.client.delete(f"{group}/generic-placement-intents/place/app-intents/{app}")
        ).status_code == 204
    assert (await suite.client.delete(f"{group}/generic-placement-intents/place")).status_code == 204
    assert (await suite.client.delete(group)).status_code == 204
    async with asyncio.timeout(DEADLINE):
        await listening

    assert seen[-1] == ("deleted", seen[-1][1])
    assert seen[-1][1]["deploymentIntentGroup"] == "g"


async def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """The server would wait three seconds for it, and cut it off with an error."""
    running = running_suite(tmp_path / "data")
    suite = await running.__aenter__()
    await suite.post("/v2/projects", {"metadata": {"name": "p"}})
    cloud = "/v2/projects/p/logical-clouds"
    await suite.post(cloud, {"metadata": {"name": "lc"}, "spec": {"level": "0"}})
    async with (
        httpx.AsyncClient(base_url=suite.client.base_url, timeout=DEADLINE) as client,
        client.stream("GET", f"{cloud}/lc/status/stream") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        ending = asyncio.create_task(running.__aexit__(None, None, None))
        async with asyncio.timeout(DEADLINE):
            rest = [line async for line in lines]
    await ending
    assert "event: status" in rest
