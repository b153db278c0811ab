"""Services behind https: whom emcoctl trusts, and how it says who it is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.unit.emcoctl.conftest import Ctl
from tests.unit.emcoctl.recorder import Recorder


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Recorder]:
    """A server that wants a certificate of its own authority; the files lie in ``pki``."""
    folder = tmp_path / "pki"
    folder.mkdir()
    authority = Authority.new("ca")
    (folder / "ca.pem").write_bytes(authority.certificate)
    for name in ("server", "client"):
        pair = authority.issue(name, hosts=["127.0.0.1"])
        (folder / f"{name}.pem").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    recorder = Recorder(tls=context)
    yield recorder
    recorder.close()


def configured(ctl: Ctl, secured: Recorder, *, path: str = "", **keys: str) -> None:
    lines = [
        f"  url: https://127.0.0.1:{secured.ports['orchestrator']}{path}",
        *(f"  {k}: {v}" for k, v in keys.items()),
    ]
    ctl.file("cfg.yaml", "orchestrator:\n" + "\n".join(lines) + "\n")


CLIENT = {"certFile": "pki/client.pem", "keyFile": "pki/client.key"}


def test_both_sides_prove_who_they_are(ctl: Ctl, secured: Recorder) -> None:
    configured(ctl, secured, path="/emco/v2/", caFile="pki/ca.pem", **CLIENT)

    assert ctl("get", "projects/p") == 0
    assert secured.lines == ["orchestrator GET /emco/v2/projects/p"]
    assert f"URL: https://127.0.0.1:{secured.ports['orchestrator']}/emco/v2/projects/p" in ctl.out


def test_a_server_whose_authority_is_not_known_is_not_spoken_to(ctl: Ctl, secured: Recorder) -> None:
    configured(ctl, secured, **CLIENT)

    assert ctl("get", "projects") == 4
    assert "certificate verify failed" in ctl.err
    assert secured.seen == []


def test_insecure_asks_for_no_authority(ctl: Ctl, secured: Recorder) -> None:
    configured(ctl, secured, insecure="true", **CLIENT)

    assert ctl("get", "projects") == 0


def test_without_its_certificate_a_client_is_turned_away(ctl: Ctl, secured: Recorder) -> None:
    configured(ctl, secured, caFile="pki/ca.pem")

    assert ctl("get", "projects") == 4
    assert secured.seen == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"caFile": "pki/gone.pem"}, "orchestrator.caFile: there is no file"),
        ({"caFile": "pki/client.key"}, "cannot be used"),
        ({"certFile": "pki/client.pem", "keyFile": "pki/server.key"}, "client.pem with the key"),
        ({"keyFile": "pki/client.key"}, "orchestrator.keyFile is set without orchestrator.certFile"),
        ({"insecure": "perhaps"}, "orchestrator.insecure must be true or false"),
        ({"url": "ftp://x"}, "orchestrator.url must be http://"),
    ],
)
def test_a_wrong_key_is_named(keys: dict[str, str], said: str, ctl: Ctl, secured: Recorder) -> None:
    configured(ctl, secured, **keys)
    if "url" in keys:
        ctl.file("cfg.yaml", f"orchestrator: {{url: '{keys['url']}'}}\n")

    assert ctl("get", "projects") == 1
    assert said in ctl.err
