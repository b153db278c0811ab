"""docs/extending.md, run as it stands: a resource by one declaration, a controller by one function."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio

from emco_common.appcontext.io import AppContextStore
from emco_common.appcontext.model import App, AppContext, Cluster, Meta, Resource
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.controllers import serve_action, serve_placement
from emco_common.resources.router import build_router
from emco_common.rpc import contextupdate_pb2, contextupdate_pb2_grpc, placement_pb2, placement_pb2_grpc
from emco_common.rpc.serving import GrpcServer
from emco_common.store.sqlite import SqliteStore
from emco_common.web.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def block(name: str) -> dict[str, Any]:
    code = re.search(rf"```python {name}\n(.*?)```", PAGE.read_text(), re.S)
    assert code is not None
    namespace: dict[str, Any] = {"__name__": f"extending_{name}"}
    exec(compile(code[1].replace("from __future__", "# "), str(PAGE), "exec"), namespace)
    return namespace


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = await SqliteStore.open(tmp_path / "store.db")
    page = block("resource")
    routers = [build_router(page["SITE"], store), build_router(page["SENSOR"], store)]
    app = create_app("sites", routers, version="1", max_body=1 << 20, max_upload=1 << 20)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sites") as client:
        yield client
    await store.close()


class TestTheResourceOfThePage:
    async def test_is_created_read_listed_replaced_and_deleted(self, client: httpx.AsyncClient) -> None:
        body = {"metadata": {"name": "s1"}, "spec": {"city": "Lisbon", "racks": 3}}
        made = await client.post("/v2/sites", json=body)
        shown = {"metadata": {"name": "s1", "description": "", "userData1": "", "userData2": ""}, "spec": body["spec"]}
        assert (made.status_code, made.json()) == (201, shown)
        assert (await client.get("/v2/sites")).json() == [shown]
        changed = await client.put("/v2/sites/s1", json=body | {"spec": {"city": "Porto"}})
        assert (changed.status_code, changed.json()["spec"]) == (200, {"city": "Porto", "racks": 0})
        assert (await client.delete("/v2/sites/s1")).status_code == 204
        assert (await client.get("/v2/sites/s1")).text == "Site not found\n"

    async def test_needs_its_parent_and_holds_it(self, client: httpx.AsyncClient) -> None:
        sensor = {"metadata": {"name": "t"}}
        orphan = await client.post("/v2/sites/s1/sensors", json=sensor)
        assert orphan.status_code == 409
        assert "Parent resource not found" in orphan.text
        await client.post("/v2/sites", json={"metadata": {"name": "s1"}})
        assert (await client.post("/v2/sites/s1/sensors", json=sensor)).status_code == 201
        refused = await client.delete("/v2/sites/s1")
        assert (refused.status_code, refused.text) == (
            409,
            "Cannot delete parent without deleting child references first\n",
        )
        assert (await client.get("/v2/sites/s1/sensors/x")).text == "No such sensor\n"

    async def test_refuses_a_body_that_breaks_its_schema(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v2/sites", json={"metadata": {"name": "s"}, "spec": {"racks": 501}})
        assert (answer.status_code, answer.text) == (400, "Invalid Input:\nMust be less than or equal to 500\n")

    async def test_describes_itself_in_full(self, client: httpx.AsyncClient) -> None:
        described = (await client.get("/openapi.json")).json()
        item = described["paths"]["/v2/sites/{site}/sensors/{sensor}"]
        assert set(item) == {"get", "put", "delete"}
        assert [p["name"] for p in item["get"]["parameters"]] == ["site", "sensor", "If-None-Match"]
        assert described["components"]["schemas"]["SiteSpec"]["properties"]["racks"]["maximum"] == 500


CONTEXT = AppContext(
    "42",
    apps=(
        App(
            "web",
            tuple(Cluster(f"p+{c}", "1", (Resource("web+Service", "kind: Service"),)) for c in ("c1", "c2")),
        ),
    ),
    meta=Meta(project="shop"),
)


class TestTheControllersOfThePage:
    async def test_change_a_context_over_grpc(self) -> None:
        page = block("controller")
        contexts = AppContextStore(await EmbeddedBus.open(":memory:"))

        async def intents(_context: AppContext, name: str) -> dict[str, str]:
            return {"text": name}

        placement = serve_placement(contexts, page["keep_to_one_cluster"])
        action = serve_action(contexts, page["add_motd"], intents)
        server = GrpcServer("127.0.0.1", 0, lambda grpc_server: (placement(grpc_server), action(grpc_server))[0])
        await server.start()
        await contexts.write_new(CONTEXT)
        try:
            async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                await self._check(channel, contexts)
        finally:
            await server.stop(0)

    async def _check(self, channel: aio.Channel, contexts: AppContextStore) -> None:
        filtered = await placement_pb2_grpc.PlacementControllerStub(channel).FilterClusters(
            placement_pb2.ResourceRequest(appContext="42")
        )
        assert filtered.status
        stub = contextupdate_pb2_grpc.contextupdateStub(channel)
        updated = await stub.UpdateAppContext(
            contextupdate_pb2.ContextUpdateRequest(app_context="42", intent_name="hello")
        )
        assert updated.app_context_updated
        (app,) = (await contexts.read("42")).apps
        (cluster,) = app.clusters
        assert cluster.name == "p+c2"
        assert [r.name for r in cluster.resources] == ["web+Service", "motd+ConfigMap"]
        unknown = await stub.UpdateAppContext(contextupdate_pb2.ContextUpdateRequest(app_context="7"))
        assert not unknown.app_context_updated
        assert "Error finding the context id" in unknown.app_context_update_message
        with pytest.raises(grpc.RpcError, match="method PostEvent not implemented"):
            await stub.PostEvent(contextupdate_pb2.PostEventRequest(app_context="42"))
