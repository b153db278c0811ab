"""Spec dcm 8.1, 8.2 and defects 8, 21, 22: certificates as clusters report them, and kubeconfigs made of them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from emco_dcm.issued import Certificate, Observed, Stage, best, observed
from emco_dcm.kubeconfig import Credentials, certificate_in, dump, merged, user_kubeconfig, way_of
from emco_dcm.privatekey import KeyType, new_key, public_key, signing_request
from emco_simcluster.tls import Authority

NOW = datetime(2026, 5, 1, tzinfo=UTC)
APPROVED = {"type": "Approved", "status": "True"}
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()


def status(*requests: Any) -> str:
    return json.dumps({"ready": False, "csrStatuses": list(requests)}, separators=(",", ":"))


def request(name: str = "ours", *conditions: Any, certificate: Any = None) -> Any:
    said = {"conditions": list(conditions)} | ({"certificate": certificate} if certificate is not None else {})
    return {"metadata": {"name": name}, "status": said}


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        (None, Stage.NO_STATUS),
        ("", Stage.NO_STATUS),
        ("{", Stage.UNREADABLE),
        ("[]", Stage.NO_REQUEST),
        ("{}", Stage.NO_REQUEST),
        (status(), Stage.NO_REQUEST),
        (status(request("another", APPROVED, certificate=PEM)), Stage.NO_REQUEST),
        (status({"metadata": {"name": "ours"}}), Stage.NOT_APPROVED),
        (status(request()), Stage.NOT_APPROVED),
        (status(request("ours", APPROVED)), Stage.NOT_ISSUED),
        (status(request("ours", APPROVED, certificate="")), Stage.NOT_ISSUED),
        (status(request("ours", APPROVED, certificate="%")), Stage.UNREADABLE),
        (status(request("ours", APPROVED, {"type": "Failed"}, certificate=PEM)), Stage.FAILED),
        (status(request("ours", {"type": "Denied"})), Stage.DENIED),
        (status(request("another"), request("ours", APPROVED, certificate=PEM)), Stage.ISSUED),
    ],
)
def test_a_request_is_as_far_as_its_cluster_says(text: str | None, stage: Stage) -> None:
    assert observed(text, "ours").stage is stage


def test_a_refusal_keeps_what_the_cluster_says_of_it() -> None:
    seen = observed(status(request("ours", {"type": "Denied", "message": "not in this house"})), "ours")

    assert str(seen) == "the signing request was denied: not in this house"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["csrStatuses", "metadata", "name", "status", "conditions", "type"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_cluster_reports_is_read_without_harm(report: Any) -> None:
    assert isinstance(observed(json.dumps({"csrStatuses": report}), "ours"), Observed)


@pytest.mark.parametrize(("day", "due"), [(0, False), (59, False), (61, True), (89, True), (120, True)])
def test_the_next_certificate_is_due_in_the_last_third(day: int, due: bool) -> None:
    certificate = Certificate(b"", NOW, NOW + timedelta(days=90))

    assert certificate.is_due(NOW + timedelta(days=day)) is due


def test_the_best_certificate_is_ours_valid_and_lasts_longest() -> None:
    key, other = new_key(KeyType.ECDSA), new_key(KeyType.ECDSA)
    authority, now = Authority("ca"), datetime.now(UTC)
    ours, foreign = signing_request(key, user="bob"), signing_request(other, user="bob")
    short, long = (authority.sign(ours, valid=timedelta(days=days)) for days in (1, 2))
    ended = authority.sign(ours, valid=timedelta(minutes=-1))
    stranger = authority.sign(foreign, valid=timedelta(days=9))

    found = best([b"", b"nonsense", ended, short, stranger, long], key=public_key(key), now=now)

    assert found is not None
    assert found.pem == long
    assert best([ended, stranger], key=public_key(key), now=now) is None


@pytest.mark.parametrize(
    ("kind", "begins"),
    [(KeyType.RSA, b"-----BEGIN RSA PRIVATE KEY-----"), (KeyType.ECDSA, b"-----BEGIN EC PRIVATE KEY-----")],
)
def test_keys_are_traditional_pem_and_requests_are_signed_with_them(kind: KeyType, begins: bytes) -> None:
    key = new_key(kind)

    request = x509.load_pem_x509_csr(signing_request(key, user="bob"))

    assert key.startswith(begins)
    assert request.is_signature_valid
    assert request.public_key() == public_key(key)
    assert [attribute.value for attribute in request.subject] == ["bob"]


def admin(**cluster: Any) -> bytes:
    way = {"server": "https://right:6443", **cluster}
    document = {
        "clusters": [{"name": "first", "cluster": {"server": "https://wrong"}}, {"name": "second", "cluster": way}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "second", "user": "u"}}],
        "current-context": "x",
    }
    return yaml.safe_dump(document).encode()


@pytest.mark.parametrize(
    "cluster",
    [
        {"certificate-authority-data": base64.b64encode(b"ca").decode()},
        {"certificate-authority-data": base64.b64encode(b"ca").decode(), "tls-server-name": "api.internal"},
        {"insecure-skip-tls-verify": True},
    ],
)
def test_the_way_to_the_cluster_is_that_of_the_current_context_of_its_registration(cluster: dict[str, Any]) -> None:
    made = user_kubeconfig(way_of(admin(**cluster)), Credentials("bob", b"cert", b"key"), reference="r", namespace="ns")

    assert made["clusters"] == [{"cluster": {"server": "https://right:6443", **cluster}, "name": "r"}]


def test_what_was_made_can_be_read_again() -> None:
    way = way_of(admin(**{"certificate-authority-data": base64.b64encode(b"ca").decode()}))
    one, two = (
        user_kubeconfig(way, Credentials("bob", name.encode(), b"key"), reference=name, namespace="ns")
        for name in ("a", "b")
    )

    assert certificate_in(dump(one)) == b"a"
    assert certificate_in(dump(merged([two, one]))) == b"b"
    assert [context["name"] for context in merged([one, two])["contexts"]] == ["bob@a", "bob@b"]
