"""The agent on a real control plane, with the rights of its manifest and no others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from emco_common.kube import Kind, KubeClient, Ref, errors, parse_kubeconfig
from tests.support.agents import agent, hosts, register
from tests.support.controlplane import ControlPlane
from tests.unit.rsync.rig import config_map, deployment, resources, running

pytestmark = pytest.mark.xdist_group("cluster")

DEPLOY = Path(__file__).parents[2] / "deploy" / "agent"
ACCOUNT = "system:serviceaccount:emco-agent:emco-agent"


def manifests(*names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        yield from yaml.safe_load_all((DEPLOY / name).read_text())


async def installed(plane: ControlPlane, *names: str) -> str:
    """Apply the manifests; answers a kubeconfig with a token of the agent's service account."""
    async with KubeClient(parse_kubeconfig(plane.kubeconfig)) as admin:
        for manifest in manifests(*names):
            await admin.apply(manifest, manager="test", force=True)
        path = "/api/v1/namespaces/emco-agent/serviceaccounts/emco-agent/token"
        asked = (
            b'{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}'
        )
        answer = await admin._transport.request("POST", path, body=asked)
    document = yaml.safe_load(plane.kubeconfig)
    document["users"][0]["user"] = {"token": answer["status"]["token"]}
    return yaml.safe_dump(document)


async def without_admin(plane: ControlPlane) -> None:
    binding = Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
    async with KubeClient(parse_kubeconfig(plane.kubeconfig)) as admin:
        try:
            await admin.delete(Ref(binding, "emco-agent-admin"))
        except errors.NotFound:
            return


@pytest.mark.robustness(31)
async def test_a_cloud_has_the_rights_of_its_user_and_the_agent_those_of_its_manifest(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    await without_admin(control_plane)
    kubeconfig = await installed(control_plane, "agent.yaml")
    space = f"retail-{uuid.uuid4().hex[:6]}"
    async with hosts(tmp_path, timeout=15.0) as [host]:
        await register(host.deps, "p+edge")
        async with agent("p+edge", kubeconfig, tmp_path, port=host.port):
            await host.until_here("p+edge")
            async with host.client("p+edge") as own, host.client("p+edge", user="retail-op") as user:
                await own.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, manager="m")
                a_map = yaml.safe_load(config_map("a"))
                with pytest.raises(errors.Forbidden, match='User "retail-op" cannot'):
                    await user.apply(a_map, manager="m", namespace=space)
                with pytest.raises(errors.Forbidden, match=f'User "{ACCOUNT}" cannot'):
                    await own.apply(a_map, manager="m", namespace=space)
                for role in _role_of_the_user(space):
                    await own.apply(role, manager="m")
                await _until_allowed(user, a_map, space)
                assert (await own.get(Ref(Kind("v1", "ConfigMap"), "a", space)))["data"] == {"a": "b"}
                with pytest.raises(errors.Forbidden):
                    await user.apply(yaml.safe_load(deployment("d")), manager="m", namespace=space)
                with pytest.raises(errors.Forbidden):
                    await user.get(Ref(Kind("v1", "ConfigMap"), "kube-root-ca.crt", "kube-system"))
            async with host.client("p+edge", user="system:admin") as nobody:
                with pytest.raises(errors.KubeError, match="own users"):
                    await nobody.list(Kind("v1", "Secret"))


async def test_a_deployment_comes_gets_ready_and_goes_through_an_agent(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    kubeconfig = await installed(control_plane, "agent.yaml", "admin.yaml")
    space = f"far-{uuid.uuid4().hex[:6]}"
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}"
    identity = str(uuid.uuid4().int)[:12]
    async with running(tmp_path, agents_port=0, cluster_timeout=15.0, probe_timeout=10.0) as rig:
        await register(rig.deps, "p+edge")
        async with agent("p+edge", kubeconfig, tmp_path, port=rig.service.further[0].port):
            cluster = Cluster("p+edge", resources=resources(namespace, config_map("cm"), deployment("d", replicas=2)))
            await rig.install(AppContext(identity, (App("web", (cluster,)),), Meta(namespace=space, level="0")))
            await rig.until_state(identity, "Instantiated")
            await rig.until(identity, lambda status: status.cluster("web", "p+edge").ready is True)
            async with KubeClient(parse_kubeconfig(control_plane.kubeconfig)) as admin:
                found = await admin.get(Ref(Kind("apps/v1", "Deployment"), "d", space))
                assert found["status"]["readyReplicas"] == 2
                await rig.uninstall(identity)
                await rig.until_state(identity, "Terminated")
                with pytest.raises(errors.NotFound):
                    await admin.get(Ref(Kind("apps/v1", "Deployment"), "d", space))


def _role_of_the_user(space: str) -> tuple[dict[str, Any], ...]:
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}
    metadata = {"name": "retail", "namespace": space}
    return (
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "subjects": [{"kind": "User", "name": "retail-op", "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": "retail", "apiGroup": group},
        },
    )


async def _until_allowed(user: KubeClient, manifest: dict[str, Any], space: str) -> None:
    """A new right takes the API server a moment."""
    for _ in range(100):
        try:
            await user.apply(manifest, manager="m", namespace=space)
            return
        except errors.Forbidden:
            await asyncio.sleep(0.05)
    raise AssertionError("the right never came into force")
