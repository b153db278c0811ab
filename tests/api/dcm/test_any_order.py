"""Whatever is asked in whatever order: known answers, one context at most, and access only where the cloud lives."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import httpx
import pytest

from emco_common.appcontext import ContextState
from emco_common.lifecycle import State
from tests.api.dcm.conftest import LC, Dcm, eventually, permission, reference

STEPS = 60
OUTCOMES = (ContextState.INSTANTIATED,) * 3 + (ContextState.INSTANTIATE_FAILED, ContextState.INSTANTIATING)
ENDS = (ContextState.TERMINATED,) * 3 + (ContextState.TERMINATING,)
LEFT = (State.CREATED, State.TERMINATED, State.TERMINATE_STOPPED)


class Anybody:
    """Does what comes to mind."""

    def __init__(self, dcm: Dcm, chance: random.Random) -> None:
        self.dcm = dcm
        self.chance = chance

    async def act(self) -> httpx.Response | None:
        client, name = self.dcm.client, self.chance.choice(("hq", "paris"))
        acts: list[Callable[[], Awaitable[httpx.Response | None]]] = [
            *(lambda verb=verb: client.post(f"{LC}/{verb}") for verb in ("instantiate", "update", "terminate")),
            *(lambda verb=verb: client.post(f"{LC}/{verb}") for verb in ("instantiate", "stop", "renew")),
            lambda: client.post(f"{LC}/cluster-references", json=reference(f"{name}-ref", name)),
            lambda: client.delete(f"{LC}/cluster-references/{name}-ref"),
            lambda: client.post(f"{LC}/user-permissions", json=permission(name, "lc-ns")),
            lambda: client.delete(f"{LC}/user-permissions/{name}"),
            lambda: client.get(f"{LC}/kubeconfig"),
            lambda: client.get(f"{LC}/status?output=detail"),
            lambda: client.delete(LC),
            self.report,
            self.report,
            self.finish,
        ]
        self.dcm.rsync.accepts = self.chance.random() > 0.1
        self.dcm.statuses["install"] = self.dcm.statuses["update"] = self.chance.choice(OUTCOMES)
        self.dcm.statuses["uninstall"] = self.chance.choice(ENDS)
        return await self.chance.choice(acts)()

    async def report(self) -> None:
        """A cluster signs, if it has been asked."""
        if (await self.dcm.info()).instance in await self.dcm.contexts_on_the_bus():
            for cluster in await self.dcm.requests():
                await self.dcm.sign(cluster)

    async def finish(self) -> None:
        """rsync comes to an end with what it does."""
        info = await self.dcm.info()
        if info.instance in await self.dcm.contexts_on_the_bus():
            ended = info.state in (State.TERMINATED, State.TERMINATE_STOPPED)
            await self.dcm.set_status(info.instance, ContextState.TERMINATED if ended else ContextState.INSTANTIATED)


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_of_calls_leaves_a_cloud_that_can_be_understood(dcm: Dcm, seed: int) -> None:
    await dcm.custom("hq")
    await dcm.cluster("paris")
    anybody = Anybody(dcm, random.Random(seed))
    for _ in range(STEPS):
        answer = await anybody.act()

        assert answer is None or answer.status_code < 500, answer.text
        if await dcm.deps.store.get({"project": "shop", "logicalCloud": "lc"}) is None:
            await dcm.custom()

    async def agrees() -> bool:
        info = await dcm.info()
        granted = {name for name in ("hq", "paris") if await dcm.access(name)}
        contexts = await dcm.contexts_on_the_bus()
        if info.state in LEFT or info.instance not in contexts:
            return not granted
        clusters = {one.name for one in (await dcm.contexts.read(info.instance)).apps[0].clusters}
        return {f"acme+{name}" for name in granted} <= clusters and contexts <= set(info.instances)

    await eventually(agrees)
