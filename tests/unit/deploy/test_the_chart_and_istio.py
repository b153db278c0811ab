"""The chart makes the very resources that ``emco deploy istio`` prints."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from emco_allinone.deploying import authservice, istio
from emco_allinone.deploying.wanted import Issuer, Wanted, in_cluster
from emco_common.access.routes import OWN
from tests.support.helm import CHARTS, Json, refusal, rendered

ISSUER = "https://keycloak.example.com/realms/enterprise1"
PROJECTS = ["alpha", "Alpha", "A.b_c", "a-b", "alpha-user", "1", "12a", "x" * 230]
HOST = {"enabled": True, "host": "emco.example.com"}
CASES: dict[str, dict[str, Any]] = {
    "routes alone": {"istio": HOST},
    "projects of every spelling": {"istio": HOST | {"projects": PROJECTS}, "oidc": {"issuers": [ISSUER]}},
    "two issuers, one with keys elsewhere": {
        "istio": HOST | {"jwks": {"https://two.example.com": "https://two.example.com/keys"}},
        "oidc": {"issuers": [ISSUER, "https://two.example.com", "https://three.example.com"], "audience": "other"},
    },
    "a claim that lies deeper": {
        "istio": HOST | {"projects": ["alpha"]},
        "oidc": {"issuers": [ISSUER], "claim": "resource_access.emco.roles"},
    },
    "another gateway": {
        "istio": HOST | {"gatewayNamespace": "edge", "gatewayApp": "own", "credential": "certificate"},
        "oidc": {"issuers": [ISSUER]},
    },
    "browsers": {
        "istio": HOST | {"projects": ["alpha"], "browser": {"image": "authservice:1", "client": "web"}},
        "oidc": {"issuers": [ISSUER]},
    },
}
GROUPS = ("security.istio.io/v1", "networking.istio.io/v1")


def printed(values: dict[str, Any]) -> list[Json]:
    mesh_values, oidc = values["istio"], values.get("oidc", {})
    browser = mesh_values.get("browser", {})
    jwks = mesh_values.get("jwks", {})
    mesh = istio.Mesh(
        mesh_values["host"],
        namespace="emco-2",
        gateway_namespace=mesh_values.get("gatewayNamespace", "istio-system"),
        gateway_app=mesh_values.get("gatewayApp", "ingressgateway"),
        credential=mesh_values.get("credential", "emco-credential"),
        browser=bool(browser),
    )
    wanted = Wanted(
        in_cluster(OWN, mesh.namespace),
        [Issuer(url, jwks.get(url, "")) for url in oidc.get("issuers", ())],
        audience=oidc.get("audience", "emco"),
        claim=oidc.get("claim", "role"),
        projects=mesh_values.get("projects", ()),
    )
    made = istio.resources(wanted, mesh)
    if browser:
        made += authservice.resources(wanted, mesh, authservice.Browser(browser["image"], browser["client"]))
    copied: list[Json] = json.loads(json.dumps(made))
    return copied


def _key(one: Json) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", "emco-2"), one["metadata"]["name"]


def _without_helm(one: Json) -> Json:
    labels = one["metadata"]["labels"].items()
    own = {name: value for name, value in labels if name in ("app", "app.kubernetes.io/part-of")}
    return one | {"metadata": one["metadata"] | {"labels": own}}


@pytest.mark.parametrize("case", CASES)
def test_both_ways_make_the_same(case: str) -> None:
    wanted = {_key(one): one for one in printed(CASES[case])}
    documents = rendered(values=CASES[case], namespace="emco-2")
    made = {_key(one): one for one in documents if one["apiVersion"] in GROUPS or _key(one) in wanted}
    assert made.keys() == wanted.keys()
    for key, one in wanted.items():
        assert _without_helm(made[key]) == one


def test_what_the_chart_has_of_the_table_is_what_the_table_says_now() -> None:
    spec = importlib.util.spec_from_file_location("emco_chart_istio", CHARTS / "istio.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.FILE.read_text() == module.written(), "run python deploy/helm/istio.py"


def test_nothing_of_it_is_there_unless_asked_for() -> None:
    assert [one["kind"] for one in rendered() if one["apiVersion"] in GROUPS] == []


def test_pods_are_in_the_mesh() -> None:
    for document in rendered(values=CASES["browsers"]):
        if document["kind"] in ("Deployment", "StatefulSet", "Job") and "namespace" not in document["metadata"]:
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert labels["sidecar.istio.io/inject"] == "true", document["metadata"]["name"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"istio": {"enabled": True}}, "istio.enabled needs istio.host"),
        ({"istio": HOST | {"projects": ["alpha"]}}, "istio.projects needs oidc.issuers"),
        ({"istio": HOST | {"browser": {"image": "i"}}}, "istio.browser.image needs oidc.issuers"),
        ({"istio": HOST | {"projects": ["a/*"]}, "oidc": {"issuers": [ISSUER]}}, "/istio/projects/0"),
        ({"istio": {"enabled": True, "host": 'a", "b'}}, "/istio/host"),
        ({"oidc": {"issuers": ["http://plain.example.com"]}}, "/oidc/issuers/0"),
    ],
)
def test_what_makes_no_sense_is_said(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)
