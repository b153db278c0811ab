"""Connections to clusters come out of one budget: nobody starves, nothing fails that could wait, nothing crashes."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack, aclosing

import pytest

from emco_common.kube import Kind, KubeClient, KubeError, descriptors, errors, parse_kubeconfig
from emco_common.kube.descriptors import Descriptors, Lease
from emco_common.kube.network import Network
from emco_simcluster import SimFleet

CONFIG_MAP = Kind("v1", "ConfigMap")


async def started(budget: Descriptors) -> asyncio.Task[Lease]:
    task = asyncio.create_task(budget.take())
    await asyncio.sleep(0)
    return task


async def test_who_finds_nothing_left_waits_in_turn() -> None:
    budget = Descriptors(1)
    lease = await budget.take()
    first, second = await started(budget), await started(budget)
    assert budget.waiting == 2
    lease.give_back()
    lease.give_back()
    (await first).give_back()
    await second
    assert (budget.taken, budget.waiting) == (1, 0)


async def test_what_nobody_uses_is_closed_for_who_waits() -> None:
    budget = Descriptors(2)
    leases = [await budget.take(), await budget.take()]
    closed: list[int] = []
    for number, lease in enumerate(leases):
        lease.idle(lambda number=number: closed.append(number))  # type: ignore[misc]
    leases[0].busy()
    waiting = await started(budget)
    assert closed == [1]
    leases[1].give_back()
    await waiting
    assert budget.taken == 2


async def test_who_gives_up_leaves_its_turn_to_the_next() -> None:
    budget = Descriptors(1)
    lease = await budget.take()
    first, second = await started(budget), await started(budget)
    lease.give_back()
    first.cancel()
    await asyncio.wait({first})
    await second
    assert budget.taken == 1


async def test_watches_leave_room_for_calls() -> None:
    budget = Descriptors(4)
    for _ in range(3):
        budget.take_lasting()
    with pytest.raises(errors.NoRoom, match="carry watches"):
        budget.take_lasting()
    lease = await budget.take()
    with pytest.raises(errors.NoRoom, match="carry watches"):
        lease.last()


async def test_what_waited_in_vain_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "WAIT_SECONDS", 0.01)
    budget = Descriptors(1)
    await budget.take()
    with pytest.raises(errors.NoRoom, match="file descriptor"):
        await budget.take()
    assert (budget.taken, budget.waiting) == (1, 0)


def test_the_budget_of_a_process_leaves_room_for_everything_else() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        budget = descriptors.descriptors_of_process()
        raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised >= 512
        assert budget.limit == raised - descriptors.HEADROOM
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.robustness(62)
async def test_more_clusters_than_descriptors_are_all_served() -> None:
    network = Network(Descriptors(8))
    async with SimFleet([f"c{n}" for n in range(40)]) as fleet, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                KubeClient(parse_kubeconfig(cluster.kubeconfig), network=network, timeout=30)
            )
            for cluster in fleet.clusters
        ]
        versions = await asyncio.gather(*(client.list(CONFIG_MAP) for client in clients))
        assert sum(cluster.connections for cluster in fleet.clusters) <= 8
        told: list[str] = []

        async def watch(client: KubeClient, version: str) -> None:
            try:
                async with aclosing(client.watch(CONFIG_MAP, resource_version=version)) as events:
                    told.append((await anext(events)).type)
            except KubeError as error:
                told.append(error.reason)

        watches = [
            asyncio.create_task(watch(client, listed.resource_version))
            for client, listed in zip(clients, versions, strict=True)
        ]
        async with asyncio.timeout(20):
            while len(told) < 34:  # noqa: ASYNC110 - the servers answer on their own
                await asyncio.sleep(0.01)
        assert set(told) == {"NoRoom"}
        assert network.descriptors.lasting <= 6
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        await asyncio.gather(*(client.apply(obj, manager="m") for client in clients))
        await asyncio.gather(*watches)
        assert told.count("ADDED") == 40 - told.count("NoRoom")
        for client in clients:  # what has no watch asks now and then
            async with aclosing(
                client.watch(CONFIG_MAP, resource_version=versions[0].resource_version, renew=1)
            ) as asked:
                assert await anext(asked)


@pytest.mark.robustness(62)
async def test_a_call_that_waits_for_a_descriptor_says_so() -> None:
    network = Network(Descriptors(1, lasting=1))
    async with SimFleet(["a", "b"]) as fleet:
        first, second = (
            KubeClient(parse_kubeconfig(cluster.kubeconfig), network=network, timeout=0.5) for cluster in fleet.clusters
        )
        async with first, second:
            listed = await first.list(CONFIG_MAP)
            watch = asyncio.create_task(anext(first.watch(CONFIG_MAP, resource_version=listed.resource_version)))
            while not network.descriptors.lasting:  # noqa: ASYNC110 - the server answers on its own
                await asyncio.sleep(0.01)
            with pytest.raises(errors.NoRoom, match="waited for a file descriptor: 1 connections to clusters are open"):
                await second.version()
            watch.cancel()
            await asyncio.wait({watch})
            await second.version()
