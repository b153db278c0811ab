"""What an HTTP/2 server may do that no well-behaved one does: each time an error in time, and nothing that grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from emco_common.kube import Kind, KubeClient, Kubeconfig, Ref, errors, frames, http2
from emco_common.kube.exchange import MAX_UNREAD
from emco_common.kube.frames import frame
from emco_common.kube.stream import Stream
from emco_simcluster.tls import Authority
from tests.unit.kube.front import h2_context

CONFIG_MAP = Kind("v1", "ConfigMap")
AUTHORITY = Authority("hostile")
SETTINGS = frame(frames.SETTINGS, 0, 0)
OK = b"\x88"
"""The header block of ``:status: 200``."""
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(behaviour: Behaviour, *, timeout: float = 5.0) -> AsyncIterator[KubeClient]:
    """A client of a server that, once the first request has come, does what it likes."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            writer.write(SETTINGS)
            await reader.readuntil(b"/api")
            await behaviour(reader, writer)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=h2_context(AUTHORITY))
    address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with KubeClient(Kubeconfig(server=address, ca_data=AUTHORITY.certificate), timeout=timeout) as client:
        yield client
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def repeated(data: bytes, *, times: int = 100_000) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times // 100):
            writer.write(data * 100)
            await writer.drain()

    return behave


@pytest.mark.parametrize(
    ("what", "data", "text"),
    [
        ("settings", SETTINGS, "flood"),
        ("pings", frame(frames.PING, 0, 0, bytes(8)), "flood"),
        ("windows", frame(frames.WINDOW_UPDATE, 0, 0, (0).to_bytes(4)), "window"),
        ("empty data", frame(frames.HEADERS, frames.END_HEADERS, 1, OK) + frame(frames.DATA, 0, 1), "flood"),
        ("interim answers", frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x08\x03100"), "flood"),
        ("unknown frames", frame(0x77, 0, 0, b"x"), "flood"),
        ("a window that was not opened", frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), "window"),
        ("pushes", frame(frames.PUSH_PROMISE, 4, 1, bytes(4) + OK), "push"),
        ("streams nobody opened", frame(frames.HEADERS, frames.END_HEADERS, 99, OK), "nobody opened"),
        ("nonsense", b"HTTP/1.1 400 Bad Request\r\n\r\n", "breaks HTTP/2"),
        ("too large frames", (2**20).to_bytes(3) + frame(frames.DATA, 0, 1)[3:], "a frame of 1048576 bytes"),
        ("broken headers", frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), "headers"),
        ("a body before its headers", frame(frames.DATA, 0, 1, b"x"), "before its headers"),
        ("no status", frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x00\x01a\x01b"), "without a status"),
    ],
)
async def test_a_server_that_sends_only_noise_is_given_up(what: str, data: bytes, text: str) -> None:
    async with hostile(repeated(data)) as client:
        with pytest.raises(errors.Unreachable, match=text):
            await client.resource(CONFIG_MAP)


async def test_headers_without_end_are_given_up() -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(frames.HEADERS, 0, 1, OK))
        while True:
            writer.write(frame(frames.CONTINUATION, 0, 1, b"\x00\x01a\x7f\x80\x7f" + bytes(1000)))
            await writer.drain()

    async with hostile(behave) as client:
        with pytest.raises(errors.Unreachable, match="headers of more than"):
            await client.resource(CONFIG_MAP)


async def test_headers_that_unpack_to_much_are_given_up() -> None:
    kept = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
    block = OK + kept + b"\xbe" * 3000

    async with hostile(repeated(frame(frames.HEADERS, frames.END_HEADERS, 1, block), times=100)) as client:
        with pytest.raises(errors.Unreachable, match="headers"):
            await client.resource(CONFIG_MAP)


def test_no_more_is_kept_than_was_allowed() -> None:
    class Owner:
        def give_up(self, stream: Stream, code: int) -> None: ...

        def consumed(self, stream: Stream, size: int) -> None: ...

    stream = Stream(Owner(), 1, window=0)
    stream.headers(200, None)
    stream.data(bytes(MAX_UNREAD), counted=MAX_UNREAD)
    with pytest.raises(frames.Malformed, match="more than was allowed"):
        stream.data(b"x", counted=1)


async def test_a_window_that_is_never_opened_ends_at_the_deadline() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resources = b'{"resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true}]}'
        for number in (1, 3, 5):
            body = resources if number == 5 else b"{}"
            if number == 5:
                await reader.readuntil(b"/api/v1")
            writer.write(frame(frames.HEADERS, frames.END_HEADERS, number, OK))
            writer.write(frame(frames.DATA, frames.END_STREAM, number, body))

    async with hostile(behave, timeout=0.3) as client:
        await client.resource(CONFIG_MAP)
        large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "y" * 200_000}}
        with pytest.raises(errors.Unreachable, match=r"within 0\.3 s"):
            await client.apply(large, manager="m")


async def test_a_server_that_does_not_read_our_answers_does_not_make_them_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http2, "MAX_NOISE", 10**9)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        while True:
            writer.write(frame(frames.PING, 0, 0, bytes(8)) * 1_000)
            await writer.drain()

    async with hostile(behave, timeout=60) as client:
        with pytest.raises(errors.Unreachable, match="does not read"):
            await client.resource(CONFIG_MAP)


@pytest.mark.parametrize("code", [frames.REFUSED_STREAM, frames.INTERNAL_ERROR])
async def test_a_stream_that_is_always_reset_is_an_error(code: int) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(1, 100, 2):
            writer.write(frame(frames.RST_STREAM, 0, number, code.to_bytes(4)))
            await asyncio.sleep(0.005)

    async with hostile(behave) as client:
        with pytest.raises(errors.Unreachable):
            await client.get(Ref(CONFIG_MAP, "x", "n"))


async def test_a_server_that_takes_no_exchanges_is_late() -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(frames.SETTINGS, 0, 0, frames.settings([(frames.MAX_CONCURRENT_STREAMS, 0)])))
        for number in (1, 3):
            writer.write(frame(frames.RST_STREAM, 0, number, frames.REFUSED_STREAM.to_bytes(4)))

    async with hostile(behave, timeout=0.5) as client:
        with pytest.raises(errors.Unreachable):
            await client.resource(CONFIG_MAP)
