"""Servers and clients of gRPC with real certificates: who comes through, and what the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import structlog
from grpc import aio

from emco_common.rpc.channels import Channels, PeerUnreachable, PeerUntrusted
from emco_common.rpc.serving import GrpcServer
from emco_common.rpc.tls import client_tls, server_credentials
from emco_common.settings import Settings
from tests.support.certificates import Authority
from tests.support.grpctls import NAMES, Pki
from tests.support.program import free_ports

OURS = Authority.new("ours")
THEIRS = Authority.new("theirs")
PATIENCE = 10.0
"""Far more than it takes: what waits for it fails the test."""


def settings(pki: Pki | None, mode: str, *, server_name: str = "") -> Settings:
    return Settings.load("test", {}, **(pki.settings(mode, server_name=server_name) if pki else {}))


def pki(
    folder: Path, authority: Authority = OURS, *, hosts: Sequence[str] = NAMES, ends_in: timedelta = timedelta(days=90)
) -> Pki:
    return Pki.made(folder, authority, authority.issue("emco", hosts=hosts, ends_in=ends_in))


class Stubborn:
    """Answers a word, and streams for as long as it is listened to."""

    def register(self, server: aio.Server) -> None:
        methods = {
            "Say": grpc.unary_unary_rpc_method_handler(self.say),
            "Stream": grpc.unary_stream_rpc_method_handler(self.stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", methods),))

    async def say(self, request: bytes, context: aio.ServicerContext) -> bytes:
        return bytes(context.auth_context().get("x509_common_name", [b""])[0])

    async def stream(self, request: bytes, context: aio.ServicerContext) -> AsyncIterator[bytes]:
        for number in range(1_000_000):
            yield str(number).encode()
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(own: Settings) -> AsyncIterator[int]:
    server = GrpcServer("127.0.0.1", 0, Stubborn().register, credentials=server_credentials(own))
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(own: Settings, *, patience: float = PATIENCE) -> AsyncIterator[Channels]:
    channels = Channels(connect_timeout=patience, credentials=client_tls(own))
    try:
        yield channels
    finally:
        await channels.close()


async def said(channels: Channels, port: int, host: str = "127.0.0.1") -> str:
    """The name that the server has for us."""
    channel = await channels.ready(host, port)
    answer: bytes = await channel.unary_unary("/test/Say")(b"")
    return answer.decode()


@pytest.mark.parametrize(("mode", "name"), [("off", ""), ("tls", ""), ("mtls", "emco")])
async def test_both_sides_of_one_mind_understand_one_another(mode: str, name: str, tmp_path: Path) -> None:
    own = settings(pki(tmp_path), mode)
    async with served(own) as port, calling(own) as channels:
        assert await said(channels, port) == name
        assert await said(channels, port, "localhost") == name


async def test_another_name_may_be_expected(tmp_path: Path) -> None:
    server = settings(pki(tmp_path, hosts=["rsync"]), "mtls")
    async with served(server) as port, calling(settings(Pki(tmp_path), "mtls", server_name="rsync")) as channels:
        assert await said(channels, port) == "emco"


async def told(server: Settings, client: Settings) -> str:
    """Why no connection comes about, at once and once in the log."""
    async with served(server) as port, calling(client) as channels:
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(PeerUntrusted) as refused:
                    await channels.ready("127.0.0.1", port)
        events = [line for line in logs if line["event"] == "grpc_peer_not_trusted"]
        assert [line["reason"] for line in events] == [str(refused.value)]
        return str(refused.value).replace(f"127.0.0.1:{port}", "peer")


async def test_a_plain_client_is_told_that_the_server_speaks_tls(tmp_path: Path) -> None:
    own = pki(tmp_path)
    for mode in ("tls", "mtls"):
        reason = await told(settings(own, mode), settings(None, "off"))
        assert reason.startswith("peer speaks TLS, and we do not: grpc_tls ")


async def test_a_client_with_tls_is_told_that_the_server_does_not_speak_it(tmp_path: Path) -> None:
    assert "peer answers, but does not speak TLS" in await told(settings(None, "off"), settings(pki(tmp_path), "tls"))


async def test_a_server_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    server, client = pki(tmp_path / "s", THEIRS), pki(tmp_path / "c", OURS)
    reason = await told(settings(server, "tls"), settings(client, "tls"))
    assert reason == "the certificate of peer is not trusted: unable to get local issuer certificate"


async def test_a_server_of_another_name_is_not_believed(tmp_path: Path) -> None:
    own = pki(tmp_path, hosts=["rsync"])
    reason = await told(settings(own, "tls"), settings(own, "tls"))
    assert reason.startswith("the certificate of peer is for another name: ")
    assert "127.0.0.1" in reason
    other = await told(settings(own, "tls"), settings(own, "tls", server_name="dcm"))
    assert "not valid for 'dcm'" in other


async def test_a_client_without_a_certificate_is_not_let_in(tmp_path: Path) -> None:
    own = pki(tmp_path)
    reason = await told(settings(own, "mtls"), settings(own, "tls"))
    assert reason.startswith("peer wants a certificate of ours, and we show none: grpc_tls ")


async def test_a_client_of_another_authority_is_not_let_in(tmp_path: Path) -> None:
    server, client = pki(tmp_path / "s", OURS), pki(tmp_path / "c", THEIRS)
    client.put("ca.crt", OURS.certificate)
    reason = await told(settings(server, "mtls"), settings(client, "mtls"))
    assert reason.startswith("peer does not take our certificate, ")
    assert str(client.folder / "tls.crt") in reason


SHORT = timedelta(seconds=1.5)


async def test_a_certificate_that_is_over_is_not_believed_by_either_side(tmp_path: Path) -> None:
    """Both were good when the processes started."""
    good, brief = pki(tmp_path / "g"), pki(tmp_path / "b", ends_in=SHORT)
    brief_tls, good_tls = settings(brief, "mtls"), settings(good, "mtls")
    async with (
        served(brief_tls) as port,
        served(good_tls) as open_port,
        calling(good_tls) as channels,
        calling(brief_tls) as outdated,
    ):
        await asyncio.sleep(SHORT.total_seconds() + 0.7)
        with pytest.raises(PeerUntrusted, match="not trusted: certificate has expired"):
            await channels.ready("127.0.0.1", port)
        with pytest.raises(PeerUntrusted, match=f"does not take our certificate, {brief.folder}/tls.crt"):
            await outdated.ready("127.0.0.1", open_port)


@pytest.mark.parametrize("mode", ["off", "mtls"])
async def test_where_nobody_listens_nothing_is_said_of_certificates(mode: str, tmp_path: Path) -> None:
    [closed] = free_ports(1)
    async with calling(settings(pki(tmp_path), mode), patience=0.3) as channels:
        with pytest.raises(PeerUnreachable, match=f"nothing answers at 127.0.0.1:{closed}") as away:
            await channels.ready("127.0.0.1", closed)
    assert not isinstance(away.value, PeerUntrusted)


async def test_who_listens_and_says_nothing_is_not_waited_for_longer(tmp_path: Path) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, calling(settings(pki(tmp_path), "tls"), patience=0.3) as channels:
        with pytest.raises(PeerUnreachable, match="nothing answers"):
            await channels.ready("127.0.0.1", port)


async def test_certificates_are_exchanged_while_a_stream_goes_on(tmp_path: Path) -> None:
    server, client = pki(tmp_path / "s"), pki(tmp_path / "c")
    async with served(settings(server, "mtls")) as port, calling(settings(client, "mtls")) as channels:
        channel = await channels.ready("127.0.0.1", port)
        stream = channel.unary_stream("/test/Stream")(b"")
        before = int(await stream.read())

        # Everything moves to another authority: both are believed for a while.
        for one in (server, client):
            one.put("ca.crt", OURS.certificate + THEIRS.certificate)
        server.exchange(THEIRS.issue("new server", hosts=NAMES))
        client.exchange(THEIRS.issue("new client"))
        for one in (server, client):
            one.put("ca.crt", THEIRS.certificate)

        assert await said(channels, port) == "new client"
        async with calling(settings(pki(tmp_path / "old"), "mtls")) as old:
            with pytest.raises(PeerUntrusted, match="not trusted"):
                await old.ready("127.0.0.1", port)
        seen = [int(await stream.read()) for _ in range(20)]
        assert seen == list(range(before + 1, before + 21))
        stream.cancel()


async def test_what_cannot_be_used_is_not_taken_and_said_once(tmp_path: Path) -> None:
    own = pki(tmp_path)
    async with served(settings(own, "mtls")) as port, calling(settings(own, "mtls")) as channels:
        assert await said(channels, port) == "emco"
        with structlog.testing.capture_logs() as logs:
            own.put("tls.key", OURS.issue("other").key)
            for _ in range(3):
                assert await said(channels, port) == "emco"
            (own.folder / "tls.crt").unlink()
            for _ in range(3):
                assert await said(channels, port) == "emco"
        reasons = [line["reason"] for line in logs if line["event"] == "grpc_certificates_not_taken"]
        assert len(reasons) == 2
        assert "is not that of the certificate" in reasons[0]
        assert "cannot be read" in reasons[1]
        own.exchange(OURS.issue("again", hosts=NAMES))
        assert await said(channels, port) == "again"
