"""StatusNotify over real gRPC, and the same as server-sent events over real HTTP (lifecycle 13, dcm 10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from fastapi import APIRouter, Request
from grpc import aio
from starlette.responses import Response

import emco_dcm.grpc
import emco_ncm.grpc
import emco_orchestrator.grpc
from emco_common.appcontext import App
from emco_common.contextbus.embedded import EmbeddedBus
from emco_common.lifecycle import State
from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
from emco_common.rpc.serving import GrpcServer
from emco_common.runtime import Service
from emco_common.status import DEPLOYMENT_INTENT_GROUP
from emco_common.status.notify import Contract, StatusStreams, describe, serve_status
from emco_common.web.app import create_app
from tests.unit.status.builders import HQ, cluster, context, live
from tests.unit.status.rig import DEADLINE, KEY, Rig, until

WEB = App("web", (cluster(HQ, "web+Deployment", "web+Service"),))
DIG = {"digKey": messages.DigKey(**KEY)}
PATH = "/groups/g/status/stream"
ORCHESTRATOR = emco_orchestrator.grpc.CONTRACT


class Served:
    """One service over the rig, on real ports."""

    def __init__(self, rig: Rig, service: Service, channel: aio.Channel, client: httpx.AsyncClient) -> None:
        self.rig = rig
        self.service = service
        self.stub: Any = stubs.StatusNotifyStub(channel)
        self.client = client

    def register(self, client: str = "c", **asked: Any) -> Any:
        asked = {"statusType": messages.DEPLOYED} | DIG | asked
        return self.stub.StatusRegister(messages.StatusRegistration(clientId=client, **asked))

    @asynccontextmanager
    async def events(self, query: str = "status=deployed", **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
        async with self.client.stream("GET", f"{PATH}?{query}", headers=headers) as answer:
            assert answer.status_code == 200, (await answer.aread(), answer.status_code)
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _events(answer)


class Event(dict[str, str]):
    """Fields of one server-sent event; a comment is the field ``comment``."""

    @property
    def answer(self) -> Any:
        return json.loads(self["data"])


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    event = Event()
    async for line in answer.aiter_lines():
        if line:
            name, _, text = line.partition(": ")
            event[name or "comment"] = text
        elif event:
            yield event
            event = Event()


@asynccontextmanager
async def served(
    *, contract: Contract = ORCHESTRATOR, clients: int = 100, streams: int = 100, heartbeat: float = 15.0
) -> AsyncIterator[Served]:
    bus = await EmbeddedBus.open(":memory:")
    rig = Rig(bus)
    open_streams = StatusStreams(rig.notifier, limit=streams, heartbeat=heartbeat)
    router = APIRouter()

    @router.get("/groups/{group}/status/stream", **describe(DEPLOYMENT_INTENT_GROUP))
    async def stream(group: str, request: Request) -> Response:
        return await open_streams.open({**KEY, "deploymentIntentGroup": group}, request)

    service = Service(
        "rig",
        create_app("rig", [router], version="1", max_body=1000, max_upload=1000),
        "127.0.0.1",
        0,
        grpc=GrpcServer("127.0.0.1", 0, serve_status(rig.notifier, contract, limit=clients)),
        background=(rig.notifier.run,),
        leaving=rig.notifier.leave,
    )
    await service.start()
    channel = aio.insecure_channel(f"127.0.0.1:{service.grpc_port}")
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=DEADLINE)
    try:
        yield Served(rig, service, channel, client)
    finally:
        await channel.close()
        await client.aclose()
        await service.stop()
        await bus.close()


async def next_value(call: Any) -> int:
    async with asyncio.timeout(DEADLINE):
        message = await call.read()
    assert message is not aio.EOF
    return int(message.statusValue)


async def ends_with(call: Any) -> tuple[grpc.StatusCode, str]:
    async with asyncio.timeout(DEADLINE):
        try:
            while await call.read() is not aio.EOF:
                pass
        except aio.AioRpcError:
            pass
        return await call.code(), await call.details()


async def event_named(events: AsyncIterator[Event], name: str) -> Event:
    async with asyncio.timeout(DEADLINE):
        async for event in events:
            if event.get("event") == name:
                return event
    raise AssertionError(f"the stream ended before an event {name}")


# gRPC


@pytest.mark.conforms(
    "orchestrator-lifecycle 13: registration without a client id",
    "orchestrator-lifecycle 13: registration with a key of another kind",
    "orchestrator-lifecycle 13: registration for a group that is missing",
    "ncm 8: registration without a client id",
    "ncm 8: registration with a key of another kind",
    "ncm 8: registration for a cluster that is missing",
    "dcm 10: registration with a key of another kind",
    "dcm 10: registration for a cloud that is missing",
)
@pytest.mark.parametrize(
    ("contract", "asked", "text"),
    [
        (ORCHESTRATOR, {"client": ""}, "Invalid client ID"),
        (emco_ncm.grpc.CONTRACT, {"client": ""}, "Invalid client ID"),
        (
            ORCHESTRATOR,
            {"digKey": None, "lcKey": messages.LcKey(project="p")},
            "Status Notification Registration - Key is not a Deployment Intent Group key",
        ),
        (
            ORCHESTRATOR,
            {},
            "DeploymentIntentGroup state not found: g: DeploymentIntentGroup StateInfo not found",
        ),
        (
            emco_dcm.grpc.CONTRACT,
            {},
            "Status Notification Registration - Key is not a Deployment Intent Group key",
        ),
        (
            emco_dcm.grpc.CONTRACT,
            {"digKey": None, "lcKey": messages.LcKey(project="p", logicalCloud="lc")},
            "Logical cloud state not found: lc: LogicalCloud StateInfo not found",
        ),
        (emco_ncm.grpc.CONTRACT, {}, "Status Notification Registration - Key is not a Cluster key"),
        (
            emco_ncm.grpc.CONTRACT,
            {"digKey": None, "clusterKey": messages.ClusterKey(clusterProvider="acme", cluster="hq")},
            "Cluster state not found: acme+hq: Cluster StateInfo not found",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_a_registration_that_cannot_be_is_refused_with_the_known_text(
    contract: Contract, asked: dict[str, Any], text: str
) -> None:
    async with served(contract=contract) as service:
        assert await ends_with(service.register(**asked)) == (grpc.StatusCode.UNKNOWN, text)


@pytest.mark.conforms(
    "orchestrator-lifecycle 13: registration of a client id in use", "ncm 8: registration of a client id in use"
)
async def test_a_client_is_served_once_at_a_time() -> None:
    async with served() as service:
        await service.rig.then(State.CREATED)
        first = service.register()
        await next_value(first)

        assert await ends_with(service.register()) == (grpc.StatusCode.UNKNOWN, "Duplicate client ID: c")

        first.cancel()
        await until(lambda: not service.rig.notifier.watchers)
        await next_value(service.register())


async def test_a_registered_client_is_told_of_every_change_until_it_deregisters() -> None:
    async with served() as service:
        await service.rig.then(State.CREATED)
        call, other = service.register(), service.register("other")
        assert await next_value(call) == await next_value(other) == messages.NOT_DEPLOYED
        await service.rig.deployed(context(WEB))
        assert await next_value(call) == await next_value(other) == messages.DEPLOYED

        await service.stub.StatusDeregister(messages.StatusDeregistration(clientId="c"))
        await service.stub.StatusDeregister(messages.StatusDeregistration(clientId="nobody"))

        assert (await ends_with(call))[0] is grpc.StatusCode.OK
        await service.rig.status("7", "Terminating")
        assert await next_value(other) == messages.NOT_DEPLOYED


async def test_the_end_of_the_object_is_the_end_of_the_stream() -> None:
    async with served() as service:
        await service.rig.then(State.CREATED)
        call = service.register()
        await next_value(call)
        await service.rig.delete()

        assert (await ends_with(call))[0] is grpc.StatusCode.NOT_FOUND


async def test_registrations_are_bounded() -> None:
    async with served(clients=1) as service:
        await service.rig.then(State.CREATED)
        call = service.register()
        await next_value(call)

        code, text = await ends_with(service.register("other"))

        assert (code, "1 status streams are open here" in text) == (grpc.StatusCode.UNAVAILABLE, True)


async def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    many = context(App("web", (cluster(HQ, *(f"{number:060}+Service" for number in range(800))),)))
    async with served() as service:
        await service.rig.deployed(many)
        silent = service.register("silent", output=messages.ALL)
        reader = service.register("reader", output=messages.ALL)
        for state, wanted in (("Terminating", messages.NOT_DEPLOYED), ("Instantiated", messages.DEPLOYED)) * 2:
            await service.rig.status("7", state)
            while await next_value(reader) != wanted:
                pass
        silent.cancel()
        assert await next_value(service.register("third")) == messages.DEPLOYED


# Server-sent events


async def test_the_stream_is_the_status_query_whenever_its_answer_changes() -> None:
    async with served() as service:
        await service.rig.then(State.CREATED)
        async with service.events("status=ready&output=summary") as events:
            assert (await event_named(events, "status")).answer["states"]["actions"][0]["state"] == "Created"
            await service.rig.deployed(context(WEB))
            await service.rig.report("7", live("web+Deployment"), live("web+Service"))
            while (event := await event_named(events, "status")).answer.get("readyStatus") != "Ready":
                pass
            assert event.answer["readyCounts"] == {"Ready": 2}
            assert "apps" not in event.answer


async def test_last_event_id_spares_what_is_known() -> None:
    async with served(heartbeat=0.2) as service:
        await service.rig.deployed(context(WEB))
        async with service.events() as events:
            last = await event_named(events, "status")
            while last.answer["deployedStatus"] != "Instantiated":
                last = await event_named(events, "status")
        async with service.events(**{"Last-Event-ID": last["id"]}) as events:
            async with asyncio.timeout(DEADLINE):
                assert "retry" in await anext(events)
                assert (await anext(events))["comment"] == "still there"
            await service.rig.status("7", "Terminating")
            assert (await event_named(events, "status")).answer["deployedStatus"] == "Terminating"


async def test_a_deleted_object_says_so_and_ends() -> None:
    async with served() as service:
        await service.rig.then(State.CREATED)
        async with service.events() as events:
            await event_named(events, "status")
            await service.rig.delete()
            assert (await event_named(events, "deleted")).answer == KEY
            async with asyncio.timeout(DEADLINE):
                assert [event async for event in events] == []


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/groups/nobody/status/stream", 404, "DeploymentIntentGroup not found"),
        (f"{PATH}?status=no", 400, "Invalid query status"),
        (f"{PATH}?app=nobody", 400, "Filter app nobody not in list of apps for composite app pos"),
        (f"{PATH}?instance=8", 400, "No state information for 8"),
    ],
)
async def test_a_query_that_cannot_be_answered_opens_no_stream(path: str, status: int, text: str) -> None:
    async with served() as service:
        await service.rig.deployed(context(WEB))

        answer = await service.client.get(path)

        assert (answer.status_code, answer.text.strip()) == (status, text)
        assert service.rig.notifier.watchers == 0


async def test_an_older_context_can_be_watched() -> None:
    async with served() as service:
        await service.rig.deployed(context(WEB))
        await service.rig.deployed(context(WEB, id="8", status_context="7"))
        async with service.events("status=deployed&instance=7") as events:
            await event_named(events, "status")
            await service.rig.status("7", "Updated")
            while (await event_named(events, "status")).answer["deployedStatus"] != "Updated":
                pass


async def test_streams_beyond_the_limit_are_told_to_come_back() -> None:
    async with served(streams=1) as service:
        await service.rig.then(State.CREATED)
        async with service.events() as events:
            await event_named(events, "status")
            answer = await service.client.get(PATH)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        await until(lambda: not service.rig.notifier.watchers)
        async with service.events() as events:
            await event_named(events, "status")


async def test_a_service_that_stops_ends_its_streams_properly() -> None:
    """Else the server would wait for them, and cut them off."""
    async with served() as service:
        await service.rig.then(State.CREATED)
        call = service.register()
        await next_value(call)
        async with service.events() as events:
            await event_named(events, "status")
            stopping = asyncio.create_task(service.service.stop())
            async with asyncio.timeout(DEADLINE):
                assert [event async for event in events] == []
            assert await ends_with(call) == (grpc.StatusCode.UNAVAILABLE, "the service is stopping")
        await stopping


async def test_the_description_says_what_a_stream_is() -> None:
    async with served() as service:
        described = (await service.client.get("/openapi.json")).json()["paths"]["/groups/{group}/status/stream"]["get"]

    assert set(described["responses"]["200"]["content"]) == {"text/event-stream"}
    assert {"status", "output", "Last-Event-ID"} <= {one["name"] for one in described["parameters"]}
