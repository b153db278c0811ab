"""The charts on a real control plane: every object is taken, strictly, the pods come up, and secrets last."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support import certmanager, istio, monitoring
from tests.support.controlplane import ControlPlane
from tests.support.helm import CHARTS, Json, Values, helm, named, rendered
from tests.support.witness import Witness, eventually
from tests.unit.deploy.sets import SETS

SPACE, GATEWAY = "emco-chart", "istio-system"
PLURALS = {"NetworkPolicy": "networkpolicies", "Gateway": "gateways"}
SHORT = {"persistence": {"enabled": False}}
EVERYTHING: dict[str, Any] = {
    "global": {"repository": "registry.invalid/"},
    "defaults": {"replicas": 2},
    "mongo": SHORT,
    "etcd": SHORT | {"replicas": 3},
    "oidc": {"issuers": ["https://keycloak.example.com/realms/enterprise1"]},
    "agents": {"enabled": True, "tlsSecret": "agents", "service": {"type": "NodePort", "nodePort": 30434}},
    "expose": {"nodePorts": {"enabled": True}, "ingress": {"enabled": True, "host": "emco.example.com"}},
    "istio": {
        "enabled": True,
        "host": "emco.example.com",
        "projects": ["alpha"],
        "browser": {"image": "registry.invalid/authservice:1"},
    },
    "monitoring": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")},
}


@dataclass(frozen=True)
class Place:
    """A cluster with everything that a chart may make objects of."""

    witness: Witness
    kubeconfig: Path

    def helm(self, verb: str, *arguments: str, values: Values | None = None) -> CompletedProcess[str]:
        where = ("--namespace", SPACE, "--kubeconfig", str(self.kubeconfig))
        return helm(verb, *arguments, *where, values=values, seconds=180)

    def has(self, document: Json) -> bool:
        return self.witness.send("GET", path_of(document)).status == 200

    def secret(self, name: str) -> dict[str, str]:
        data = self.witness.core.read_namespaced_secret(name, SPACE).data or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def pods(self, instance: str) -> list[Any]:
        chosen = f"app.kubernetes.io/instance={instance}"
        return list(self.witness.core.list_namespaced_pod(SPACE, label_selector=chosen).items)


def path_of(document: Json) -> str:
    version, kind, meta = document["apiVersion"], document["kind"], document["metadata"]
    plural = PLURALS.get(kind) or f"{kind.lower()}s".replace("ys", "ies").replace("sss", "sses")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    space = "" if kind.startswith("Cluster") else f"/namespaces/{meta.get('namespace', SPACE)}"
    return f"{base}{space}/{plural}/{meta['name']}"


@pytest.fixture(scope="module")
def place(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    definitions = [*istio.definitions(), *monitoring.definitions(), *certmanager.definitions()]
    file = tmp_path_factory.mktemp("chart") / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(control_plane.kubeconfig)
    with closing(Witness(control_plane.kubeconfig)) as witness:
        for definition in definitions:
            at = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
            applied = witness.apply(at, definition, force="true")
            assert applied.status in (200, 201), applied.message
        for namespace in (SPACE, GATEWAY):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            assert witness.apply(f"/api/v1/namespaces/{namespace}", body).status in (200, 201)
        for group in ("networking.istio.io", "security.istio.io", "monitoring.coreos.com", "cert-manager.io"):
            assert eventually(lambda group=group: witness.send("GET", f"/apis/{group}/v1").status == 200)
        yield Place(witness, file)


@pytest.mark.parametrize("case", [*SETS, "everything"])
def test_every_object_is_taken(place: Place, case: str) -> None:
    for document in rendered(values=SETS.get(case, EVERYTHING), namespace=SPACE):
        answer = place.witness.apply(path_of(document), document, dryRun="All", fieldValidation="Strict")
        assert answer.status in (200, 201), f"{document['kind']} {document['metadata']['name']}: {answer.message}"


def test_nonsense_would_not_be_taken(place: Place) -> None:
    """So that being taken means something."""
    document = named(rendered(namespace=SPACE), "Deployment", "clm")
    wrong = document | {"spec": document["spec"] | {"replica": 1}}
    assert place.witness.apply(path_of(wrong), wrong, dryRun="All", fieldValidation="Strict").status >= 400


def test_it_comes_up_keeps_its_secrets_and_leaves_what_is_needed_later(place: Place) -> None:
    chart = str(CHARTS / "emco")
    installed = place.helm("install", "emco", chart, "--wait", "--timeout", "120s", values=EVERYTHING)
    assert installed.returncode == 0, installed.stderr
    assert "https://emco.example.com" in installed.stdout
    found = place.pods("emco")
    components = {pod.metadata.labels["app.kubernetes.io/component"] for pod in found if pod.status.phase == "Running"}
    assert components >= {"orchestrator", "clm", "dcm", "ncm", "rsync", "ingress", "mongo", "etcd"}
    for document in rendered(values=EVERYTHING, namespace=SPACE):
        hook = "helm.sh/hook" in document["metadata"].get("annotations", {})
        assert hook or place.has(document), (document["kind"], document["metadata"]["name"])
    kept = {name: place.secret(name) for name in ("emco-data-key", "emco-mongo", "emco-etcd-tls", "emco-bus")}

    more = EVERYTHING | {"global": {"repository": "registry.invalid/", "loglevel": "debug"}}
    upgraded = place.helm("upgrade", "emco", chart, values=more)
    assert upgraded.returncode == 0, upgraded.stderr
    assert {name: place.secret(name) for name in kept} == kept

    refused = place.helm("upgrade", "emco", chart, values=more | {"global": {"db": {"emcoPassword": "another"}}})
    assert "global.db.emcoPassword is another one than MongoDB was set up with" in refused.stderr

    old, new = kept["emco-data-key"]["key"], "a-new-key"
    for values, expected in (
        ({"dataKey": {"retired": [new]}}, {"key": old, "retired": new}),
        ({"global": {"db": {"dataSecret": new}}}, {"key": new, "retired": old}),
        ({"dataKey": {"retired": []}}, {"key": new, "retired": ""}),
    ):
        rotated = place.helm("upgrade", "emco", chart, values=EVERYTHING | values)
        assert rotated.returncode == 0, rotated.stderr
        assert place.secret("emco-data-key") == expected

    gone = place.helm("uninstall", "emco", "--wait")
    assert gone.returncode == 0, gone.stderr
    again = place.helm("install", "emco", chart, "--no-hooks", values=EVERYTHING)
    assert again.returncode == 0, again.stderr
    assert place.secret("emco-mongo") == kept["emco-mongo"]
    assert place.secret("emco-data-key")["key"] == new
    assert place.helm("uninstall", "emco").returncode == 0


def test_services_have_the_same_certificate_after_an_upgrade(place: Place) -> None:
    chart = str(CHARTS / "emco")
    values = {"grpc": {"tls": {"enabled": True}}, "mongo": SHORT, "etcd": SHORT, "register": {"enabled": False}}
    installed = place.helm("install", "emco", chart, values=values)
    assert installed.returncode == 0, installed.stderr
    made = place.secret("emco-grpc-tls")
    assert {name: text[:10] for name, text in made.items()} == dict.fromkeys(
        ("ca.crt", "tls.crt", "tls.key"), "-----BEGIN"
    )
    upgraded = place.helm("upgrade", "emco", chart, values=values | {"defaults": {"replicas": 2}})
    assert upgraded.returncode == 0, upgraded.stderr
    assert place.secret("emco-grpc-tls") == made
    assert place.helm("uninstall", "emco", "--wait").returncode == 0


def test_the_agent_comes_up(place: Place) -> None:
    body = {"metadata": {"name": "emco-agent"}, "stringData": {"token": "t" * 32, "ca.crt": "-"}}
    assert place.witness.send("POST", f"/api/v1/namespaces/{SPACE}/secrets", body).status in (201, 409)
    values = {"server": "emco.example.org:9034", "cluster": "p+c", "admin": True}
    answer = place.helm("install", "lisbon", str(CHARTS / "emco-agent"), "--wait", "--timeout", "60s", values=values)
    assert answer.returncode == 0, answer.stderr
    assert [pod.status.phase for pod in place.pods("lisbon")] == ["Running"]
    assert place.helm("uninstall", "lisbon").returncode == 0
