"""A call over gRPC tells the request and the trace it is made for; what is done for it is below it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio

from emco_common.errors import BadRequest
from emco_common.rpc import installapp_pb2, installapp_pb2_grpc, readynotify_pb2, readynotify_pb2_grpc
from emco_common.rpc.channels import Channels
from emco_common.rpc.serving import GrpcServer
from emco_common.tracing.grpc import calling, serving
from emco_common.tracing.origin import Origin, on_behalf_of, origin_here
from emco_common.tracing.process import open_tracing
from emco_common.tracing.spans import Kind, Tracing, within
from tests.support.collector import Collector, Seen, collecting


class Install(installapp_pb2_grpc.installappServicer):
    def __init__(self) -> None:
        self.asked: list[Origin] = []

    async def InstallApp(self, request: Any, context: Any) -> installapp_pb2.InstallAppResponse:
        self.asked.append(origin_here())
        if request.app_context == "none":
            raise BadRequest("canary")
        return installapp_pb2.InstallAppResponse(app_context_installed=True)


class Notify(readynotify_pb2_grpc.readyNotifyServicer):
    def __init__(self) -> None:
        self.asked: list[Origin] = []

    async def Alert(self, request: Any, context: Any) -> AsyncIterator[readynotify_pb2.Notification]:
        await context.send_initial_metadata(())
        for _ in range(2):
            self.asked.append(origin_here())
            yield readynotify_pb2.Notification(appContext="1")


@asynccontextmanager
async def serve(tracing: Tracing | None) -> AsyncIterator[tuple[Install, Notify, aio.Channel]]:
    install, notify = Install(), Notify()

    def register(server: aio.Server) -> None:
        installapp_pb2_grpc.add_installappServicer_to_server(install, server)
        readynotify_pb2_grpc.add_readyNotifyServicer_to_server(notify, server)

    server = GrpcServer("127.0.0.1", 0, register, interceptors=serving(tracing))
    await server.start()
    channels = Channels(connect_timeout=5, interceptors=calling())
    try:
        yield install, notify, await channels.ready("127.0.0.1", server.port)
    finally:
        await channels.close()
        await server.stop(0)


async def install_app(channel: aio.Channel, context: str = "1") -> None:
    stub = installapp_pb2_grpc.installappStub(channel)
    await stub.InstallApp(installapp_pb2.InstallAppRequest(app_context=context), timeout=5)


async def test_the_id_goes_along_without_traces_too_and_where_there_is_none_one_is_made() -> None:
    async with serve(None) as (install, notify, channel):
        with on_behalf_of("r-1"):
            await install_app(channel)
            stub = readynotify_pb2_grpc.readyNotifyStub(channel)
            stream = stub.Alert(readynotify_pb2.Topic(clientName="c", appContext="1"))
            await stream.initial_metadata()
            assert len([one async for one in stream]) == 2
        await install_app(channel)
    first, second = install.asked
    assert (first, notify.asked) == (Origin("r-1", ""), [Origin("r-1", "")] * 2)
    assert len(second.request) == 32
    assert origin_here() == Origin()


async def sent(do: Any) -> list[Seen]:
    """What came of it, below one root."""
    collector: Collector
    async with collecting() as collector:
        tracing = open_tracing(collector.url, service="s", sample=1, headers={})
        async with serve(tracing) as (install, notify, channel):
            with within(tracing.begin("root", Kind.INTERNAL)) as root, on_behalf_of("r-2"):
                await do(install, notify, channel)
        await tracing.close()
        assert b"canary" not in collector.bytes
        assert {span.trace for span in collector.spans} == {f"{root.caller.trace_id:032x}"}
        return collector.spans


async def test_a_call_is_a_span_on_either_side_one_below_the_other() -> None:
    async def do(install: Install, _: Notify, channel: aio.Channel) -> None:
        await install_app(channel)
        (asked,) = install.asked
        assert asked.request == "r-2"
        assert asked.trace.endswith("-01")

    spans = await sent(do)
    (root,) = [span for span in spans if span.name == "root"]
    (client,) = [span for span in spans if span.above == root.id]
    (server,) = [span for span in spans if span.above == client.id]
    assert (client.name, server.name, client.kind, server.kind) == (*["installapp/InstallApp"] * 2, 3, 2)
    assert client.facts["rpc.grpc.status_code"] == server.facts["rpc.grpc.status_code"] == "OK"
    assert not client.failed
    assert not server.failed


async def test_a_call_that_fails_is_a_failure_on_both_sides_and_the_same_for_the_caller() -> None:
    async def do(_: Install, __: Notify, channel: aio.Channel) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            await install_app(channel, "none")
        assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.UNKNOWN, "canary")

    failed = [span for span in await sent(do) if span.name != "root"]
    assert [span.failed for span in failed] == [True, True]
    assert {span.facts["rpc.grpc.status_code"] for span in failed} == {"UNKNOWN"}


async def test_a_stream_is_a_span_on_either_side_until_it_ends() -> None:
    async def do(_: Install, notify: Notify, channel: aio.Channel) -> None:
        stub = readynotify_pb2_grpc.readyNotifyStub(channel)
        stream = stub.Alert(readynotify_pb2.Topic(clientName="c", appContext="1"))
        assert len([one async for one in stream]) == 2
        assert {one.request for one in notify.asked} == {"r-2"}

    spans = [span for span in await sent(do) if span.name == "readyNotify/Alert"]
    assert sorted(span.kind for span in spans) == [2, 3]
    client, server = sorted(spans, key=lambda span: -span.kind)
    assert server.above == client.id


async def test_a_stream_that_its_listener_ends_is_no_failure() -> None:
    async def do(_: Install, __: Notify, channel: aio.Channel) -> None:
        stub = readynotify_pb2_grpc.readyNotifyStub(channel)
        stream = stub.Alert(readynotify_pb2.Topic(clientName="c", appContext="1"))
        async for _one in stream:
            break
        stream.cancel()

    spans = [span for span in await sent(do) if span.kind == 3]
    assert [span.failed for span in spans] == [False]
