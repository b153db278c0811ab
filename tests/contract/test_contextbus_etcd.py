"""What the etcd client bears: servers that die, freeze, compact, forget tokens and ask for certificates."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Self

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from emco_common.contextbus.api import BusUnavailable, Compacted, Compare, Event, LeaseLost, Put
from emco_common.contextbus.etcd import EtcdBus, Tls
from tests.support.certificates import Authority
from tests.support.etcd import EtcdServer
from tests.support.program import free_ports

PATIENCE = 40
"""Seconds after which a test gives up waiting for what must come."""

BASE = "/test/"

Serve = Callable[..., EtcdServer]

slow = pytest.mark.skipif("EMCO_TEST_SLOW" not in os.environ, reason="takes its time; set EMCO_TEST_SLOW=1 to run it")


class Gate:
    """A way to the server that can be shut: connections through it are cut and refused until it opens again."""

    def __init__(self, server: EtcdServer) -> None:
        self._target = server.endpoints[0].rsplit(":", 1)
        (self._port,) = free_ports(1)
        self.endpoint = f"127.0.0.1:{self._port}"
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self._port)

    async def shut(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, inner_writer}
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def take(watch: AsyncGenerator[Sequence[Event], None], count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events.extend(await anext(watch))
    return events


def numbers(events: Sequence[Event]) -> list[int]:
    return [int(event.entry.key.removeprefix(BASE)) for event in events]


async def write_numbers(bus: EtcdBus, start: int, end: int) -> int:
    """Revision of the first; a hundred to a transaction."""
    first = 0
    for low in range(start, end, 100):
        puts = [Put(f"{BASE}{number:05}", b"x" * 200) for number in range(low, min(low + 100, end))]
        revision = await bus.transact(puts)
        assert revision is not None
        first = first or revision
    return first


async def restart(server: EtcdServer) -> None:
    server.kill()
    await asyncio.to_thread(server.start)


# Servers that go and come back


async def test_a_watch_killed_during_replay_loses_and_repeats_nothing(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    start = await write_numbers(bus, 0, 1)
    # A revision to each key and more bytes than any buffer on the way holds: the server replays in several parts.
    await asyncio.gather(*(bus.put(f"{BASE}{number:05}", b"x" * 10_000) for number in range(1, 2_500)))
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE, start_revision=start)) as watch:
        seen = await take(watch, 1)
        await restart(server)
        seen += await take(watch, 1)
        assert len(seen) < 2_500
        await restart(server)
        await write_numbers(bus, 2_500, 2_600)
        seen += await take(watch, 2_600 - len(seen))
    assert sorted(numbers(seen)) == list(range(2_600))
    revisions = [event.entry.mod_revision for event in seen]
    assert revisions == sorted(revisions)
    await bus.close()


async def test_a_watch_that_saw_nothing_yet_misses_nothing_over_a_restart(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    await write_numbers(bus, 0, 100)
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE)) as watch:
        await anext(watch)
        server.kill()
        other = asyncio.create_task(write_numbers(bus, 100, 150))
        await asyncio.to_thread(server.start)
        await other
        assert numbers(await take(watch, 50)) == list(range(100, 150))
    await bus.close()


async def test_calls_wait_for_a_server_that_is_being_restarted(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    await bus.put(f"{BASE}1", b"kept")
    server.kill()
    reading = asyncio.create_task(bus.get(f"{BASE}1"))
    writing = asyncio.create_task(bus.put(f"{BASE}2", b""))
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE):
        entry = await reading
        await writing
    assert entry is not None
    assert entry.value == b"kept"
    await bus.close()


async def test_a_server_that_stays_away_is_reported_within_the_deadline(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect(deadline=0.3)
    server.kill()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BusUnavailable):
            await bus.get(BASE)
        with pytest.raises(BusUnavailable):
            await bus.transact([Put(BASE, b"")], when=[Compare(BASE, 0)])
        with pytest.raises(BusUnavailable):
            await bus.ping()
        with pytest.raises(BusUnavailable):
            await anext(bus.watch(BASE))
        with pytest.raises(BusUnavailable):
            await bus.lease(5)
    await bus.close()


async def test_nobody_at_the_endpoint_is_reported_within_the_deadline() -> None:
    (port,) = free_ports(1)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BusUnavailable):
            await EtcdBus.connect([f"127.0.0.1:{port}"], deadline=0.3)


async def test_a_dead_endpoint_among_several_is_passed_over(etcd_server: Serve) -> None:
    server = etcd_server()
    (port,) = free_ports(1)
    bus = await EtcdBus.connect([f"127.0.0.1:{port}", *server.endpoints])
    revision = await bus.put(BASE, b"1")
    assert await bus.transact([Put(BASE, b"2")], when=[Compare(BASE, 0)]) is None
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE, start_revision=revision)) as watch:
        assert len(await take(watch, 1)) == 1
    await bus.close()


async def test_a_lease_of_a_server_that_died_is_lost(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect(deadline=1)
    lease = await bus.lease(1)
    assert not lease.lost
    server.kill()
    async with asyncio.timeout(PATIENCE):
        await lease.wait_lost()
    assert lease.lost
    await bus.close()


async def test_a_lease_outlives_a_restart_of_the_server(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    lease = await bus.lease(60)
    await bus.put(BASE, b"", lease=lease.id)
    await restart(server)
    assert await bus.get(BASE) is not None
    assert not lease.lost
    await lease.revoke()
    assert await bus.get(BASE) is None
    await bus.close()


async def test_keys_of_a_holder_that_went_away_disappear(etcd_server: Serve) -> None:
    server = etcd_server()
    holder, witness = await server.connect(), await server.connect()
    lease = await holder.lease(1)
    async with asyncio.timeout(PATIENCE), aclosing(witness.watch(BASE)) as watch:
        await anext(watch)
        await holder.put(BASE, b"", lease=lease.id)
        await holder.close()
        assert lease.lost
        events = await take(watch, 2)
    assert [event.type.value for event in events] == ["put", "delete"]
    with pytest.raises(LeaseLost):
        await witness.put(BASE, b"", lease=lease.id)
    await witness.close()


# Servers that freeze


async def freeze_under_load(server: EtcdServer, *, seconds: float) -> None:
    bus, writer = await server.connect(deadline=60), await server.connect(deadline=60)
    async with asyncio.timeout(PATIENCE + seconds), aclosing(bus.watch(BASE)) as watch:
        await anext(watch)
        await write_numbers(writer, 0, 1_000)
        server.freeze()
        writing = asyncio.create_task(write_numbers(writer, 1_000, 2_000))
        await asyncio.sleep(seconds)
        server.thaw()
        await writing
        seen = await take(watch, 2_000)
    # A transaction whose answer was lost may have been written twice: each key keeps its order, none is missing.
    assert list(dict.fromkeys(numbers(seen))) == list(range(2_000))
    assert [event.entry.mod_revision for event in seen] == sorted(event.entry.mod_revision for event in seen)
    await bus.close()
    await writer.close()


async def test_a_frozen_server_costs_time_but_no_event(etcd_server: Serve) -> None:
    await freeze_under_load(etcd_server(), seconds=2)


@slow
async def test_a_server_frozen_for_longer_than_the_keep_alive_costs_no_event(etcd_server: Serve) -> None:
    await freeze_under_load(etcd_server(), seconds=25)


async def test_a_frozen_server_is_reported_within_the_deadline(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect(deadline=0.5)
    server.freeze()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BusUnavailable):
            await bus.get(BASE)
        with pytest.raises(BusUnavailable):
            await anext(bus.watch(BASE))
    server.thaw()
    await bus.close()


# Servers that compact


async def test_a_watch_that_starts_before_the_compaction_is_told_so(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    start = await write_numbers(bus, 0, 500)
    latest = (await bus.range(BASE)).revision
    await asyncio.to_thread(server.control, "compact", str(latest))
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE, start_revision=start)) as watch:
        with pytest.raises(Compacted):
            await take(watch, 1)
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE, start_revision=latest + 1)) as watch:
        await anext(watch)
        await write_numbers(bus, 500, 501)
        assert numbers(await take(watch, 1)) == [500]
    await bus.close()


async def test_compaction_while_a_watch_is_cut_off_is_an_error_and_not_a_gap(etcd_server: Serve) -> None:
    server = etcd_server()
    writer = await server.connect()
    async with Gate(server) as gate:
        watcher = await EtcdBus.connect([gate.endpoint])
        async with asyncio.timeout(PATIENCE), aclosing(watcher.watch(BASE)) as watch:
            await anext(watch)
            await write_numbers(writer, 0, 1)
            assert numbers(await take(watch, 1)) == [0]
            await gate.shut()
            await write_numbers(writer, 100, 300)
            await asyncio.to_thread(server.control, "compact", str((await writer.range(BASE)).revision))
            await gate.open()
            with pytest.raises(Compacted):
                await take(watch, 1)
        await watcher.close()
    await writer.close()


async def test_a_watch_in_force_is_not_disturbed_by_compaction(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE)) as watch:
        await anext(watch)
        await write_numbers(bus, 0, 300)
        assert numbers(await take(watch, 300)) == list(range(300))
        await asyncio.to_thread(server.control, "compact", str((await bus.range(BASE)).revision))
        await write_numbers(bus, 300, 310)
        assert numbers(await take(watch, 10)) == list(range(300, 310))
    await bus.close()


# Servers that ask who we are


def with_users(server: EtcdServer) -> EtcdServer:
    for command in (
        ("user", "add", "root:secret"),
        ("user", "grant-role", "root", "root"),
        ("user", "add", "emco:geheim"),
        ("role", "add", "bus"),
        ("role", "grant-permission", "bus", "--prefix=true", "readwrite", BASE),
        ("role", "grant-permission", "bus", "--prefix=true", "readwrite", "/context/"),
        ("user", "grant-role", "emco", "bus"),
        ("auth", "enable"),
    ):
        server.control(*command)
    return server


async def test_a_user_and_password_are_enough(etcd_server: Serve) -> None:
    server = with_users(etcd_server())
    bus = await server.connect(user="emco", password="geheim")
    await bus.put(BASE, b"1")
    lease = await bus.lease(5)
    await bus.put(f"{BASE}2", b"", lease=lease.id)
    await lease.revoke()
    assert len((await bus.range(BASE)).entries) == 1
    with pytest.raises(BusUnavailable, match="permission denied"):
        await bus.put("/forbidden", b"")
    await bus.close()


async def test_who_cannot_be_reached_is_reported_with_the_reason(etcd_server: Serve) -> None:
    (closed,) = free_ports(1)
    server = etcd_server(mutual_tls=True)
    stranger = Tls(ca=Authority.new("somebody-else").certificate)
    for endpoint, tls, reason in (
        (f"127.0.0.1:{closed}", None, "Connection refused"),
        (server.endpoints[0], stranger, "CERTIFICATE_VERIFY_FAILED"),
    ):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BusUnavailable, match=f"did not answer within 1 s: .*{reason}"):
                await EtcdBus.connect([endpoint], tls=tls, deadline=1.0)


async def test_a_refused_login_is_reported_and_keeps_the_secret(etcd_server: Serve) -> None:
    server = with_users(etcd_server())
    async with asyncio.timeout(PATIENCE):
        for user, password in (("emco", "wrong"), ("nobody", "geheim")):
            with pytest.raises(BusUnavailable, match="login") as caught:
                await server.connect(user=user, password=password)
            assert password not in str(caught.value)
        with pytest.raises(BusUnavailable, match="no user is configured"):
            await server.connect()


async def test_a_user_is_no_harm_where_no_login_is_asked_for(etcd_server: Serve) -> None:
    bus = await etcd_server().connect(user="emco", password="geheim")
    await bus.put(BASE, b"")
    await bus.close()


async def test_an_unknown_token_is_renewed_once_for_all_callers(etcd_server: Serve) -> None:
    server = with_users(etcd_server())
    bus = await server.connect(user="emco", password="geheim")
    methods = bus._connection._methods[0]
    authenticate, logins = methods.authenticate, 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal logins
        logins += 1
        return authenticate(*arguments, **named)

    methods.authenticate = counted
    bus._connection._token = "forgotten.1"
    await asyncio.gather(*(bus.put(f"{BASE}{number}", b"") for number in range(50)))
    assert logins == 1
    await bus.close()


@slow
async def test_an_expired_token_is_renewed(etcd_server: Serve) -> None:
    server = with_users(etcd_server(flags=["--auth-token-ttl=1"]))
    bus = await server.connect(user="emco", password="geheim")
    token = bus._connection._token
    async with asyncio.timeout(PATIENCE):
        while bus._connection._token == token:
            await asyncio.sleep(2.5)  # the server looks for expired tokens every second
            await bus.put(BASE, b"")
    await bus.close()


async def test_a_watch_logs_in_again_after_a_restart(etcd_server: Serve) -> None:
    server = with_users(etcd_server())
    bus = await server.connect(user="emco", password="geheim")
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE)) as watch:
        await anext(watch)
        await write_numbers(bus, 0, 10)
        assert numbers(await take(watch, 10)) == list(range(10))
        await restart(server)
        await write_numbers(bus, 10, 20)
        assert numbers(await take(watch, 10)) == list(range(10, 20))
    await bus.close()


async def test_authentication_may_be_switched_on_under_a_client(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect(user="emco", password="geheim")
    await bus.put(BASE, b"1")
    await asyncio.to_thread(with_users, server)
    await bus.put(BASE, b"2")
    await bus.close()


async def test_mutual_tls_takes_a_client_with_a_certificate(etcd_server: Serve) -> None:
    server = etcd_server(mutual_tls=True)
    bus = await server.connect()
    async with asyncio.timeout(PATIENCE), aclosing(bus.watch(BASE)) as watch:
        await anext(watch)
        await bus.put(BASE, b"1")
        assert len(await take(watch, 1)) == 1
    await bus.close()


async def test_mutual_tls_refuses_everyone_else(etcd_server: Serve) -> None:
    server = etcd_server(mutual_tls=True)
    assert server.tls is not None
    stranger = Authority.new("other-ca").issue("emco")
    strangers = [
        Tls(ca=server.tls.ca),
        Tls(ca=server.tls.ca, certificate=stranger.certificate, key=stranger.key),
        Tls(ca=Authority.new("other-ca").certificate, certificate=server.tls.certificate, key=server.tls.key),
    ]
    async with asyncio.timeout(PATIENCE):
        for tls in strangers:
            with pytest.raises(BusUnavailable):
                await server.connect(tls=tls, deadline=0.4)
        with pytest.raises(BusUnavailable):
            await EtcdBus.connect(server.endpoints, deadline=0.4)


# The process around us


def test_another_etcd_library_may_live_in_the_same_process() -> None:
    theirs = descriptor_pb2.FileDescriptorProto(name="rpc.proto", package="etcdserverpb")
    for name in ("RangeRequest", "WatchRequest", "ResponseHeader"):
        theirs.message_type.add(name=name)
    descriptor_pool.Default().AddSerializedFile(theirs.SerializeToString())


# Closing


async def test_closing_tells_waiting_callers_and_watches(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    watch = bus.watch(BASE)
    await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    server.freeze()
    reading = asyncio.ensure_future(bus.get(BASE))
    await asyncio.sleep(0.05)
    await bus.close()
    async with asyncio.timeout(PATIENCE):
        for task in (waiting, reading):
            with pytest.raises(BusUnavailable, match="closed"):
                await task
        with pytest.raises(BusUnavailable, match="closed"):
            await bus.get(BASE)
    server.thaw()


async def test_cancelling_a_caller_is_not_mistaken_for_closing(etcd_server: Serve) -> None:
    server = etcd_server()
    bus = await server.connect()
    server.freeze()
    reading = asyncio.ensure_future(bus.get(BASE))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    server.thaw()
    await bus.close()
