"""The resource synchronizer on real control planes; the official client is the witness of what they hold."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as official
from kubernetes import config as official_config

from emco_common.appcontext.model import App, AppContext, Approval, Cluster, Meta
from tests.support.controlplane import ControlPlane
from tests.unit.rsync.rig import config_map, deployment, job, resources, running
from tests.unit.rsync.signing import signing_request

pytestmark = pytest.mark.xdist_group("cluster")

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: d}, ports: [{port: 80}]}"
ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa}"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {k: v}"
ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: []"
STATEFUL = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ss}
spec:
  serviceName: s
  replicas: 1
  selector: {matchLabels: {app: ss}}
  template:
    metadata: {labels: {app: ss}}
    spec: {containers: [{name: c, image: nginx}]}"""
DAEMON = """apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {app: ds}}
  template:
    metadata: {labels: {app: ds}}
    spec: {containers: [{name: c, image: nginx}]}"""
CRON = """apiVersion: batch/v1
kind: CronJob
metadata: {name: cj}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: nginx}]}}}}"""


def crd(group: str) -> str:
    return f"""apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}"""


def witness(plane: ControlPlane) -> Any:
    make: Any = official_config.new_client_from_config_dict
    return make(yaml.safe_load(plane.kubeconfig))


def labelled(plane: ControlPlane, label: str) -> set[str]:
    """Kind/name of the objects with the label, seen by the official client."""
    api = witness(plane)
    selector = f"emco/deployment-id={label}"
    core, apps = official.CoreV1Api(api), official.AppsV1Api(api)
    lists: dict[str, Any] = {
        "ConfigMap": core.list_config_map_for_all_namespaces,
        "Secret": core.list_secret_for_all_namespaces,
        "Service": core.list_service_for_all_namespaces,
        "ServiceAccount": core.list_service_account_for_all_namespaces,
        "Namespace": core.list_namespace,
        "Deployment": apps.list_deployment_for_all_namespaces,
        "StatefulSet": apps.list_stateful_set_for_all_namespaces,
        "DaemonSet": apps.list_daemon_set_for_all_namespaces,
        "Job": official.BatchV1Api(api).list_job_for_all_namespaces,
        "CronJob": official.BatchV1Api(api).list_cron_job_for_all_namespaces,
        "Role": official.RbacAuthorizationV1Api(api).list_role_for_all_namespaces,
    }
    found = {f"{kind}/{i.metadata.name}" for kind, call in lists.items() for i in call(label_selector=selector).items}
    api.close()
    return found


async def test_an_app_of_many_kinds_comes_gets_ready_and_goes(
    tmp_path: Path, control_planes: tuple[ControlPlane, ControlPlane]
) -> None:
    space, group = f"rs-{uuid.uuid4().hex[:8]}", f"g{uuid.uuid4().hex[:8]}.example.org"
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}"
    widget = f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{a: 1}}"
    regular = (ACCOUNT, SECRET, config_map("cm"), ROLE, SERVICE, DAEMON, deployment("d", replicas=2), STATEFUL)
    clusters = tuple(
        Cluster(
            f"p+{plane.name}",
            resources=resources(*regular, job("j"), CRON, widget),
            crds=resources(crd(group)),
            hooks={
                "pre-install": resources(job("pre", hook="pre-install")),
                "post-delete": resources(job("post", hook="post-delete")),
            },
        )
        for plane in control_planes
    )
    identity = str(uuid.uuid4().int)[:12]
    meta = Meta(namespace=space, level="0")
    spaces = tuple(Cluster(cluster.name, resources=resources(namespace)) for cluster in clusters)
    async with running(tmp_path, control_planes, cluster_timeout=15.0, probe_timeout=10.0) as rig:
        cloud = f"9{identity}"
        await rig.install(AppContext(cloud, (App("logical-cloud", spaces),), Meta(namespace="default", level="0")))
        await rig.until_state(cloud, "Instantiated")
        await rig.install(AppContext(identity, (App("web", clusters),), meta))
        status = await rig.until_state(identity, "Instantiated")
        due = {name: r.status for (_, _, name), r in status.resources.items() if name != "post+Job"}
        assert set(due.values()) == {"Applied"}
        await rig.until(identity, lambda s: all(c.ready for c in s.clusters.values()))
        expected = {
            *("ServiceAccount/sa", "Secret/sec", "ConfigMap/cm", "Role/r", "Service/s", "DaemonSet/ds"),
            *("Deployment/d", "StatefulSet/ss", "Job/j", "Job/pre", "CronJob/cj"),
        }
        for plane in control_planes:
            assert await asyncio.to_thread(labelled, plane, f"{identity}-web") == expected
        await rig.uninstall(identity)
        status = await rig.until_state(identity, "Terminated")
        for plane in control_planes:
            assert await asyncio.to_thread(labelled, plane, f"{identity}-web") == set()
        await rig.until(identity, lambda s: all("podStatuses" not in (c.status or "") for c in s.clusters.values()))
        await rig.uninstall(cloud)
        await rig.until_state(cloud, "Terminated")
        for plane in control_planes:
            assert await asyncio.to_thread(labelled, plane, f"{cloud}-logical-cloud") == set()


async def test_what_the_server_refuses_is_told_in_its_words(tmp_path: Path, control_plane: ControlPlane) -> None:
    identity = str(uuid.uuid4().int)[:12]
    mismatched = deployment(f"bad-{identity}").replace("labels: {app: bad", "labels: {app: other")
    good = config_map(f"good-{identity}")
    listed = resources(mismatched, good)
    async with running(tmp_path, [control_plane], cluster_timeout=15.0, probe_timeout=10.0) as rig:
        apps = (App("web", (Cluster(f"p+{control_plane.name}", resources=listed),)),)
        await rig.install(AppContext(identity, apps, Meta(namespace="default", level="0")))
        status = await rig.until_state(identity, "InstantiateFailed")
        place = ("web", f"p+{control_plane.name}")
        assert status.resource(*place, listed[1].name).status == "Applied"
        assert "selector" in await rig.error(identity, *place, listed[0].name)
        await rig.uninstall(identity)
        await rig.until_state(identity, "Terminated")


async def test_a_certificate_is_issued_for_an_approved_request(tmp_path: Path, control_plane: ControlPlane) -> None:
    identity = str(uuid.uuid4().int)[:12]
    name = f"user-{identity}"
    approval = Approval("2026-01-01T00:00:00Z", "ok", "LogicalCloud", "Approved", "True")
    (request,) = resources(signing_request(name))
    listed = (dataclasses.replace(request, approval=approval),)
    async with running(tmp_path, [control_plane], cluster_timeout=15.0, probe_timeout=10.0) as rig:
        apps = (App("logical-cloud", (Cluster(f"p+{control_plane.name}", resources=listed),)),)
        await rig.install(AppContext(identity, apps, Meta(namespace="default", level="0")))
        place = ("logical-cloud", f"p+{control_plane.name}")
        await rig.until(identity, lambda s: 'certificate":"LS0t' in (s.cluster(*place).status or ""))
        await rig.uninstall(identity)
        await rig.until_state(identity, "Terminated")


async def test_an_update_and_a_rollback_leave_what_their_revision_says(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    first, second, space = str(uuid.uuid4().int)[:12], str(uuid.uuid4().int)[:12], f"up-{uuid.uuid4().hex[:8]}"
    group = f"g{uuid.uuid4().hex[:8]}.example.org"
    widget = f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{a: 1}}"
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}"
    where, meta = f"p+{control_plane.name}", Meta(namespace=space, level="0")
    hooks = {
        "pre-upgrade": resources(job("migrate", hook="pre-upgrade")),
        "pre-rollback": resources(job("back", hook="pre-rollback")),
    }
    old = Cluster(where, resources=resources(namespace, config_map("cm", x="1"), ROLE, deployment("d")), hooks=hooks)
    changed = (namespace, config_map("cm", x="2"), SECRET, deployment("d", replicas=2), widget)
    new = Cluster(where, resources=resources(*changed), crds=resources(crd(group)), hooks=hooks)

    def held() -> tuple[set[str], str, int]:
        api = witness(control_plane)
        data = official.CoreV1Api(api).read_namespaced_config_map("cm", space).data
        generation = official.AppsV1Api(api).read_namespaced_deployment("d", space).metadata.generation
        api.close()
        return labelled(control_plane, f"{first}-web"), data["x"], generation

    both = {f"Namespace/{space}", "ConfigMap/cm", "Deployment/d"}
    async with running(tmp_path, [control_plane], cluster_timeout=15.0, probe_timeout=10.0) as rig:
        await rig.install(AppContext(first, (App("web", (old,)),), meta))
        await rig.until_state(first, "Instantiated")
        assert await asyncio.to_thread(held) == ({*both, "Role/r"}, "1", 1)

        await rig.update(first, AppContext(second, (App("web", (new,)),), meta, status_context=first))
        await rig.until_state(second, "Instantiated")
        assert (await rig.status(first)).status == "Updated"
        assert await asyncio.to_thread(held) == ({*both, "Secret/sec", "Job/migrate"}, "2", 2)
        await rig.until(first, lambda s: s.cluster("web", where).ready is True)

        await rig.roll_back(second, first)
        await rig.until_state(first, "Instantiated")
        assert (await rig.status(second)).status == "Updated"
        assert await asyncio.to_thread(held) == ({*both, "Role/r", "Job/migrate", "Job/back"}, "1", 3)
        await rig.until(first, lambda s: s.cluster("web", where).ready is True)

        await rig.uninstall(first)
        await rig.until_state(first, "Terminated")
        assert await asyncio.to_thread(labelled, control_plane, f"{first}-web") == set()
