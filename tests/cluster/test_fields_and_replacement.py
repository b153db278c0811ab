"""On a real control plane: what was scaled stays scaled through an update, and a Job is replaced with consent only."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext.model import AppContext, DeliveryOptions
from tests.support.controlplane import ControlPlane
from tests.support.witness import MERGE, Witness
from tests.unit.rsync.rig import config_map, context, deployment, job, running

pytestmark = pytest.mark.xdist_group("cluster")


async def test_scaling_survives_an_update_and_a_job_is_made_anew_where_that_is_allowed(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    stem = f"f{uuid.uuid4().hex[:8]}"
    witness = Witness(control_plane.kubeconfig)
    deployments, jobs, maps = (
        f"/apis/apps/v1/namespaces/default/deployments/{stem}",
        f"/apis/batch/v1/namespaces/default/jobs/{stem}",
        f"/api/v1/namespaces/default/configmaps/{stem}",
    )

    def made(identity: str, image: str, *, allowed: bool = False) -> AppContext:
        texts = [text.replace("nginx", image) for text in (deployment(stem), job(stem))] + [config_map(stem, a=image)]
        found = context(identity, {"a": {control_plane.name: texts}}, status_context="" if identity == "71" else "71")
        return replace(found, options=DeliveryOptions(replace=allowed))

    async def live(path: str) -> dict[str, Any]:
        return (await asyncio.to_thread(witness.send, "GET", path)).body

    async def patch(path: str, change: dict[str, Any], manager: str) -> None:
        answer = await asyncio.to_thread(lambda: witness.send("PATCH", path, change, media=MERGE, fieldManager=manager))
        assert answer.status == 200

    place = ("a", f"p+{control_plane.name}")
    async with running(tmp_path, [control_plane], cluster_timeout=15.0, probe_timeout=5.0) as rig:
        await rig.install(made("71", "nginx"))
        await rig.until_state("71", "Instantiated")
        before = (await live(jobs))["metadata"]["uid"]
        await patch(f"{deployments}/scale", {"spec": {"replicas": 3}}, "kubectl")
        await patch(maps, {"data": {"a": "theirs"}}, "kubectl-edit")
        await rig.until(
            "71", lambda s: "data.a changed by kubectl-edit" in (s.resource(*place, f"{stem}+ConfigMap").drift or "")
        )
        assert not (await rig.status("71")).resource(*place, f"{stem}+Deployment").drift

        await rig.update("71", made("72", "busybox"))
        await rig.until_state("72", "InstantiateFailed")
        reason = await rig.error("71", *place, f"{stem}+Job")
        assert reason.startswith("replace: spec.template cannot be changed in place"), reason
        assert (await rig.error("71", *place, f"{stem}+ConfigMap")) == "taken over: data.a (kubectl-edit)"
        web = await live(deployments)
        assert (web["spec"]["replicas"], web["spec"]["template"]["spec"]["containers"][0]["image"]) == (3, "busybox")
        assert (await live(maps))["data"] == {"a": "busybox"}
        assert (await live(jobs))["metadata"]["uid"] == before

        await rig.update("72", made("73", "busybox", allowed=True))
        await rig.until_state("73", "Instantiated")
        again = await live(jobs)
        assert again["metadata"]["uid"] != before
        assert again["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox"
        assert (await live(deployments))["spec"]["replicas"] == 3
        await rig.uninstall("73")
        await rig.until_state("73", "Terminated")
