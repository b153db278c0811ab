"""Both context buses for the suites they share: a test that asks for ``bus`` runs once on each."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from emco_common.contextbus.api import ContextBus
from emco_common.contextbus.embedded import EmbeddedBus
from tests.support.etcd import Etcd

Connect = Callable[[], Awaitable[ContextBus]]


@pytest.fixture(params=["embedded", "etcd"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """Makes clients of one bus. The embedded one has a single process, so its clients are one."""
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            embedded = await EmbeddedBus.open(tmp_path / "bus.db")
            stack.push_async_callback(embedded.close)

            async def give() -> ContextBus:
                return embedded

            yield give
            return
        etcd: Etcd = request.getfixturevalue("etcd")

        async def dial() -> ContextBus:
            client = await etcd.connect()
            stack.push_async_callback(client.close)
            return client

        yield dial


@pytest.fixture
async def bus(connect: Connect) -> ContextBus:
    return await connect()


@pytest.fixture
async def base(bus: ContextBus) -> AsyncIterator[str]:
    """A prefix no other test uses; nothing stays below it."""
    prefix = f"/contract-{uuid.uuid4()}/"
    yield prefix
    await bus.delete(prefix, prefix=True)
