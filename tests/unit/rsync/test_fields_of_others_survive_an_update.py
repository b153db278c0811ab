"""Several managers of one object (robustness 53): autoscalers keep their fields, others are overruled or reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emco_common.appcontext.status import ResourceStatus
from emco_common.kube import Kind, KubeClient, Ref, parse_kubeconfig
from emco_rsync.plan.manifests import parse
from emco_simcluster import SimCluster
from tests.unit.rsync.rig import Rig, config_map, context, deployment, running

pytestmark = pytest.mark.robustness(53)
WEB = Ref(Kind("apps/v1", "Deployment"), "web", "default")
SETTINGS = Ref(Kind("v1", "ConfigMap"), "settings", "default")


@pytest.fixture
async def somebody(sim_cluster: SimCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(parse_kubeconfig(sim_cluster.kubeconfig)) as client:
        yield client


async def install(rig: Rig, *texts: str) -> None:
    await rig.install(context("71", {"a": {"edge": texts}}))
    await rig.until_state("71", "Instantiated")


async def update(rig: Rig, *texts: str, to: str = "72", state: str = "Instantiated") -> None:
    """The deployment goes from the revision before to the next one."""
    await rig.update(str(int(to) - 1), context(to, {"a": {"edge": texts}}, status_context="71"))
    await rig.until_state(to, state)


async def kept(rig: Rig, resource: str) -> ResourceStatus:
    return (await rig.status("71")).resource("a", "p+edge", resource)


def live(cluster: SimCluster, kind: str) -> dict[str, Any]:
    (found,) = (o for o in cluster.objects(kind) if "emco/deployment-id" in o["metadata"].get("labels", {}))
    return found


async def test_what_was_scaled_stays_scaled_while_other_fields_change(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, deployment("web"))
        await somebody.patch(WEB, {"spec": {"replicas": 3}}, subresource="scale")
        await update(rig, deployment("web").replace("nginx", "nginx:2"))
        spec = live(sim_cluster, "Deployment")["spec"]
        assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (3, "nginx:2")
        assert (await kept(rig, "web+Deployment")).status == "Applied"
        sent = sim_cluster.counts["apply", "deployments"]
        await update(rig, deployment("web").replace("nginx", "nginx:2"), to="73")
        assert sim_cluster.counts["apply", "deployments"] == sent


async def test_what_somebody_edited_is_taken_over_and_said_to_be(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, config_map("settings", a="1", b="1"))
        await somebody.patch(SETTINGS, {"data": {"a": "theirs"}})
        await update(rig, config_map("settings", a="1", b="2"))
        assert live(sim_cluster, "ConfigMap")["data"] == {"a": "1", "b": "2"}
        status = await kept(rig, "settings+ConfigMap")
        assert status.status == "Applied"
        assert (status.reason or "").startswith("taken over: data.a (")


async def test_without_force_a_conflict_names_fields_and_managers_and_takes_nothing(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    async with running(tmp_path, [sim_cluster], force_conflicts=False) as rig:
        await install(rig, config_map("settings", a="1", b="1"))
        await somebody.apply(parse(config_map("settings", a="theirs"))[0], manager="gardener", force=True)
        await update(rig, config_map("settings", a="1", b="2"), state="InstantiateFailed")
        assert live(sim_cluster, "ConfigMap")["data"] == {"a": "theirs", "b": "1"}
        status = await kept(rig, "settings+ConfigMap")
        assert status.status == "Failed"
        assert "others own fields of it: data.a (gardener)" in (status.reason or "")
        assert "emco/ignore-fields" in (status.reason or "")


async def test_fields_that_an_object_gives_free_belong_to_who_changes_them(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    def settings(**data: str) -> str:
        free = "metadata:\n  annotations: {emco/ignore-fields: 'data.a, data.x'}"
        return config_map("settings", **data).replace("metadata:", free)

    async with running(tmp_path, [sim_cluster], force_conflicts=False) as rig:
        await install(rig, settings(a="1", b="1"))
        await somebody.patch(SETTINGS, {"data": {"a": "theirs"}})
        await update(rig, settings(a="1", b="2"))
        assert live(sim_cluster, "ConfigMap")["data"] == {"a": "theirs", "b": "2"}


@pytest.mark.robustness(65)
async def test_an_update_that_changes_nothing_writes_nothing(
    tmp_path: Path, sim_cluster: SimCluster, somebody: KubeClient
) -> None:
    texts = (deployment("web"), config_map("settings"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, *texts)
        before = dict(sim_cluster.counts)
        await update(rig, *texts)
        written = {
            (verb, kind)
            for verb, kind in sim_cluster.counts
            if sim_cluster.counts[verb, kind] != before.get((verb, kind))
        }
        assert not {verb for verb, _ in written} & {"apply", "create", "update", "patch", "delete"}
    assert (await somebody.get(WEB))["metadata"]["generation"] == 1


@pytest.mark.robustness(65)
async def test_a_process_that_takes_over_a_finished_deployment_writes_nothing(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, deployment("web"), config_map("settings"))
        sent = sim_cluster.counts.copy()
    async with running(tmp_path, [sim_cluster]) as rig:
        await rig.install("71")
        await rig.until("71", lambda status: [e.status for e in status.queue or ()] == ["Done", "Done"])
        for kind in ("deployments", "configmaps"):
            assert sim_cluster.counts["apply", kind] == sent["apply", kind]


@pytest.mark.robustness(65)
async def test_what_an_earlier_revision_brought_is_not_brought_again_by_an_installation(
    tmp_path: Path, sim_cluster: SimCluster
) -> None:
    texts = (deployment("web"), config_map("settings"))
    async with running(tmp_path, [sim_cluster]) as rig:
        await install(rig, *texts)
        await update(rig, *texts)
        sent = sim_cluster.counts.copy()
        await rig.install("72")
        await rig.until("72", lambda status: [e.status for e in status.queue or ()] == ["Done", "Done"])
        for kind in ("deployments", "configmaps"):
            assert sim_cluster.counts["apply", kind] == sent["apply", kind]
