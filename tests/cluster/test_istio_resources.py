"""A real API server with Istio's own definitions takes what ``emco deploy istio`` prints, and refuses nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from emco_allinone.main import cli
from tests.support import istio
from tests.support.controlplane import ControlPlane
from tests.support.witness import Witness, eventually

ISSUER = "https://keycloak.example.com/realms/enterprise1"
CALL = [
    "deploy",
    "istio",
    "--host",
    "emco.example.com",
    "--namespace",
    "emco-mesh",
    "--gateway-namespace",
    "emco-mesh-gw",
]
CASES = {
    "routes alone": [],
    "two issuers and two projects": [
        "--issuer",
        ISSUER,
        "--issuer",
        f"{ISSUER}2",
        "--project",
        "alpha",
        "--project",
        "A.b_c",
    ],
    "every service": [
        f"--service={name}" for name in ("ca-certs", "gac", "dtc", "policy", "orchestrator", "clm", "dcm", "ncm")
    ],
    "a browser": ["--issuer", ISSUER, "--project", "alpha", "--browser", "authservice:1", "--claim", "a.b"],
}


@pytest.fixture(scope="module")
def mesh(control_plane: ControlPlane) -> Iterator[Witness]:
    definitions = istio.definitions()
    with closing(Witness(control_plane.kubeconfig)) as witness:
        for definition in definitions:
            name = definition["metadata"]["name"]
            applied = witness.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}", definition)
            assert applied.status in (200, 201), applied.message
        for namespace in ("emco-mesh", "emco-mesh-gw"):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            assert witness.apply(f"/api/v1/namespaces/{namespace}", body).status in (200, 201)
        for group in ("networking", "security"):
            assert eventually(lambda group=group: witness.send("GET", f"/apis/{group}.istio.io/v1").status == 200)
        yield witness


def path_of(resource: dict[str, Any]) -> str:
    version, meta = resource["apiVersion"], resource["metadata"]
    plural = f"{resource['kind'].lower()}s".replace("ys", "ies").replace("gatewaies", "gateways")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{base}/namespaces/{meta['namespace']}/{plural}/{meta['name']}"


def printed(*more: str) -> list[dict[str, Any]]:
    answer = CliRunner().invoke(cli, [*CALL, *more])
    assert answer.exit_code == 0, answer.output
    return list(yaml.safe_load_all(answer.output))


@pytest.mark.parametrize("case", CASES)
def test_everything_printed_is_taken(mesh: Witness, case: str) -> None:
    for resource in printed(*CASES[case]):
        answer = mesh.apply(path_of(resource), resource, fieldValidation="Strict", force="true")
        assert answer.status in (200, 201), f"{resource['kind']} {resource['metadata']['name']}: {answer.message}"


def test_the_definitions_would_refuse_what_is_not_theirs(mesh: Witness) -> None:
    """So that being taken means something."""
    resource = next(one for one in printed() if one["kind"] == "VirtualService")
    resource["spec"]["http"][0]["match"][0]["uri"] = {"regexp": "/v2"}
    assert mesh.apply(path_of(resource), resource, fieldValidation="Strict", force="true").status in (400, 422, 500)
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "wrong", "namespace": "emco-mesh"},
        "spec": {"action": "MAYBE"},
    }
    assert mesh.apply(path_of(policy), policy, fieldValidation="Strict").status == 422
