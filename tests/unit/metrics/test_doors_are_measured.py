"""How store, bus and gRPC servers answer is told; what they refuse is no failure of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from prometheus_client import CollectorRegistry

from emco_common.contextbus.embedded.bus import EmbeddedBus
from emco_common.errors import Unavailable
from emco_common.metrics import MeasuredRpc, measured
from emco_common.rpc.channels import Channels
from emco_common.rpc.serving import GrpcServer
from emco_common.runtime import Deps
from emco_common.secrets import Sealer
from emco_common.store.api import Document, DocumentMissing
from emco_common.store.sqlite import SqliteStore

KEY = {"project": "p"}


class Sick:
    """A store that is away."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: Any, **__: Any) -> Any:
            raise Unavailable("the store is away")

        return refuse if self.away else getattr(self._store, name)


@pytest.fixture
async def deps(tmp_path: Path) -> AsyncIterator[Deps]:
    store, bus = await SqliteStore.open(tmp_path / "store.db"), await EmbeddedBus.open(tmp_path / "bus.db")
    channels = Channels(connect_timeout=5)
    yield Deps(store, bus, Sealer("key"), channels)
    await channels.close()
    await bus.close()
    await store.close()


async def test_calls_are_counted_and_answers_are_the_same(deps: Deps) -> None:
    registry = CollectorRegistry()
    seen = measured(deps, registry)
    await seen.store.create(Document(KEY, {"metadata": {"name": "p"}}))
    assert (await seen.store.get(KEY)) == (await deps.store.get(KEY))
    with pytest.raises(DocumentMissing):
        await seen.store.delete({"project": "q"})
    await seen.bus.put("/a/", b"1")
    assert (await seen.bus.read(prefixes=["/a/"])).entries[0].value == b"1"
    async with asyncio.timeout(5):
        watch = seen.bus.watch("/a/")
        assert await anext(watch) == ()
        await watch.aclose()

    def count(name: str, operation: str) -> float | None:
        return registry.get_sample_value(name, {"operation": operation})

    assert count("emco_store_call_seconds_count", "create") == 1
    assert count("emco_store_call_seconds_count", "get") == 1
    assert count("emco_store_call_seconds_count", "delete") == 1
    assert count("emco_bus_call_seconds_count", "put") == 1
    assert count("emco_bus_call_seconds_count", "read") == 1
    assert count("emco_store_errors_total", "delete") == 0


async def test_a_call_that_was_not_answered_is_a_failure(deps: Deps) -> None:
    registry = CollectorRegistry()
    sick = Sick(deps.store)  # type: ignore[arg-type]
    sick.away = True
    seen = measured(Deps(sick, deps.bus, deps.sealer, deps.channels), registry)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await seen.store.get(KEY)
    assert registry.get_sample_value("emco_store_errors_total", {"operation": "get"}) == 2
    assert registry.get_sample_value("emco_store_call_seconds_count", {"operation": "get"}) == 2


async def _answer(request: bytes, context: Any) -> bytes:
    if request == b"no":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    if request == b"break":
        raise ValueError("broken")
    return request


async def _produce(request: bytes, context: Any) -> AsyncIterator[bytes]:
    yield request
    await asyncio.Event().wait()


async def _write(request: bytes, context: Any) -> None:
    await context.write(request)
    await asyncio.Event().wait()


def _register(server: aio.Server) -> None:
    methods = {
        "Answer": grpc.unary_unary_rpc_method_handler(_answer),
        "Produce": grpc.unary_stream_rpc_method_handler(_produce),
        "Write": grpc.unary_stream_rpc_method_handler(_write),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", methods),))


async def test_grpc_calls_are_counted_by_method_and_code(deps: Deps) -> None:
    registry = CollectorRegistry()
    server = GrpcServer("127.0.0.1", 0, _register, interceptors=[MeasuredRpc(registry)])
    await server.start()
    try:
        channel = await deps.channels.ready("127.0.0.1", server.port)
        assert await channel.unary_unary("/Test/Answer")(b"yes", timeout=5) == b"yes"
        for request, code in ((b"no", "NOT_FOUND"), (b"break", "INTERNAL")):
            with pytest.raises(grpc.RpcError) as failed:
                await channel.unary_unary("/Test/Answer")(request, timeout=5)
            assert failed.value.code().name == code
        with pytest.raises(grpc.RpcError):
            await channel.unary_unary("/Test/Nothing")(b"", timeout=5)
        for code in ("OK", "NOT_FOUND", "INTERNAL"):
            labels = {"method": "Test/Answer", "code": code}
            assert registry.get_sample_value("emco_grpc_request_seconds_count", labels) == 1, code
        assert registry.get_sample_value("emco_grpc_request_seconds_count", {"method": "Test/Nothing"}) is None
    finally:
        await server.stop(0)


@pytest.mark.parametrize("method", ["Produce", "Write"])
async def test_streams_are_counted_while_they_are_open(deps: Deps, method: str) -> None:
    registry = CollectorRegistry()
    server = GrpcServer("127.0.0.1", 0, _register, interceptors=[MeasuredRpc(registry)])
    await server.start()

    def streams() -> float | None:
        return registry.get_sample_value("emco_grpc_streams", {"method": f"Test/{method}"})

    try:
        channel = await deps.channels.ready("127.0.0.1", server.port)
        stream = channel.unary_stream(f"/Test/{method}")(b"x", timeout=30)
        assert await stream.read() == b"x"
        assert streams() == 1
        stream.cancel()
        async with asyncio.timeout(10):
            while streams() != 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await server.stop(0)
