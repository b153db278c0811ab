"""What is wrong with the certificates of gRPC is said at the start, by setting and file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from emco_common.rpc.certificates import File, Files, Kept
from emco_common.rpc.tls import client_tls, server_credentials
from emco_common.settings import BadSettings, Settings
from tests.support.certificates import Authority, KeyPair
from tests.support.grpctls import NAMES, Pki

OURS = Authority.new("ours")
PAIR = OURS.issue("emco", hosts=NAMES, ends_in=timedelta(days=90))
OVER = timedelta(hours=-1)


def _encrypted(pair: KeyPair) -> bytes:
    key = load_pem_private_key(pair.key, password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def _folder(pki: Pki) -> None:
    (pki.folder / "tls.key").unlink()
    (pki.folder / "tls.key").mkdir()


def _only_for(use: str) -> Callable[[Pki], None]:
    uses = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    return lambda pki: pki.exchange(OURS.issue("emco", hosts=NAMES, uses=[uses[use]]))


WRONG: dict[str, tuple[str, Callable[[Pki], object], str, str, str]] = {
    "no certificate": ("tls", lambda pki: (pki.folder / "tls.crt").unlink(), "cert", "tls.crt", "No such file"),
    "no key": ("mtls", lambda pki: (pki.folder / "tls.key").unlink(), "key", "tls.key", "No such file"),
    "no authority": ("mtls", lambda pki: (pki.folder / "ca.crt").unlink(), "ca", "ca.crt", "No such file"),
    "a folder": (
        "tls",
        _folder,
        "key",
        "tls.key",
        "cannot be read: Is a directory",
    ),
    "no text of ours": ("tls", lambda pki: pki.put("tls.crt", b"hello"), "cert", "tls.crt", "no certificate in PEM"),
    "a key for a certificate": (
        "tls",
        lambda pki: pki.put("tls.crt", PAIR.key),
        "cert",
        "tls.crt",
        "no certificate in PEM",
    ),
    "a certificate for a key": (
        "tls",
        lambda pki: pki.put("tls.key", PAIR.certificate),
        "key",
        "tls.key",
        "no private key in PEM",
    ),
    "an empty authority": ("mtls", lambda pki: pki.put("ca.crt", b""), "ca", "ca.crt", "no certificate in PEM"),
    "an encrypted key": ("tls", lambda pki: pki.put("tls.key", _encrypted(PAIR)), "key", "tls.key", "is encrypted"),
    "another key": (
        "tls",
        lambda pki: pki.put("tls.key", OURS.issue("x").key),
        "key",
        "tls.key",
        "is not that of the certificate in",
    ),
    "a certificate that is over": (
        "tls",
        lambda pki: pki.exchange(OURS.issue("emco", hosts=NAMES, ends_in=OVER)),
        "cert",
        "tls.crt",
        "expired on",
    ),
    "one for clients": ("tls", _only_for("client"), "cert", "tls.crt", "is not made for a server"),
}


def _loaded(environment: dict[str, str]) -> Settings:
    return Settings.load("rsync", environment)


@pytest.mark.parametrize("case", WRONG)
def test_a_server_does_not_start_with(case: str, tmp_path: Path) -> None:
    mode, spoil, setting, name, said = WRONG[case]
    pki = Pki.made(tmp_path, OURS, PAIR)
    spoil(pki)
    with pytest.raises(BadSettings) as refused:
        server_credentials(_loaded(pki.environment(mode)))
    assert str(refused.value).startswith(f"setting grpc_{setting}_file: ")
    assert str(tmp_path / name) in str(refused.value)
    assert said in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_a_client_does_not_start_with_a_certificate_for_servers(tmp_path: Path) -> None:
    pki = Pki.made(tmp_path, OURS, PAIR)
    _only_for("server")(pki)
    server_credentials(_loaded(pki.environment("mtls")))
    with pytest.raises(BadSettings, match="is not made for a client"):
        client_tls(_loaded(pki.environment("mtls")))


@pytest.mark.parametrize(
    ("mode", "missing", "of"),
    [
        ("tls", "grpc_cert_file", server_credentials),
        ("tls", "grpc_key_file", server_credentials),
        ("mtls", "grpc_ca_file", server_credentials),
        ("tls", "grpc_ca_file", client_tls),
        ("mtls", "grpc_cert_file", client_tls),
    ],
)
def test_what_is_not_set_is_named(mode: str, missing: str, of: Callable[[Settings], object], tmp_path: Path) -> None:
    environment = Pki.made(tmp_path, OURS, PAIR).environment(mode)
    del environment[f"EMCO_{missing.upper()}"]
    with pytest.raises(BadSettings, match=f"setting {missing}: it is not set, and with grpc_tls={mode} "):
        of(_loaded(environment))


def test_a_client_of_tls_needs_no_certificate_and_off_needs_nothing(tmp_path: Path) -> None:
    pki = Pki.made(tmp_path, OURS, PAIR)
    assert client_tls(_loaded({"EMCO_GRPC_TLS": "tls", "EMCO_GRPC_CA_FILE": str(pki.folder / "ca.crt")})) is not None
    off = _loaded({"EMCO_GRPC_CERT_FILE": "/nowhere"})
    assert (client_tls(off), server_credentials(off)) == (None, None)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(BadSettings, match="setting grpc_tls: "):
        _loaded({"EMCO_GRPC_TLS": "on"})


@pytest.mark.parametrize(
    ("word", "mode"),
    [("enable", "tls"), ("Enabled", "tls"), ("enable-mtls", "mtls"), ("disable", "off"), ("", "off"), ("off", "off")],
)
def test_config_json_means_what_it_means_to_the_original(word: str, mode: str, tmp_path: Path) -> None:
    names = {
        "grpc-enable-tls": word,
        "grpc-ca-file": "ca",
        "grpc-server-cert": "cert",
        "grpc-server-key": "key",
        "grpc-server-name-override": "name",
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(names))
    found = Settings.load("clm", {}, config=config)
    assert found.grpc_tls == mode
    files = (found.grpc_ca_file, found.grpc_cert_file, found.grpc_key_file, found.grpc_server_name)
    assert files == ("ca", "cert", "key", "name")
    assert Settings.load("clm", {"EMCO_GRPC_TLS": "mtls"}, config=config).grpc_tls == "mtls"


@pytest.mark.parametrize("value", ["yes", "true", True, 1])
def test_a_word_that_the_original_would_take_for_no_is_refused(value: object, tmp_path: Path) -> None:
    """Who writes it wants TLS, and would have had none."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"grpc-enable-tls": value}))
    with pytest.raises(BadSettings, match="grpc-enable-tls"):
        Settings.load("clm", {}, config=config)


def test_the_end_is_spoken_of_two_weeks_ahead_and_once_a_day(tmp_path: Path) -> None:
    pki = Pki.made(tmp_path, OURS, PAIR)
    pair = File("grpc_cert_file", str(pki.folder / "tls.crt")), File("grpc_key_file", str(pki.folder / "tls.key"))
    now = datetime.now(UTC)
    with structlog.testing.capture_logs() as logs:
        kept = Kept(Files(pair), clock=lambda: now)
        assert logs == []
        begun = now
        for hours in (0, 5, 24, 30, 48):
            now = begun + timedelta(days=77, hours=hours)
            kept.look()
    assert [(line["event"], line["days"]) for line in logs] == [
        ("grpc_certificate_ends", 12),
        ("grpc_certificate_ends", 11),
        ("grpc_certificate_ends", 10),
    ]
    assert {(line["setting"], line["file"]) for line in logs} == {("grpc_cert_file", str(tmp_path / "tls.crt"))}


def test_a_key_is_in_no_text(tmp_path: Path) -> None:
    kept = Kept(
        Files((File("a", str(tmp_path / "tls.crt")), File("b", str(Pki.made(tmp_path, OURS, PAIR).folder / "tls.key"))))
    )
    secret = PAIR.key.decode().splitlines()[1]
    assert secret not in repr(kept.material) + str(kept.material) + repr(vars(kept))
