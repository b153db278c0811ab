"""Registered network controllers have their say before rsync gets the context (issue: controller registration)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from emco_common.appcontext import AppContext, Resource
from emco_common.controllers import Change, PutResource, serve_action
from emco_common.errors import Conflict
from emco_common.rpc.serving import GrpcServer
from tests.api.ncm.conftest import Ncm, network

PATH = "/v2/ncm-controllers"


@asynccontextmanager
async def controller(ncm: Ncm, name: str, *, priority: int = 0, refuses: str = "") -> AsyncIterator[list[str]]:
    """One that adds a ConfigMap of its name to every cluster; answers the intents it was called with."""
    called: list[str] = []

    def decide(context: AppContext, intent: str) -> Iterable[Change]:
        if refuses:
            raise Conflict(refuses)
        manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
        for app in context.apps:
            for cluster in app.clusters:
                yield PutResource(app.name, cluster.name, Resource(f"{name}+ConfigMap", manifest))

    async def read(_context: AppContext, intent: str) -> str:
        called.append(intent)
        return intent

    server = GrpcServer("127.0.0.1", 0, serve_action(ncm.contexts, decide, read))
    await server.start()
    spec = {"host": "127.0.0.1", "port": server.port, "priority": priority}
    answer = await ncm.client.post(PATH, json={"metadata": {"name": name}, "spec": spec})
    assert answer.status_code == 201
    try:
        yield called
    finally:
        await server.stop(grace=0)


async def names_of(ncm: Ncm, context: str) -> list[str]:
    return [resource.name for resource in (await ncm.contexts.read(context)).apps[0].clusters[0].resources]


async def test_each_adds_its_part_in_the_order_of_priority_at_apply_and_at_update(ncm: Ncm) -> None:
    await ncm.post("/networks", network())
    async with controller(ncm, "late", priority=7), controller(ncm, "early", priority=2) as called:
        context = await ncm.applied()
        assert await names_of(ncm, context) == ["blue+Network", "early+ConfigMap", "late+ConfigMap"]
        await ncm.act("update")
        assert len(await names_of(ncm, (await ncm.info()).instance)) == 3
        await ncm.act("terminate")
    assert called == ["p+c", "p+c"]


async def test_one_that_refuses_stops_the_apply_and_nothing_stays(ncm: Ncm) -> None:
    async with controller(ncm, "strict", refuses="no such uplink"):
        assert "no such uplink" in await ncm.act("apply", expect=422)
    assert (ncm.rsync.calls, await ncm.contexts_on_the_bus()) == ([], set())
    assert [str(action.state) for action in (await ncm.info()).actions] == ["Created"]


async def test_one_that_is_away_is_named(ncm: Ncm) -> None:
    body = {"metadata": {"name": "away"}, "spec": {"host": "127.0.0.1", "port": 1}}
    await ncm.client.post(PATH, json=body)
    assert "away" in await ncm.act("apply", expect=503)
    assert await ncm.contexts_on_the_bus() == set()
