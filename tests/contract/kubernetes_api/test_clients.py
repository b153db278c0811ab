"""The tools of others against a simulated cluster: kubectl and Helm as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.controlplane import helm_binary
from tests.support.realserver import skip_or_fail
from tests.support.simcluster import SimClusterThread

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:IMAGE"}]}
"""
CHART = {
    "Chart.yaml": "{apiVersion: v2, name: demo, version: 0.1.0}",
    "templates/deployment.yaml": MANIFEST.replace("IMAGE", "{{ .Values.image | default 1 }}"),
    "templates/hook.yaml": """
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {"helm.sh/hook": post-install, "helm.sh/hook-delete-policy": hook-succeeded}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "i:1"}]}}}
""",
}


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimClusterThread]:
    with SimClusterThread("clients") as thread:
        yield thread


class Tool:
    """A program with the kubeconfig of the simulated cluster; returns what it printed and fails if it did."""

    def __init__(self, program: Path, folder: Path, kubeconfig: str) -> None:
        self._program, self._folder = program, folder
        (folder / "kubeconfig").write_text(kubeconfig)
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}

    def __call__(self, *arguments: str, text: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            [self._program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=self._environment,
            cwd=self._folder,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def kubectl(simulated: SimClusterThread, tmp_path: Path) -> Tool:
    return Tool(Path(sys.executable).with_name("kubectl"), tmp_path, simulated.cluster.kubeconfig)


@pytest.fixture
def helm(simulated: SimClusterThread, tmp_path: Path) -> Tool:
    program = helm_binary()
    if program is None:
        skip_or_fail("no helm binary", remedy="run `make testbed`, or put helm on the PATH")
    return Tool(program, tmp_path, simulated.cluster.kubeconfig)


def test_kubectl_sees_that_the_cluster_is_simulated(kubectl: Tool) -> None:
    assert "+emco-simulated" in kubectl("version")
    assert "simulated-node" in kubectl("get", "nodes", "-l", "simulated=true")


def test_kubectl_applies_waits_describes_scales_and_deletes(kubectl: Tool) -> None:
    first = MANIFEST.replace("IMAGE", "1")
    assert "deployment.apps/web created" in kubectl("apply", "-f", "-", text=first)
    assert "deployment.apps/web unchanged" in kubectl("apply", "-f", "-", text=first)
    assert "deployment.apps/web configured" in kubectl("apply", "-f", "-", text=MANIFEST.replace("IMAGE", "2"))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert "nginx:2" in kubectl("describe", "deployment", "web")
    kubectl("scale", "deployment/web", "--replicas=3")
    kubectl("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=20s")
    assert kubectl("get", "pods", "-l", "app=web", "-o", "name").count("pod/") == 3
    kubectl("delete", "-f", "-", "--timeout=20s", text=first)
    assert "NotFound" in kubectl("get", "deployment", "web", fails=True)


def test_kubectl_applies_on_the_servers_side_and_shows_conflicts(kubectl: Tool) -> None:
    body = "{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: '%s'}}"
    apply = ("apply", "--server-side", "-f", "-", "--field-manager")
    assert "serverside-applied" in kubectl(*apply, "one", text=body % "1")
    refused = kubectl(*apply, "two", text=body % "2", fails=True)
    assert 'Apply failed with 1 conflict: conflict with "one": .data.a' in refused
    assert "serverside-applied" in kubectl(*apply, "two", "--force-conflicts", text=body % "2")
    assert "dry run" in kubectl(*apply, "two", "--dry-run=server", text=body % "3", fails=False)
    assert kubectl("get", "configmap", "shared", "-o", "jsonpath={.data.a}") == "2"


def test_kubectl_refuses_unknown_fields(kubectl: Tool) -> None:
    body = "{apiVersion: v1, kind: ConfigMap, metadata: {name: strict}, date: {a: b}}"
    assert 'unknown field "date"' in kubectl("apply", "-f", "-", text=body, fails=True)


def test_kubectl_creates_by_name_and_asks_who_it_is(kubectl: Tool) -> None:
    kubectl("create", "namespace", "made")
    kubectl("create", "configmap", "c", "--from-literal=a=b", "--namespace=made")
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b", "--namespace=made")
    kubectl("label", "configmap", "c", "x=y", "--namespace=made")
    assert "configmap/c" in kubectl("get", "cm", "-l", "x=y", "-o", "name", "--namespace=made")
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}", "--namespace=made") == "Yg=="
    kubectl("delete", "namespace", "made", "--timeout=20s")
    assert "simulated-admin" in kubectl("auth", "whoami")
    assert "yes" in kubectl("auth", "can-i", "create", "pods")


def test_helm_installs_upgrades_rolls_back_and_uninstalls(helm: Tool, kubectl: Tool, tmp_path: Path) -> None:
    for name, text in CHART.items():
        path = tmp_path / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def image() -> str:
        return kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")

    assert "STATUS: deployed" in helm("install", "demo", "chart", "--wait", "--timeout=30s")
    assert "REVISION: 2" in helm("upgrade", "demo", "chart", "--set", "image=2", "--wait", "--timeout=30s")
    assert image() == "nginx:2"
    helm("rollback", "demo", "1", "--wait", "--timeout=30s")
    assert image() == "nginx:1"
    assert "uninstalled" in helm("uninstall", "demo", "--wait", "--timeout=30s")
    assert helm("list", "--all", "--short") == ""
    assert "NotFound" in kubectl("get", "deployment", "web", fails=True)
