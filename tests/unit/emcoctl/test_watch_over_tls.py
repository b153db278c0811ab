"""``watch`` of a port that speaks TLS: whom emcoctl believes there, and how it says who it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from emco_common.rpc import statusnotify_pb2 as messages
from emco_common.rpc import statusnotify_pb2_grpc as stubs
from tests.support.certificates import Authority
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.test_watch import GROUP, Status, notifications

CLIENT = "statusCertFile: pki/client.pem, statusKeyFile: pki/client.key"
CA = "statusCaFile: pki/ca.pem"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server called `rsync` and 127.0.0.1 that wants a certificate of its own authority; the files lie in ``pki``."""
    folder = tmp_path / "pki"
    folder.mkdir()
    authority = Authority.new("ca")
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "other.pem").write_bytes(Authority.new("other").certificate)
    server_pair = authority.issue("server", hosts=["127.0.0.1", "orchestrator"])
    client_pair = authority.issue("client")
    (folder / "client.pem").write_bytes(client_pair.certificate)
    (folder / "client.key").write_bytes(client_pair.key)
    (folder / "server.key").write_bytes(server_pair.key)
    credentials = grpc.ssl_server_credentials(
        [(server_pair.key, server_pair.certificate)], authority.certificate, require_client_auth=True
    )
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_StatusNotifyServicer_to_server(Status([notifications(messages.READY)]), server)
    number = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield number
    server.stop(None)


def configured(ctl: Ctl, port: int, keys: str) -> None:
    ctl.file("cfg.yaml", f"orchestrator: {{host: 127.0.0.1, statusPort: {port}, {keys}}}\n")


@pytest.mark.parametrize(
    "keys",
    [
        f"statusTls: true, {CA}, {CLIENT}",
        f"statusTls: 'true', {CA}, {CLIENT}, statusServerName: orchestrator",
        "statusTls: true, caFile: pki/ca.pem, certFile: pki/client.pem, keyFile: pki/client.key",
    ],
)
def test_both_sides_prove_who_they_are(keys: str, ctl: Ctl, port: int) -> None:
    configured(ctl, port, keys)

    assert ctl("watch", GROUP) == 3
    assert ctl.out.splitlines()[1:] == ['{"statusValue":"READY"}']


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("statusTls: false", "speaks TLS, and we do not"),
        (f"statusTls: true, {CA}", "wants a certificate of ours, and we show none"),
        (f"statusTls: true, {CLIENT}", "is not trusted: unable to get local issuer certificate"),
        (f"statusTls: true, statusCaFile: pki/other.pem, {CLIENT}", "is not trusted"),
        (f"statusTls: true, {CA}, {CLIENT}, statusServerName: dcm", "is for another name: Hostname mismatch"),
    ],
)
def test_what_does_not_fit_is_told_at_once(keys: str, said: str, ctl: Ctl, port: int) -> None:
    configured(ctl, port, keys)

    assert ctl("watch", GROUP, "--timeout", "20") == 1
    assert said in ctl.err
    assert "check orchestrator.statusTls" in ctl.err
    assert "READY" not in ctl.out


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("statusTls: perhaps", "orchestrator.statusTls must be true or false"),
        (CA, "orchestrator.statusTls is not true"),
        ("statusTls: true, statusCaFile: pki/gone.pem", "orchestrator.statusCaFile: there is no file"),
        ("statusTls: true, statusCaFile: pki/client.key", "orchestrator.statusCaFile: there is no certificate in PEM"),
        ("statusTls: true, statusKeyFile: pki/client.key", "statusKeyFile is set without orchestrator.statusCertFile"),
        (
            "statusTls: true, statusCertFile: pki/client.pem, statusKeyFile: pki/server.key",
            "orchestrator.statusKeyFile: the key in",
        ),
    ],
)
def test_a_wrong_key_is_named(keys: str, said: str, ctl: Ctl, port: int) -> None:
    configured(ctl, port, keys)

    assert ctl("watch", GROUP) == 1
    assert said in ctl.err
