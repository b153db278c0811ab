"""SmartCity on two real control planes, driven as a user would, with the official client as the witness.

The witness blocks, which EMCO does not mind: it runs in a process of its own.
"""

import asyncio
import contextlib
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.controlplane import ControlPlane
from tests.support.process import Command, EmcoProcess
from tests.support.program import free_ports
from tests.support.witness import Witness, eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "smartcity"
FILES = sorted(path.name for path in EXAMPLE.glob("0*.yaml"))
GROUP = "/v2/projects/smartcity/composite-apps/smartcity/v1/deployment-intent-groups/city"
SERVICES = ("orchestrator", "clm", "dcm")
KINDS = {
    "ConfigMap": "api/v1/{}/configmaps",
    "Secret": "api/v1/{}/secrets",
    "Service": "api/v1/{}/services",
    "ServiceAccount": "api/v1/{}/serviceaccounts",
    "Deployment": "apis/apps/v1/{}/deployments",
    "StatefulSet": "apis/apps/v1/{}/statefulsets",
}
EDGE = {"ConfigMap": 9, "Deployment": 9, "Service": 4, "Secret": 1, "ServiceAccount": 1}
CLOUD = {"ConfigMap": 2, "Deployment": 2, "Service": 3, "Secret": 1, "ServiceAccount": 1, "StatefulSet": 1}
VICTIM = "v1-office1-alert"
PATIENCE = 60.0


class User:
    """Somebody with EMCO on this machine, two kubeconfigs, the example, and emcoctl."""

    def __init__(self, folder: Path, kubeconfigs: Mapping[str, Path]) -> None:
        self.folder = folder
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        ports = {f"EMCO_{name.upper()}_HTTP_PORT": str(port) for name, port in self.ports.items()}
        self.emco = EmcoProcess(folder / "data", ports)
        self._write_files(kubeconfigs)

    def _write_files(self, kubeconfigs: Mapping[str, Path]) -> None:
        values = yaml.safe_load((EXAMPLE / "values.yaml").read_text())
        values |= {"Rsync": {"Host": "127.0.0.1", "Port": self.emco.rsync}, "Packages": str(self.folder / "packages")}
        for cluster in values["Clusters"]:
            cluster["KubeConfig"] = str(kubeconfigs[cluster["Name"]])
        config = {name: {"host": "127.0.0.1", "port": port} for name, port in self.ports.items()}
        (self.folder / "values.yaml").write_text(yaml.safe_dump(values))
        (self.folder / "emco-cfg.yaml").write_text(yaml.safe_dump(config))

    async def package(self) -> None:
        packing = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLE / "package.py"),
            str(self.folder / "packages"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await packing.wait() == 0

    async def emcoctl(self, command: str, file: str, *options: str) -> str:
        """What emcoctl printed; it must have succeeded."""
        arguments = ("--config", "emco-cfg.yaml", command, "-v", "values.yaml", *options, "-f", str(EXAMPLE / file))
        log = self.folder / f"{command}-{file}.log"
        code, output = await Command(*arguments, module="emco_emcoctl", folder=self.folder, log=log).run()
        assert code == 0, output
        return output

    async def until(self, path: str, reached: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        status: Mapping[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=self.emco.url, timeout=30) as client:
                while not reached(status):
                    await asyncio.sleep(0.1)
                    status = (await client.get(f"{path}/status", params={"status": "ready"})).json()
        assert reached(status), status
        return status

    async def names(self, path: str) -> list[str]:
        async with httpx.AsyncClient(base_url=self.emco.url) as client:
            return [item["metadata"]["name"] for item in (await client.get(path)).json()]


@pytest.fixture
async def kubeconfigs(tmp_path: Path, control_planes: tuple[ControlPlane, ControlPlane]) -> Mapping[str, Path]:
    paths = {plane.name: tmp_path / f"{plane.name}.kubeconfig" for plane in control_planes}
    for plane in control_planes:
        paths[plane.name].write_text(plane.kubeconfig)
    return paths


@pytest.fixture
async def user(tmp_path: Path, kubeconfigs: Mapping[str, Path]) -> AsyncIterator[User]:
    user = User(tmp_path, kubeconfigs)
    await user.emco.start()
    yield user
    await user.emco.stop(signal.SIGKILL)


@pytest.fixture
def witnesses(control_planes: tuple[ControlPlane, ControlPlane]) -> dict[str, Witness]:
    return {plane.name: Witness(plane.kubeconfig) for plane in control_planes}


async def test_smartcity_is_deployed_watched_and_taken_away_file_by_file(
    user: User, witnesses: Mapping[str, Witness]
) -> None:
    await user.package()
    for file in FILES[:-1]:
        output = await user.emcoctl("apply", file)
        assert set(re.findall(r"Response Code: (\d+)", output)) <= {"201", "202"}
        if file.startswith("03"):
            await user.until("/v2/projects/smartcity/logical-clouds/default", _instantiated)
    assert "Response Code: 202" in await user.emcoctl("apply", FILES[-1])
    status = await user.until(GROUP, lambda status: _instantiated(status) and status.get("readyStatus") == "Ready")
    applied = {name: _labelled(witness) for name, witness in witnesses.items()}

    assert {name: Counter(kind for kind, _, _ in found) for name, found in applied.items()} == {
        "edge": EDGE,
        "cloud": CLOUD,
    }
    assert {app for _, _, app in applied["edge"]} == {"edge"}
    assert {app for _, _, app in applied["cloud"]} == {"web"}
    assert _reported(status) == {
        *(("edge", "edge", kind, name) for kind, name, _ in applied["edge"]),
        *(("web", "cloud", kind, name) for kind, name, _ in applied["cloud"]),
    }
    for witness in witnesses.values():
        pods = witness.send("GET", "/api/v1/namespaces/default/pods").body["items"]
        assert {pod["status"]["phase"] for pod in pods if pod["metadata"]["name"].startswith("v1-")} == {"Running"}

    witnesses["edge"].core.delete_namespaced_config_map(VICTIM, "default")
    await user.until(GROUP, lambda status: _health(status, "ConfigMap", VICTIM) == "NotPresent")
    assert ("ConfigMap", VICTIM) not in {(kind, name) for kind, name, _ in _labelled(witnesses["edge"])}

    await user.emcoctl("delete", FILES[-1])
    await user.until(GROUP, lambda status: status.get("deployedStatus") == "Terminated")
    assert [_labelled(witness) for witness in witnesses.values()] == [[], []]
    for file in reversed(FILES[:-2]):
        await user.emcoctl("delete", file, "-w", "2")
    for collection in ("projects", "cluster-providers", "controllers"):
        assert await user.names(f"/v2/{collection}") == []
    assert await user.emco.stop() == 0


async def test_the_demonstration_runs_on_clusters_of_ones_own_and_leaves_nothing_behind(
    tmp_path: Path, kubeconfigs: Mapping[str, Path], witnesses: Mapping[str, Witness]
) -> None:
    before = [_everything(witness) for witness in witnesses.values()]
    options = ("--edge", str(kubeconfigs["edge"]), "--cloud", str(kubeconfigs["cloud"]))
    demo = Command("demo", *options, log=tmp_path / "demo.log")

    code, output = await demo.run()

    assert code == 0, output
    assert "SIMULATED" not in output.upper()
    assert "every object is gone" in output
    left = eventually(lambda: (now := [_everything(witness) for witness in witnesses.values()]) == before and now)
    assert left == before


def _instantiated(status: Mapping[str, Any]) -> bool:
    return status.get("deployedStatus") == "Instantiated"


def _labelled(witness: Witness) -> list[tuple[str, str, str]]:
    """(kind, name, app) of what EMCO has applied anywhere in the cluster; the app is the end of the label's value."""
    found = []
    for kind, path in KINDS.items():
        answer = witness.send("GET", f"/{path.format('').replace('//', '/')}", labelSelector="emco/deployment-id")
        assert answer.status == 200, answer.message
        for metadata in (item["metadata"] for item in answer.body["items"]):
            assert metadata["namespace"] == "default"
            app = metadata["labels"]["emco/deployment-id"].rpartition("-")[2]
            found.append((kind, metadata["name"], app))
    assert len(set(found)) == len(found)
    return found


def _everything(witness: Witness) -> set[tuple[str, str]]:
    """(kind, name) of all that the namespace holds, pods included."""
    kinds = {**KINDS, "Pod": "api/v1/{}/pods", "ReplicaSet": "apis/apps/v1/{}/replicasets"}
    answers = {kind: witness.send("GET", f"/{path.format('namespaces/default')}") for kind, path in kinds.items()}
    return {(kind, item["metadata"]["name"]) for kind, answer in answers.items() for item in answer.body["items"]}


def _resources(status: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [
        (app["name"], cluster["cluster"], resource)
        for app in status.get("apps", ())
        for cluster in app["clusters"]
        for resource in cluster["resources"]
    ]


def _reported(status: Mapping[str, Any]) -> set[tuple[str, str, str, str]]:
    """(app, cluster, kind, name) of the status, without what workloads have made."""
    return {
        (app, cluster, resource["GVK"]["Kind"], resource["name"])
        for app, cluster, resource in _resources(status)
        if resource["GVK"]["Kind"] in KINDS
    }


def _health(status: Mapping[str, Any], kind: str, name: str) -> str | None:
    for _, _, resource in _resources(status):
        if (resource["GVK"]["Kind"], resource["name"]) == (kind, name):
            return str(resource.get("readyStatus"))
    return None
