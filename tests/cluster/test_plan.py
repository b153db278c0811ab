"""A plan on a real control plane: what it foresees happens, and nothing is written, by the server's own count."""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from tests.support.controlplane import ControlPlane
from tests.support.witness import Witness
from tests.unit.rsync.rig import Rig, config_map, context, deployment, job, running
from tests.unit.rsync.test_a_plan_is_what_would_happen import places_of

pytestmark = pytest.mark.xdist_group("cluster")
KINDS = {
    "configmaps": "/api/v1/namespaces/default/configmaps",
    "secrets": "/api/v1/namespaces/default/secrets",
    "services": "/api/v1/namespaces/default/services",
    "deployments": "/apis/apps/v1/namespaces/default/deployments",
    "jobs": "/apis/batch/v1/namespaces/default/jobs",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
_WRITE = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {password: %s}"
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {selector: {app: web}, ports: [{name: http, port: %s}]}"""
CUSTOM = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: seats.%(group)s}
spec:
  group: %(group)s
  names: {kind: Seat, plural: seats, singular: seat, listKind: SeatList}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}"""


def writes(witness: Witness) -> dict[str, float]:
    """How often each of the kinds was written to, dry runs apart."""
    found: dict[str, float] = {}
    for one in _WRITE.finditer(witness.send("GET", "/metrics").body["text"]):
        labels = dict(_LABEL.findall(one["labels"]))
        writing = labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
        if writing and labels["resource"] in KINDS and not labels["dry_run"] and not labels["subresource"]:
            found[labels["resource"]] = found.get(labels["resource"], 0) + float(one["count"])
    return found


def versions(witness: Witness, stem: str) -> dict[str, str]:
    """The resource version of every object of ours; of a job, at which its controller goes on working, what was asked
    of it."""
    return {
        f"{kind}/{item['metadata']['name']}": str(
            item["metadata"]["generation" if kind == "jobs" else "resourceVersion"]
        )
        for kind, path in KINDS.items()
        for item in witness.send("GET", path).body["items"]
        if stem in item["metadata"]["name"]
    }


async def still(witness: Witness, stem: str) -> dict[str, str]:
    """When the controllers of the cluster have done what they do by themselves."""
    before = await asyncio.to_thread(versions, witness, stem)
    for _ in range(40):
        await asyncio.sleep(0.25)
        after = await asyncio.to_thread(versions, witness, stem)
        if after == before:
            return after
        before = after
    raise AssertionError(f"the cluster does not come to rest: {before}")


async def test_a_plan_foresees_what_happens_and_no_object_moves(tmp_path: Path, control_plane: ControlPlane) -> None:
    stem = f"p{uuid.uuid4().hex[:8]}"
    witness = Witness(control_plane.kubeconfig)

    def made(identity: str, *texts: str) -> AppContext:
        found = context(identity, {"a": {control_plane.name: texts}}, status_context="" if identity == "71" else "71")
        return replace(found, options=DeliveryOptions(replace=True))

    async def foreseen(rig: Rig, wanted: AppContext, *, replaces: str = "") -> dict[str, Any]:
        before = await still(witness, stem), await asyncio.to_thread(writes, witness)
        places = await places_of(rig, wanted, replaces=replaces)
        assert [place.reason for place in places if place.reason] == []
        assert (await still(witness, stem), await asyncio.to_thread(writes, witness)) == before
        return {
            f"{one.kind}/{one.name.removeprefix(stem)}": (one.action, [field.path for field in one.fields])
            for place in places
            for one in place.objects
        }

    first = [
        config_map(f"{stem}same"),
        config_map(f"{stem}other", a="1"),
        config_map(f"{stem}old"),
        SECRET % (f"{stem}s", "one"),
        SERVICE % (f"{stem}web", 80),
        deployment(f"{stem}web"),
        job(f"{stem}job"),
    ]
    then = [
        config_map(f"{stem}same"),
        config_map(f"{stem}other", a="2"),
        config_map(f"{stem}new"),
        SECRET % (f"{stem}s", "two"),
        SERVICE % (f"{stem}web", 81),
        deployment(f"{stem}web").replace("nginx", "nginx:2"),
        job(f"{stem}job").replace("nginx", "busybox"),
        CUSTOM % {"group": f"{stem}.example.org"},
        f"apiVersion: {stem}.example.org/v1\nkind: Seat\nmetadata: {{name: {stem}seat}}",
    ]
    async with running(tmp_path, [control_plane], cluster_timeout=15.0, probe_timeout=5.0) as rig:
        created = await foreseen(rig, made("71", *first))
        assert {action for action, _ in created.values()} == {"create"}
        counted = await asyncio.to_thread(writes, witness)
        await rig.install(made("71", *first))
        await rig.until_state("71", "Instantiated")
        assert await asyncio.to_thread(writes, witness) != counted  # what is counted are the writes
        unchanged = await foreseen(rig, made("72", *first), replaces="71")
        assert {action for action, _ in unchanged.values()} == {"unchanged"}, unchanged

        told = await foreseen(rig, made("72", *then), replaces="71")
        image = "spec.template.spec.containers[name=c].image"
        assert told == {
            "ConfigMap/same": ("unchanged", []),
            "ConfigMap/other": ("change", ["data.a"]),
            "ConfigMap/new": ("create", []),
            "ConfigMap/old": ("delete", []),
            "Secret/s": ("change", ["data.password"]),
            "Service/web": ("change", ["spec.ports[name=http].port", "spec.ports[name=http].targetPort"]),
            "Deployment/web": ("change", [image]),
            "Job/job": ("replace", [image]),
            "CustomResourceDefinition/seats." + stem + ".example.org": ("create", []),
            "Seat/seat": ("create", []),
        }
        await rig.update("71", made("72", *then))
        await rig.until_state("72", "Instantiated")
        done = await foreseen(rig, made("73", *then), replaces="72")
        assert {action for action, _ in done.values()} == {"unchanged"}, done
        await rig.uninstall("72")
        await rig.until_state("72", "Terminated")
    await asyncio.to_thread(witness.send, "DELETE", f"{KINDS['customresourcedefinitions']}/seats.{stem}.example.org")
    witness.close()
