"""On a real control plane: finalizers, a namespace on its way out and a claim in use are told (robustness 54)."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from tests.support.controlplane import ControlPlane
from tests.unit.rsync.rig import config_map, context, running

pytestmark = pytest.mark.xdist_group("cluster")

HOLD = "example.org/hold"
MAP = Kind("v1", "ConfigMap")


def claim(name: str) -> str:
    return f"""apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}"""


def pod_with(name: str, *, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "image": "nginx"}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": name}}],
        },
    }


@pytest.mark.robustness(54)
async def test_a_claim_in_use_and_a_finalizer_of_others_are_named_and_keep_nothing_else(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    stem = f"h{uuid.uuid4().hex[:8]}"
    place = ("a", f"p+{control_plane.name}")
    held = config_map(f"{stem}-held").replace("metadata:", f"metadata:\n  finalizers: [{HOLD}]")
    async with (
        running(tmp_path, [control_plane], removal_timeout=1.0, cluster_timeout=15.0, probe_timeout=5.0) as rig,
        KubeClient(parse_kubeconfig(control_plane.kubeconfig)) as somebody,
    ):
        await rig.install(context("71", {"a": {control_plane.name: [held, claim(stem), config_map(stem)]}}))
        await rig.until_state("71", "Instantiated")
        await somebody.create(pod_with(stem, node=f"{control_plane.name}-node-0"), namespace="default")
        try:
            await rig.uninstall("71")
            await rig.until_state("71", "TerminateFailed")
            assert HOLD in await rig.error("71", *place, f"{stem}-held+ConfigMap")
            assert "kubernetes.io/pvc-protection" in await rig.error("71", *place, f"{stem}+PersistentVolumeClaim")
            assert (await rig.status("71")).resource(*place, f"{stem}+ConfigMap").status == "Deleted"
        finally:
            await somebody.patch(Ref(MAP, f"{stem}-held", "default"), {"metadata": {"finalizers": None}})
            await somebody.delete(Ref(Kind("v1", "Pod"), stem, "default"))
        await rig.until("71", lambda s: s.status == "TerminateFailed")
        await rig.uninstall("71")
        await rig.until_state("71", "Terminated")


@pytest.mark.robustness(54)
async def test_a_namespace_on_its_way_out_is_told_with_what_in_it_does_not_go(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    """What holds it belongs to somebody else; the cluster looks into a namespace five seconds after its deletion."""
    stem = f"h{uuid.uuid4().hex[:8]}"
    place = ("a", f"p+{control_plane.name}")
    space = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {stem}}}"
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": [HOLD]}}
    async with (
        running(tmp_path, [control_plane], removal_timeout=60.0, cluster_timeout=15.0, probe_timeout=5.0) as rig,
        KubeClient(parse_kubeconfig(control_plane.kubeconfig)) as somebody,
    ):
        await rig.install(context("71", {"a": {control_plane.name: [space]}}))
        await rig.until_state("71", "Instantiated")
        await somebody.create(held, namespace=stem)
        await rig.uninstall("71")
        try:
            await rig.until("71", lambda s: HOLD in (s.resource(*place, f"{stem}+Namespace").reason or ""))
        finally:
            await somebody.patch(Ref(MAP, "held", stem), {"metadata": {"finalizers": None}})
        await rig.until_state("71", "Terminated")
