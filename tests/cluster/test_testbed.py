"""The real clusters the other suites stand on do what a cluster does; the official client is the witness."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from tests.support.controlplane import ControlPlane, find_assets, missing_programs
from tests.support.program import StartError

PATIENCE_SECONDS = 60
LABELS = {"app": "camera"}


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < deadline, f"not so within {PATIENCE_SECONDS} s"
        time.sleep(0.1)


def connected(control_plane: ControlPlane) -> client.ApiClient:
    return config.new_client_from_config_dict(yaml.safe_load(control_plane.kubeconfig))


@pytest.fixture
def api(control_plane: ControlPlane) -> client.ApiClient:
    return connected(control_plane)


@pytest.fixture
def namespace(api: client.ApiClient) -> Iterator[str]:
    core, name = client.CoreV1Api(api), f"testbed-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    if is_there(core, name):
        core.delete_namespace(name)


def is_there(core: client.CoreV1Api, namespace: str) -> bool:
    return namespace in [item.metadata.name for item in core.list_namespace().items]


def pod_template(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "registry.invalid/camera:1"}]
    return {"metadata": {"labels": LABELS}, "spec": {"containers": containers, **spec}}


def deploy(apps: client.AppsV1Api, namespace: str, *, replicas: int) -> None:
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": pod_template()}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "camera"}, "spec": spec})


def test_the_control_plane_is_up_and_its_node_takes_pods(api: client.ApiClient) -> None:
    (node,) = client.CoreV1Api(api).list_node().items

    assert {item.type: item.status for item in node.status.conditions}["Ready"] == "True"
    assert not node.spec.taints


def test_a_deployment_of_two_replicas_becomes_ready_and_its_pods_go_with_it(
    api: client.ApiClient, namespace: str
) -> None:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    deploy(apps, namespace, replicas=2)

    wait_until(lambda: apps.read_namespaced_deployment("camera", namespace).status.ready_replicas == 2)

    pods = core.list_namespaced_pod(namespace).items
    assert [pod.status.phase for pod in pods] == ["Running", "Running"]
    assert all(pod.status.pod_ip for pod in pods)

    apps.delete_namespaced_deployment("camera", namespace)
    wait_until(lambda: core.list_namespaced_pod(namespace).items == [])


def test_a_job_completes(api: client.ApiClient, namespace: str) -> None:
    batch = client.BatchV1Api(api)
    spec = {"template": pod_template(restartPolicy="Never")}
    batch.create_namespaced_job(namespace, {"metadata": {"name": "import"}, "spec": spec})

    wait_until(lambda: batch.read_namespaced_job("import", namespace).status.succeeded == 1)


def test_a_deleted_namespace_goes_with_all_that_is_in_it(api: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "inside"}})

    core.delete_namespace(namespace)

    wait_until(lambda: not is_there(core, namespace))


def test_two_clusters_know_nothing_of_each_other(control_planes: tuple[ControlPlane, ControlPlane]) -> None:
    edge, cloud = (client.CoreV1Api(connected(control_plane)) for control_plane in control_planes)
    name = f"only-edge-{uuid.uuid4().hex[:8]}"
    edge.create_namespace({"metadata": {"name": name}})

    assert is_there(edge, name)
    assert not is_there(cloud, name)
    edge.delete_namespace(name)


def test_the_api_server_comes_back_with_its_data_and_its_controllers_after_a_crash_and_a_planned_stop(
    control_plane: ControlPlane, api: client.ApiClient, namespace: str
) -> None:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "kept"}, "data": {"offices": "3"}})

    control_plane.restart_apiserver(kill=True)
    control_plane.restart_apiserver()

    assert core.read_namespaced_config_map("kept", namespace).data == {"offices": "3"}
    deploy(apps, namespace, replicas=1)
    wait_until(lambda: apps.read_namespaced_deployment("camera", namespace).status.ready_replicas == 1)


def test_assets_of_ones_own_come_before_the_built_ones_and_what_they_lack_is_named(tmp_path: Path) -> None:
    (tmp_path / "etcd").touch(mode=0o755)
    (tmp_path / "kube-apiserver").touch(mode=0o755)

    assert find_assets({"KUBEBUILDER_ASSETS": str(tmp_path), "EMCO_TESTBED": "/elsewhere"}) == tmp_path
    assert missing_programs(tmp_path) == ["kube-controller-manager", "kube-scheduler", "kwok"]
    assert find_assets({"EMCO_TESTBED": str(tmp_path)}) is None


def test_a_program_that_fails_to_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("#!/bin/sh\necho no room on the disk >&2\nexit 3\n")
    (tmp_path / "etcd").chmod(0o755)

    with pytest.raises(StartError, match=r"etcd ended with 3(.|\n)*no room on the disk"):
        ControlPlane(tmp_path).start()


def test_nothing_is_left_when_the_test_process_is_killed() -> None:
    script = (
        "from tests.support.program import Nest\n"
        "nest = Nest('emco-killed')\n"
        "program = nest.program('sleep', ['/bin/sleep', '600'])\n"
        "program.start()\n"
        "print(nest.folder, program._process.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        folder, pid = tests.stdout.readline().decode().split()
        assert Path(folder).is_dir()
        tests.kill()

    wait_until(lambda: not Path(folder).exists())
    wait_until(lambda: not runs(int(pid)))


def runs(pid: int) -> bool:
    """Whether the process is there and not merely waiting for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
