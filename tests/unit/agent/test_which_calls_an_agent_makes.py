"""The agent itself decides what it does in its cluster, whoever sits at the other end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_agent.allowed import refusal
from emco_common.rpc.agents_pb2 import AgentRequest


def request(target: str, *, method: str = "GET", **more: str) -> AgentRequest:
    return AgentRequest(method=method, target=target, accept="application/json", **more)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/version"),
        ("GET", "/api"),
        ("GET", "/apis?x=%2F.."),
        ("GET", "/openapi/v3"),
        ("PATCH", "/api/v1/namespaces/shop/configmaps/proxy?fieldManager=emco-rsync&force=true"),
        ("GET", "/api/v1/namespaces/shop/pods/web/log?tailLines=20"),
        ("PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/retail/approval"),
        ("DELETE", "/api/v1/namespaces/proxy"),
        ("GET", "/api/v1/namespaces/token/serviceaccounts/token"),
        ("GET", "/apis/apps/v1/deployments?watch=true&labelSelector=a%3Db"),
    ],
)
def test_what_rsync_needs_is_done(method: str, target: str) -> None:
    assert refusal(request(target, method=method)) == ""


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("http://elsewhere/api", "path"),
        ("//elsewhere/api", "only paths below"),
        ("api/v1/pods", "path"),
        ("", "path"),
        ("/", "only paths below"),
        ("/metrics", "only paths below"),
        ("/logs/kube-apiserver.log", "only paths below"),
        ("/apiary", "only paths below"),
        ("/api/v1/../../metrics", "elsewhere"),
        ("/api/v1/%2e%2e/%2e%2e/metrics", "elsewhere"),
        ("/api/%252e%252e/metrics", "elsewhere"),
        ("/api/v1//pods", "elsewhere"),
        ("/api/v1/namespaces/a%2fb/pods", "elsewhere"),
        ("/api\\v1", "path"),
        ("/api/v1/pods#x", "path"),
        ("/api/v1/pods\r\nAuthorization: Bearer x", "path"),
        ("/api/v1/namespaces/shop/pods/web/exec?command=sh", "exec"),
        ("/api/v1/namespaces/shop/pods/web/attach", "attach"),
        ("/api/v1/namespaces/shop/pods/web/portforward", "portforward"),
        ("/api/v1/namespaces/shop/services/web:80/proxy/admin", "proxy"),
        ("/api/v1/nodes/n1/proxy/logs", "proxy"),
        ("/api/v1/namespaces/shop/serviceaccounts/admin/token", "token"),
        ("/api/" + "x" * 9000, "too long"),
    ],
)
def test_what_leads_elsewhere_is_refused(target: str, word: str) -> None:
    assert word in refusal(request(target))


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "get", "", "GET\r\n"])
def test_only_the_methods_of_the_api_are_used(method: str) -> None:
    assert "method" in refusal(request("/api", method=method))


@pytest.mark.robustness(31)
@pytest.mark.parametrize("user", ["system:admin", "system:masters", "system:kube-controller-manager"])
def test_nobody_acts_as_one_of_kubernetes_own_users(user: str) -> None:
    assert "own users" in refusal(request("/api", user=user))


@pytest.mark.parametrize(
    "more", [{"user": "a\r\nImpersonate-Group: system:masters"}, {"user": "ä"}, {"user": "x" * 300}]
)
def test_a_name_that_is_none_is_refused(more: dict[str, str]) -> None:
    assert "not a name" in refusal(request("/api", **more))


@pytest.mark.parametrize("header", ["a\r\nAuthorization: Bearer b", "a\nb", "\x00"])
def test_headers_hold_nothing_but_their_value(header: str) -> None:
    asked = AgentRequest(method="GET", target="/api", accept=header)
    assert "header" in refusal(asked)
    assert "header" in refusal(AgentRequest(method="GET", target="/api", accept="a", content_type=header))


@given(st.text(max_size=60))
def test_any_text_is_answered_and_what_passes_stays_within_the_api(text: str) -> None:
    for target in (text, f"/api/{text}", f"/apis/{text}"):
        if refusal(request(target)) == "":
            path = target.partition("?")[0]
            assert path.split("/")[1] in ("api", "apis", "version", "openapi")
            assert ".." not in path.split("/")
            assert not any(character.isspace() for character in target)
