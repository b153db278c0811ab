"""Every operation of every service through what Istio is given: the routes, and the roles for everybody."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from emco_allinone.deploying import authservice, istio
from emco_allinone.deploying.wanted import Issuer, Wanted, in_cluster
from emco_allinone.main import cli
from emco_common.access.routes import HTTP_PORTS, OWN
from tests.support.access import EVERYBODY, expected
from tests.support.mesh import admitted, routed
from tests.support.routes import Operation, operations

ISSUER = "https://keycloak.example.com/realms/enterprise1"
FOLDER = Path(__file__).parents[3] / "deploy" / "istio"
EXAMPLE = {
    "emco.yaml": [],
    "browser.yaml": ["--browser", "ghcr.io/istio-ecosystem/authservice/authservice:1.0.4"],
}
GROUP = "/v2/projects/alpha/composite-apps/a/v1/deployment-intent-groups/g"


def wanted(**changes: Any) -> Wanted:
    given: dict[str, Any] = {
        "hosts": in_cluster(OWN, "emco"),
        "issuers": [Issuer(ISSUER)],
        "projects": ["alpha", "beta"],
    }
    return Wanted(**(given | changes))


def made(**changes: Any) -> list[Any]:
    return istio.resources(wanted(**changes), istio.Mesh("emco.example.com"))


def claims(grants: object) -> dict[str, Any]:
    return {"iss": ISSUER, "sub": "1", "role": grants}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    return asyncio.run(operations(str(tmp_path_factory.mktemp("store"))))


def test_every_operation_is_routed_to_its_service(every: list[Operation]) -> None:
    resources = made()
    assert [
        (str(one), routed(resources, one.path())) for one in every if routed(resources, one.path()) != one.service
    ] == []


def test_with_every_published_service_each_has_its_paths() -> None:
    resources = made(hosts=in_cluster(list(HTTP_PORTS), "emco"))
    for word, service in (
        ("generic-k8s-intents/x", "gac"),
        ("traffic-group-intents", "dtc"),
        ("migrate", "orchestrator"),
    ):
        assert routed(resources, f"{GROUP}/{word}") == service
    assert routed(resources, "/v2/cluster-providers/p/ca-certs/c/clusters") == "ca-certs"
    assert routed(resources, "/v3/projects") == ""


@pytest.mark.parametrize("grants", EVERYBODY, ids=lambda grants: "+".join(grants) or "nobody")
def test_every_operation_for(grants: tuple[str, ...], every: list[Operation]) -> None:
    resources = made()
    for one, project in itertools.product(every, ("alpha", "beta")):
        path = one.path(project=project)
        assert admitted(resources, one.method, path, claims=claims(list(grants))) == expected(
            grants, one.method, path
        ), (
            grants,
            str(one),
            project,
        )


def test_who_has_no_token_gets_nowhere(every: list[Operation]) -> None:
    assert not any(admitted(made(), one.method, one.path(), claims=None) for one in every)


def test_a_claim_may_be_one_text_and_lie_deeper() -> None:
    assert admitted(made(), "GET", "/v2/projects", claims=claims("Admin"))
    deep = made(claim="resource_access.emco.roles")
    held: Mapping[str, Any] = {"iss": ISSUER, "sub": "1", "resource_access": {"emco": {"roles": ["Admin"]}}}
    assert admitted(deep, "POST", "/v2/projects", claims=held)
    assert not admitted(deep, "POST", "/v2/projects", claims=claims("Admin"))


def test_who_may_only_look_reads_a_cluster_as_json_only() -> None:
    path, held = "/v2/cluster-providers/p/clusters/c", claims("Viewer")
    assert admitted(made(), "GET", path, claims=held, headers={"accept": "application/json"})
    for accept in ("*/*", "application/octet-stream", "application/json,application/octet-stream"):
        assert not admitted(made(), "GET", path, claims=held, headers={"accept": accept})


def test_nothing_is_repeated_by_the_mesh() -> None:
    (service,) = (one for one in made() if one["kind"] == "VirtualService")
    assert all(http["retries"] == {"attempts": 0} for http in service["spec"]["http"])


def test_every_name_is_one_of_its_kind() -> None:
    resources = made(projects=["alpha", "Alpha", "a.b", "a-b", "alpha-user", "x" * 128])
    names = [(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in resources]
    assert len(names) == len(set(names))
    assert all(len(name) <= 253 and name == name.lower() for _, _, name in names)


def test_without_an_issuer_there_are_only_routes() -> None:
    assert [one["kind"] for one in made(issuers=[])] == ["PeerAuthentication", "Gateway", "VirtualService"]


def test_the_client_secret_is_nowhere() -> None:
    mesh = istio.Mesh("emco.example.com", browser=True)
    text = yaml.safe_dump_all(authservice.resources(wanted(), mesh, authservice.Browser("image")))
    assert "client_secret_ref" in text
    assert '"client_secret":' not in text


@pytest.mark.parametrize("name", EXAMPLE)
def test_the_example_is_what_the_command_prints(name: str) -> None:
    call = [
        "deploy",
        "istio",
        "--host",
        "emco.example.com",
        "--issuer",
        ISSUER,
        "--project",
        "alpha",
        "--project",
        "beta",
    ]
    answer = CliRunner().invoke(cli, [*call, *EXAMPLE[name]])
    assert answer.exit_code == 0, answer.output
    text = (FOLDER / name).read_text()
    assert text.partition("\n---\n")[2] == answer.output, f"make it anew: emco {' '.join([*call, *EXAMPLE[name]])}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--project", "a/*", "--issuer", ISSUER], "'a/*' is no name of a project"),
        (["--project", "a"], "--project needs --issuer"),
        (["--service", "nobody"], "there is no service 'nobody'"),
        (["--browser", "i"], "--browser needs --issuer"),
        (["--issuer", "keycloak"], "the issuer 'keycloak' is no URL"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], sentence: str) -> None:
    answer = CliRunner().invoke(cli, ["deploy", "istio", "--host", "h", *arguments])
    assert answer.exit_code == 2
    assert sentence in answer.output
