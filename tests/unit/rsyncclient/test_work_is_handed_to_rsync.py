"""Spec orchestrator-lifecycle 2.2, the rows of rsync."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from emco_common.errors import EmcoError
from emco_common.rpc.channels import Channels
from emco_common.rsyncclient import (
    RsyncClient,
    RsyncLacksMethod,
    RsyncNotRegistered,
    RsyncRefused,
    RsyncSilent,
    RsyncUnreachable,
)
from emco_common.store.api import DocumentStore
from emco_common.store.sqlite import SqliteStore
from tests.fakes.rsync import FakeRsync, fake_rsync
from tests.support.program import free_ports


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DocumentStore]:
    opened = await SqliteStore.open(tmp_path / "emco.db")
    yield opened
    await opened.close()


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    made = Channels(connect_timeout=2)
    yield made
    await made.close()


@pytest.fixture
async def rsync(store: DocumentStore) -> AsyncIterator[FakeRsync]:
    async with fake_rsync() as fake:
        await fake.register(store)
        yield fake


@pytest.fixture
def client(store: DocumentStore, channels: Channels) -> RsyncClient:
    return RsyncClient(store, channels, timeout=5)


async def test_each_operation_names_its_contexts(client: RsyncClient, rsync: FakeRsync) -> None:
    await client.install("7")
    await client.update("7", "8")
    await client.rollback("8", "7")
    await client.uninstall("7")

    assert rsync.calls == [("install", "7"), ("update", "7>8"), ("rollback", "8>7"), ("uninstall", "7")]


async def test_an_rsync_without_rollback_is_asked_for_an_update(client: RsyncClient, rsync: FakeRsync) -> None:
    rsync.rolls_back = False

    await client.rollback("8", "7")

    assert rsync.calls == [("update", "8>7")]


async def test_an_rsync_nobody_registered_is_named_with_the_remedy(client: RsyncClient) -> None:
    with pytest.raises(RsyncNotRegistered) as caught:
        await client.install("7")

    text = str(caught.value)
    assert text.startswith("queryRsyncInfoInMCODB Failed - Could not get find rsync by name : rsync")
    assert "POST /v2/controllers" in text
    assert caught.value.status == 409


async def test_an_rsync_that_is_away_is_a_matter_of_time(store: DocumentStore) -> None:
    (port,) = free_ports(1)
    await FakeRsync(port=port).register(store)
    hasty = Channels(connect_timeout=0.1)

    with pytest.raises(RsyncUnreachable) as caught:
        await RsyncClient(store, hasty, timeout=1).uninstall("7")
    await hasty.close()

    assert str(caught.value).startswith("UninstallApp Failed - Could not get InstallAppClient: rsync")
    assert caught.value.status == 503


@pytest.mark.parametrize("operation", ["install", "uninstall"])
async def test_a_no_is_shown_with_its_message(client: RsyncClient, rsync: FakeRsync, operation: str) -> None:
    rsync.accepts, rsync.message = False, "queue is full"

    with pytest.raises(RsyncRefused, match=f"^{operation.capitalize()}App Failed: queue is full$"):
        await getattr(client, operation)("7")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNKNOWN, RsyncRefused),
        (grpc.StatusCode.UNIMPLEMENTED, RsyncLacksMethod),
        (grpc.StatusCode.UNAVAILABLE, RsyncSilent),
        (grpc.StatusCode.INTERNAL, EmcoError),
    ],
)
async def test_a_failed_call_tells_whether_the_work_may_be_queued(
    client: RsyncClient, rsync: FakeRsync, code: grpc.StatusCode, kind: type[EmcoError]
) -> None:
    rsync.aborts, rsync.message = code, "no context 7"

    with pytest.raises(EmcoError, match=r"^rpc error: code = .* desc = no context 7$") as caught:
        await client.install("7")

    assert type(caught.value) is kind
