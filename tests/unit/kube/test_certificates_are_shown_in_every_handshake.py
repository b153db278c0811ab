"""Certificates are in memory for handshakes only, and are there for each of them, whatever TLS the server speaks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emco_common.kube import Kubeconfig
from emco_common.kube.network import Network
from emco_common.kube.wire import Endpoint, Wire, connect
from emco_simcluster.tls import Authority, User, server_context

AUTHORITY, STRANGER = Authority("ours"), Authority("another")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@asynccontextmanager
async def server(version: ssl.TLSVersion) -> AsyncIterator[int]:
    """The port of one that asks for a certificate and sends back what comes."""
    context = server_context(AUTHORITY, hosts=["127.0.0.1"])
    context.maximum_version, context.verify_mode = version, ssl.CERT_REQUIRED

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context) as running:
        yield running.sockets[0].getsockname()[1]


class Echo:
    def __init__(self) -> None:
        self.heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def received(self, data: bytes) -> None:
        self.heard.set_result(data)

    def lost(self, error: Exception | None) -> None:
        if not self.heard.done():
            self.heard.set_result(error)


async def said(wire: Wire) -> object:
    """What comes back of a greeting: itself, or why not."""
    echo = Echo()
    wire.attach(echo)
    wire.write(b"hello")
    async with asyncio.timeout(10):
        return await echo.heard


def to(
    port: int, network: Network, *, trusting: Authority = AUTHORITY, shown: Authority | None = AUTHORITY
) -> Endpoint:
    pair = shown.client(User("u")) if shown is not None else None
    kubeconfig = Kubeconfig(
        server=f"https://127.0.0.1:{port}",
        ca_data=trusting.certificate,
        client_certificate=pair.certificate if pair else None,
        client_key=pair.key if pair else None,
    )
    return Endpoint("127.0.0.1", port, tls=network.tls(kubeconfig))


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_every_connection_shows_its_certificate_and_may_go_on_with_a_session(version: ssl.TLSVersion) -> None:
    network, resumed = Network(), []
    async with server(version) as port:
        endpoint, session = to(port, network), None
        for _ in range(3):
            wire = await connect(endpoint, buffer=network.buffer, session=session)
            assert await said(wire) == b"hello"
            resumed.append(wire.resumed)
            session = wire.session
            wire.close()
        wire = await connect(endpoint, buffer=network.buffer)
        assert await said(wire) == b"hello"
        wire.close()
    assert resumed == [False, True, True]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_who_shows_nothing_or_what_another_authority_signed_is_refused(version: ssl.TLSVersion) -> None:
    network = Network()
    async with server(version) as port:
        assert await answered(to(port, network), network) == b"hello"
        for shown in (None, STRANGER):
            assert isinstance(await answered(to(port, network, shown=shown), network), OSError)


async def answered(endpoint: Endpoint, network: Network) -> object:
    """The server may refuse in the handshake or after it."""
    try:
        wire = await connect(endpoint, buffer=network.buffer)
    except OSError as error:
        return error
    answer = await said(wire)
    wire.close()
    return answer


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_a_server_that_another_authority_signed_is_not_trusted_with_others_in_the_same_process(
    version: ssl.TLSVersion,
) -> None:
    network = Network()
    async with server(version) as port:
        trusted = await connect(to(port, network), buffer=network.buffer)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(to(port, network, trusting=STRANGER), buffer=network.buffer)
        assert await said(trusted) == b"hello"
        trusted.close()
