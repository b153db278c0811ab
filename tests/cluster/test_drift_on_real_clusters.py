"""Whose fields are whose, as real API servers keep it: changes of many sorts are drift, what controllers do is none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as official
from kubernetes import config as official_config

from emco_common.appcontext.model import App, AppContext, Cluster, Meta
from tests.support.controlplane import ControlPlane
from tests.unit.rsync.rig import config_map, deployment, job, resources, running

pytestmark = pytest.mark.xdist_group("cluster")

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: d}, ports: [{port: 80}]}"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {k: v}"
CLAIM = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"""


async def test_what_others_change_is_told_and_what_controllers_do_is_not(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    make: Any = official_config.new_client_from_config_dict
    api = make(yaml.safe_load(control_plane.kubeconfig))
    core, apps, space = official.CoreV1Api(api), official.AppsV1Api(api), f"drift-{uuid.uuid4().hex[:8]}"
    await asyncio.to_thread(core.create_namespace, {"metadata": {"name": space}})
    texts = (config_map("c", colour="red", size="l"), deployment("d"), SERVICE, SECRET, CLAIM, job("j"))
    place = ("web", f"p+{control_plane.name}")
    identity = str(uuid.uuid4().int % 10**15)
    made = AppContext(
        identity,
        apps=(App("web", (Cluster(place[1], resources=resources(*texts)),)),),
        meta=Meta(namespace=space, level="0"),
    )

    async def drifts(rig: Any) -> dict[str, str]:
        found = (await rig.status(identity)).resources
        return {name[2]: one.drift for name, one in found.items() if one.drift}

    async def other(deed: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        await asyncio.to_thread(lambda: deed(*arguments, **more))

    try:
        async with running(tmp_path, [control_plane]) as rig:
            await rig.install(made)
            status = await rig.until_state(identity, "Instantiated")
            assert all(status.resource(*place, name).digest for name in ("c+ConfigMap", "d+Deployment", "s+Service"))
            await other(apps.patch_namespaced_deployment_scale, "d", space, {"spec": {"replicas": 2}})
            await other(core.patch_namespaced_service, "s", space, {"metadata": {"labels": {"team": "a"}}})
            await rig.until(identity, lambda found: found.resource(*place, "d+Deployment").ready is True)
            patch = {"data": {"colour": "blue", "size": None}}
            await other(core.patch_namespaced_config_map, "c", space, patch, field_manager="kubectl-edit")
            await rig.until(identity, lambda found: bool(found.resource(*place, "c+ConfigMap").drift))
            assert await drifts(rig) == {"c+ConfigMap": "data.colour changed by kubectl-edit; data.size removed"}
            selector = {"spec": {"selector": {"app": "x"}}}
            await other(core.patch_namespaced_service, "s", space, selector, field_manager="ops")
            changed = "spec.selector changed by ops"
            await rig.until(identity, lambda found: found.resource(*place, "s+Service").drift == changed)
            await other(core.delete_namespaced_secret, "sec", space)
            await rig.until(identity, lambda found: found.resource(*place, "sec+Secret").drift == "deleted")
            assert set(await drifts(rig)) == {"c+ConfigMap", "s+Service", "sec+Secret"}
    finally:
        await asyncio.to_thread(core.delete_namespace, space)
