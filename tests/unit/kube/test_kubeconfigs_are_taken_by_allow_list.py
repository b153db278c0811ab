from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_common.kube import BadKubeconfig, Policy, parse_kubeconfig
from tests.unit.kube.certs import NOW, b64, certificate_pem, config, key_pem, new_key, text

CANARY = "canary-5b1f0c"


def parse(content: bytes | str, *, policy: Policy | None = None) -> Any:
    return parse_kubeconfig(content, policy=policy, now=lambda: NOW)


def refusal(content: bytes | str, *, policy: Policy | None = None) -> str:
    with pytest.raises(BadKubeconfig) as caught:
        parse(content, policy=policy)
    assert caught.value.status == 400
    return str(caught.value)


def test_the_current_context_is_read() -> None:
    parsed = parse(text(config()))
    assert parsed.server == "https://203.0.113.10:6443"
    assert parsed.namespace == "ns"
    assert parsed.ca_data.startswith(b"-----BEGIN CERTIFICATE")
    assert parsed.client_key.startswith(b"-----BEGIN PRIVATE KEY")
    assert parsed.verify


def test_text_and_json_are_read_as_well() -> None:
    import json

    assert parse(json.dumps(config())).namespace == "ns"


def test_a_single_context_needs_no_current_context() -> None:
    document = config()
    del document["current-context"]
    assert parse(text(document)).namespace == "ns"


def test_a_token_or_a_name_and_password_do() -> None:
    no_certificate = {"client-certificate-data": None, "client-key-data": None}
    assert parse(text(config(user={**no_certificate, "token": "t"}))).token == "t"
    basic = parse(text(config(user={**no_certificate, "username": "n", "password": "p"})))
    assert (basic.username, basic.password) == ("n", "p")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("exec", {"command": "sh", "apiVersion": "client.authentication.k8s.io/v1"}),
        ("auth-provider", {"name": "gcp"}),
        ("tokenFile", "/var/run/secrets/token"),
        ("client-certificate", "/etc/client.crt"),
        ("client-key", "/etc/client.key"),
        ("as", "system:admin"),
        ("as-groups", ["system:masters"]),
        ("surprise", "x"),
    ],
)
def test_a_user_may_only_hold_inline_data(field: str, value: object) -> None:
    message = refusal(text(config(user={field: value})))
    assert f"users[u].user.{field}:" in message
    assert "kubectl config view" in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("certificate-authority", "/etc/ca.crt"),
        ("proxy-url", "http://proxy:3128"),
        ("insecure-skip-tls-verify", True),
        ("tls-server-name", "elsewhere"),
        ("surprise", "x"),
    ],
)
def test_a_cluster_may_only_hold_inline_data(field: str, value: object) -> None:
    assert f"clusters[c].cluster.{field}:" in refusal(text(config(cluster={field: value})))


def test_entries_that_are_not_in_use_are_checked_too() -> None:
    document = config()
    document["users"].append({"name": "other", "user": {"exec": {"command": "sh"}}})
    assert "users[other].user.exec" in refusal(text(document))


def test_the_operator_may_opt_in_to_an_unchecked_server() -> None:
    document = config(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": None})
    assert not parse(text(document), policy=Policy(allow_insecure_tls=True)).verify
    assert parse(text(config(cluster={"insecure-skip-tls-verify": False}))).verify


def test_the_operator_may_opt_in_to_a_server_name_and_to_http() -> None:
    named = parse(text(config(cluster={"tls-server-name": "api"})), policy=Policy(allow_server_name=True))
    assert named.server_name == "api"
    plain = config(cluster={"server": "http://127.0.0.1:8080", "certificate-authority-data": None})
    assert "must be an https:// address" in refusal(text(plain))
    assert parse(text(plain), policy=Policy(allow_http=True)).server == "http://127.0.0.1:8080"


def test_the_operator_may_let_certificates_pass_unchecked() -> None:
    document = config(cluster={"certificate-authority-data": b64(b"fake")})
    assert "not a PEM certificate" in refusal(text(document))
    assert parse(text(document), policy=Policy(unchecked_certificates=True)).ca_data == b"fake"


def without(name: str) -> dict[str, Any]:
    document = config()
    del document[name]
    return document


def test_missing_parts_are_named() -> None:
    for name in ("clusters", "users", "contexts"):
        assert refusal(text(without(name))).startswith(f"{name}: missing or empty")
    assert "certificate-authority-data: missing" in refusal(text(config(cluster={"certificate-authority-data": None})))
    assert "client-key-data: missing" in refusal(text(config(user={"client-key-data": None})))
    assert "server: missing" in refusal(text(config(cluster={"server": None})))
    unknown_user = config()
    unknown_user["contexts"][0]["context"]["user"] = "nobody"
    assert "contexts[x].context.user:" in refusal(text(unknown_user))


def test_several_contexts_need_a_current_context() -> None:
    document = without("current-context")
    document["contexts"].append({"name": "y", "context": {"cluster": "c", "user": "u"}})
    assert refusal(text(document)).startswith("current-context: missing")
    assert "names a context" in refusal(text({**document, "current-context": "z"}))


def test_bad_certificates_are_told_apart() -> None:
    key, other = new_key(), new_key()
    good = b64(certificate_pem(key))
    old = b64(certificate_pem(key, until=NOW - timedelta(days=1)))
    cases = {
        "client-key-data: does not belong": {"client-certificate-data": good, "client-key-data": b64(key_pem(other))},
        "client-certificate-data: expired on 2026-05-31": {
            "client-certificate-data": old,
            "client-key-data": b64(key_pem(key)),
        },
        "client-key-data: the key is encrypted": {
            "client-certificate-data": good,
            "client-key-data": b64(key_pem(key, passphrase=b"x")),
        },
        "client-key-data: not a PEM": {"client-certificate-data": good, "client-key-data": b64(b"no key")},
        "client-certificate-data: not valid base64": {"client-certificate-data": "%%%"},
        "client-certificate-data: not a PEM": {"client-certificate-data": b64(b"no certificate")},
    }
    for expected, user in cases.items():
        assert expected in refusal(text(config(user=user)))
    expired_ca = b64(certificate_pem(new_key(), until=NOW - timedelta(days=1)))
    assert "certificate-authority-data: expired" in refusal(
        text(config(cluster={"certificate-authority-data": expired_ca}))
    )


@pytest.mark.parametrize(
    "server",
    [
        "203.0.113.10",
        "https://",
        "https://user:pw@host",
        "file:///etc/passwd",
        "https://h:99999",
        "https://h/?a=b",
        "https://a b",
        "gopher://h",
    ],
)
def test_a_server_address_that_is_none_is_refused(server: str) -> None:
    message = refusal(text(config(cluster={"server": server})))
    assert "clusters[c].cluster.server:" in message
    assert "pw" not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"a: [", "not valid YAML in line"),
        (b"- 1", "must be a mapping"),
        (b"", "must be a mapping"),
        (b"a: &x [1]\nb: [*x, *x]", "aliases"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
        (b"a: 1\n---\nb: 2", "one YAML document"),
        (b"a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"x" * 1_000_001, "larger than"),
        (b"a: b\x00c", "not valid YAML"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(content: bytes, expected: str) -> None:
    assert expected in refusal(content)


def test_values_of_a_wrong_type_are_named() -> None:
    assert "users[u].user.token: must be a string" in refusal(text(config(user={"token": 12345})))
    assert "printable" in refusal(text(config(user={"token": "a\r\nb"})))
    document = config()
    document["clusters"] = "c"
    assert "clusters: missing" in refusal(text(document))
    document["clusters"] = ["c"]
    assert "clusters[0].name" in refusal(text(document))


def test_secrets_are_neither_shown_nor_told() -> None:
    parsed = parse(text(config(user={"token": CANARY, "username": "n", "password": CANARY})))
    assert CANARY not in repr(parsed)
    assert "PRIVATE" not in repr(parsed)
    assert CANARY not in refusal(text(config(user={"token": [CANARY]})))
    assert CANARY not in refusal(f"token: {CANARY}\n  bad: [".encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_either_read_or_refused(content: bytes) -> None:
    with pytest.raises(BadKubeconfig):
        parse(content)
